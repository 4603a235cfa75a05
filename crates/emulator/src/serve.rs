//! Accepting connections, plain or over TLS.

use std::{io, pin::pin, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::{api::CloseConnection, tls::Authority, world::World};

/// Marks a request that came over TLS.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OverTls;

/// How long nobody is accepted after that failed.
const PAUSE: Duration = Duration::from_millis(20);

/// Serves `router` on `listener` until `shutdown` ends; then takes no more connections.
pub(crate) async fn serve(
    world: &Arc<World>,
    router: Router,
    listener: TcpListener,
    tls: Option<&Authority>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let acceptor = tls.map(|authority| TlsAcceptor::from(authority.config()));
    let mut shutdown = pin!(shutdown);
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else {
                    // The client left again, or there are too many open files: neither ends the service, but the second
                    // lasts for a while.
                    world.clock.sleep(PAUSE).await;
                    continue;
                };
                stream
            }
            () = &mut shutdown => return Ok(()),
            () = world.stop.cancelled() => return Ok(()),
        };
        // Without this, answers written in two parts wait for the client's acknowledgement.
        let _ = stream.set_nodelay(true);
        let (router, acceptor) = (router.clone(), acceptor.clone());
        let stop = world.stop.clone();
        world.tasks.spawn(async move {
            let served = async {
                match acceptor {
                    None => connection(stream, router, false).await,
                    Some(acceptor) => {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            connection(stream, router, true).await;
                        }
                    }
                }
            };
            tokio::select! {
                () = served => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    tls: bool,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let router = router.clone();
        async move {
            let mut request = request.map(Body::new);
            if tls {
                request.extensions_mut().insert(OverTls);
            }
            let response = match router.oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            if response.extensions().get::<CloseConnection>().is_some() {
                return Err(io::Error::from(io::ErrorKind::ConnectionAborted));
            }
            Ok::<_, io::Error>(response)
        }
    });
    // A connection that breaks is the client's business.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .pipeline_flush(true)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
