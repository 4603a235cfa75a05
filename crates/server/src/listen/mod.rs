//! Taking connections: our own accept loop, because the limits that hold under attack are what matters here.
//!
//! | module | holds |
//! | --- | --- |
//! | `watch` | ends connections that make no progress |
//! | `face` | where a request goes |
//! | `body` | reads bodies within a time and a size |
//!
//! However many connect, and whatever they send or leave out: connections, memory and the time of every exchange have
//! limits. A connection that is slow holds nothing up but itself.

use std::{convert::Infallible, io, pin::pin, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tidings_pipeline::gateway::Gateway;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::sync::CancellationToken;

pub(crate) mod body;
mod face;
mod watch;

#[cfg(test)]
mod tests;

pub(crate) use face::Answer;
use face::Face;
use watch::{Watch, Watched};

/// The most that is buffered of a connection, and with it the longest request head (431 beyond it). Enough for any
/// head; bodies pass through it in pieces.
const BUFFER: usize = 64 * 1024;
/// How long the loop waits when the system has no room for another connection: out of descriptors or memory.
const NO_ROOM: Duration = Duration::from_millis(100);

/// Serves `gateway` on `listener` until the gateway is stopped. Its supervisor keeps the loop alive, and its stop lets
/// requests under way finish.
pub fn start(gateway: &Arc<Gateway>, listener: TcpListener) {
    let config = &gateway.config.server;
    let open = Arc::new(Semaphore::new(
        config.max_connections.min(Semaphore::MAX_PERMITS),
    ));
    let server = Arc::new(Server {
        listener,
        open: Arc::clone(&open),
        face: Arc::new(Face::new(gateway)),
        gateway: Arc::clone(gateway),
        header_timeout: config.header_timeout.0,
    });
    gateway.supervisor.spawn_loop("listen", move || {
        let server = Arc::clone(&server);
        async move { server.accept().await }
    });
}

struct Server {
    listener: TcpListener,
    open: Arc<Semaphore>,
    face: Arc<Face>,
    gateway: Arc<Gateway>,
    header_timeout: Duration,
}

impl Server {
    async fn accept(self: Arc<Self>) {
        let soft = self.gateway.supervisor.soft();
        loop {
            let next = async {
                // The place first: whoever has none waits in the system's queue, where it costs next to nothing.
                let place = Arc::clone(&self.open).acquire_owned().await;
                (place, self.listener.accept().await)
            };
            let (place, accepted) = tokio::select! {
                () = soft.cancelled() => return,
                next = next => next,
            };
            let Ok(place) = place else { return };
            match accepted {
                Ok((stream, _)) => self.spawn(stream, place),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "no connection can be taken for the moment");
                    self.gateway.clock.sleep(NO_ROOM).await;
                }
            }
        }
    }

    fn spawn(self: &Arc<Self>, stream: TcpStream, place: OwnedSemaphorePermit) {
        let this = Arc::clone(self);
        let hard = self.gateway.supervisor.hard().child_token();
        self.gateway.supervisor.tasks().spawn(async move {
            // A panic ends the task, and with it the connection and its place.
            let _place = place;
            tokio::select! {
                () = hard.cancelled() => {}
                () = this.serve(stream) => {}
            }
        });
    }

    async fn serve(&self, stream: TcpStream) {
        // Answers are small and complete: waiting for more of them would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection was gone before it was served");
            return;
        }
        let watch = Arc::new(Watch::new(Arc::clone(&self.gateway.clock)));
        let service = service_fn(|request| {
            let (face, watch) = (Arc::clone(&self.face), Arc::clone(&watch));
            async move {
                let _busy = watch.busy();
                Ok::<_, Infallible>(face.answer(request).await)
            }
        });
        let connection = http1::Builder::new()
            .max_buf_size(BUFFER)
            .pipeline_flush(true)
            .serve_connection(
                Watched::new(TokioIo::new(stream), Arc::clone(&watch)),
                service,
            );
        let mut connection = pin!(connection);
        let soft: CancellationToken = self.gateway.supervisor.soft().child_token();
        let mut stopping = false;
        let mut stalled = pin!(watch.stalled(self.header_timeout, &self.open));
        let ended = loop {
            tokio::select! {
                biased;
                ended = connection.as_mut() => break ended,
                () = soft.cancelled(), if !stopping => {
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = stalled.as_mut() => {
                    tracing::debug!("a connection made no progress and was closed");
                    return;
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended in the middle");
        }
    }
}

/// Whether accepting failed because of that one connection; the next may be taken at once.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}
