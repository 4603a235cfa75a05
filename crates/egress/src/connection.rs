//! One HTTP/1.1 connection.
//!
//! Nobody drives it in the background: whoever waits for an answer does, so that an exchange costs no hop between tasks,
//! and dropping it closes the connection at once.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{
    body::{Body as _, Incoming},
    client::conn::http1::{Builder, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::EgressError;

/// How much memory the head of an answer may take, in bytes, and what is buffered of its body beside that. Servers send
/// a few KiB; most take no larger requests either.
const BUFFER: usize = 64 * 1024;

/// How many interim answers (1xx) may come before the answer. A server that hints, or asks for patience every few
/// seconds, sends some; a hundred is a flood.
const MOST_INTERIM: u32 = 100;

type Driver = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

/// A connection, between two exchanges or within one.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// `None` once it has ended.
    driver: Option<Driver>,
    /// Interim answers to the last request.
    interim: Arc<AtomicU32>,
}

/// Why a request got no answer.
pub(crate) enum Unanswered {
    /// The connection ended before any of it was sent: here it is again.
    NotSent(Box<Request<Full<Bytes>>>, EgressError),
    /// It was sent, in part at least.
    Failed(EgressError),
}

impl Connection {
    /// Speaks HTTP over `stream`.
    pub(crate) async fn open<S>(stream: S) -> Result<Self, EgressError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one place that speaks HTTP to others, behind the address policy"
        )]
        let mut builder = Builder::new();
        builder.max_buf_size(BUFFER);
        let (sender, driver) = builder
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| EgressError::of_exchange(&error))?;
        Ok(Self {
            sender,
            driver: Some(Box::pin(driver)),
            interim: Arc::default(),
        })
    }

    /// Sends a request and waits for the head of its answer.
    pub(crate) async fn send(
        &mut self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Unanswered> {
        self.interim.store(0, Ordering::Relaxed);
        let interim = Arc::clone(&self.interim);
        hyper::ext::on_informational(&mut request, move |_| {
            interim.fetch_add(1, Ordering::Relaxed);
        });
        let mut answering = pin!(self.sender.try_send_request(request));
        let answer = poll_fn(|context| {
            drive(&mut self.driver, context);
            if let Poll::Ready(answer) = answering.as_mut().poll(context) {
                return Poll::Ready(Some(answer));
            }
            let flooded = self.interim.load(Ordering::Relaxed) > MOST_INTERIM;
            if flooded || self.driver.is_none() {
                return Poll::Ready(None);
            }
            Poll::Pending
        })
        .await;
        match answer {
            Some(Ok(response)) => Ok(response),
            Some(Err(mut unsent)) => {
                let request = unsent.take_message();
                let error = EgressError::of_exchange(&unsent.into_error());
                Err(match request {
                    Some(request) => Unanswered::NotSent(Box::new(request), error),
                    None => Unanswered::Failed(error),
                })
            }
            None => Err(Unanswered::Failed(EgressError::Protocol {
                detail: if self.driver.is_none() {
                    "the connection ended before an answer".to_owned()
                } else {
                    format!("more than {MOST_INTERIM} interim answers")
                },
            })),
        }
    }

    /// The next piece of an answer's body; `None` at its end.
    pub(crate) async fn read(&mut self, body: &mut Incoming) -> Option<Result<Bytes, EgressError>> {
        loop {
            let frame = poll_fn(|context| {
                let mut body = Pin::new(&mut *body);
                if let Poll::Ready(frame) = body.as_mut().poll_frame(context) {
                    return Poll::Ready(frame);
                }
                drive(&mut self.driver, context);
                body.poll_frame(context)
            })
            .await?;
            match frame.map(hyper::body::Frame::into_data) {
                Ok(Ok(data)) => return Some(Ok(data)),
                // Trailers say nothing that anybody here asks for.
                Ok(Err(_)) => {}
                Err(error) => return Some(Err(EgressError::of_exchange(&error))),
            }
        }
    }

    /// Whether another request can be sent: the last exchange is over and nobody has closed it since.
    pub(crate) fn is_ready(&mut self, context: &mut Context<'_>) -> bool {
        drive(&mut self.driver, context);
        self.driver.is_some() && self.sender.is_ready()
    }
}

/// Reads and writes what there is to be read and written.
fn drive(driver: &mut Option<Driver>, context: &mut Context<'_>) {
    if let Some(running) = driver
        && running.as_mut().poll(context).is_ready()
    {
        // Whatever ended it is told where the answer or its body is waited for.
        *driver = None;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    use super::*;

    async fn connected() -> (Connection, DuplexStream) {
        let (ours, theirs) = tokio::io::duplex(1_024);
        (Connection::open(ours).await.unwrap(), theirs)
    }

    fn request() -> Request<Full<Bytes>> {
        let builder = Request::post("/").header("host", "app.example");
        builder.body(Full::from("body")).unwrap()
    }

    async fn ready(connection: &mut Connection) -> bool {
        poll_fn(|context| Poll::Ready(connection.is_ready(context))).await
    }

    #[tokio::test]
    async fn a_connection_that_was_closed_at_rest_gives_the_request_back_unsent() {
        let (mut connection, mut peer) = connected().await;
        let exchange = async {
            let response = connection.send(request()).await.ok().unwrap();
            assert!(connection.read(&mut response.into_body()).await.is_none());
        };
        let serve = async {
            let mut buffer = [0; 512];
            assert_ne!(peer.read(&mut buffer).await.unwrap(), 0);
            peer.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
                .await
                .unwrap();
        };
        tokio::join!(exchange, serve);
        assert!(ready(&mut connection).await);
        drop(peer);
        assert!(matches!(
            connection.send(request()).await,
            Err(Unanswered::NotSent(..))
        ));
        assert!(!ready(&mut connection).await);
    }

    #[tokio::test]
    async fn a_connection_that_closes_upon_a_request_does_not_give_it_back() {
        let (mut connection, mut peer) = connected().await;
        let serve = async {
            let mut buffer = [0; 512];
            assert_ne!(peer.read(&mut buffer).await.unwrap(), 0);
            drop(peer);
        };
        let (sent, ()) = tokio::join!(connection.send(request()), serve);
        assert!(matches!(sent, Err(Unanswered::Failed(_))));
    }
}
