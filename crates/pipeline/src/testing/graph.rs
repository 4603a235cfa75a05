//! Sign-in and Graph at one address, over real TCP.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Method, Response};
use http_body_util::{BodyExt as _, Collected, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use url::Url;

/// A request as the server got it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: String,
}

impl Seen {
    /// Whether a token is asked for.
    pub(crate) fn is_token(&self) -> bool {
        self.path.ends_with("/oauth2/v2.0/token")
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    pub(crate) body: String,
}

/// An answer without headers.
pub(crate) fn reply(status: u16, body: impl Into<String>) -> Reply {
    Reply {
        status,
        headers: Vec::new(),
        body: body.into(),
    }
}

type Answering = Pin<Box<dyn Future<Output = Reply> + Send>>;
type Handler = Arc<dyn Fn(Seen) -> Answering + Send + Sync>;

/// The server. It grants every token, and answers everything else as its handler says.
pub(crate) struct Graph {
    pub(crate) url: Url,
    seen: Arc<Mutex<Vec<Seen>>>,
    stop: CancellationToken,
}

impl Graph {
    pub(crate) async fn start<F>(handler: impl Fn(Seen) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        Self::start_with_sign_in(move |seen| {
            let granted = reply(
                200,
                r#"{"token_type":"Bearer","expires_in":3600,"access_token":"t"}"#,
            );
            let answering: Answering = if seen.is_token() {
                Box::pin(std::future::ready(granted))
            } else {
                Box::pin(handler(seen))
            };
            answering
        })
        .await
    }

    /// The handler also answers requests for tokens.
    pub(crate) async fn start_with_sign_in<F>(
        handler: impl Fn(Seen) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let graph = Self {
            url,
            seen: Arc::default(),
            stop: CancellationToken::new(),
        };
        let handler: Handler = Arc::new(move |seen| Box::pin(handler(seen)));
        let (seen, stop, tasks) = (
            Arc::clone(&graph.seen),
            graph.stop.clone(),
            TaskTracker::new(),
        );
        tasks.clone().spawn(async move {
            while let Some(Ok((stream, _))) = stop.run_until_cancelled(listener.accept()).await {
                let (seen, handler) = (Arc::clone(&seen), Arc::clone(&handler));
                let service = service_fn(move |request| {
                    answer(Arc::clone(&seen), Arc::clone(&handler), request)
                });
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tasks.spawn(stop.clone().run_until_cancelled_owned(connection));
            }
        });
        graph
    }

    /// The requests so far, but for those for tokens.
    pub(crate) fn calls(&self) -> Vec<Seen> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|one| !one.is_token()).cloned().collect()
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn answer(
    seen: Arc<Mutex<Vec<Seen>>>,
    handler: Handler,
    request: http::Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map(Collected::to_bytes)
        .unwrap_or_default();
    let one = Seen {
        method: head.method,
        path: head.uri.to_string(),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    seen.lock().unwrap().push(one.clone());
    let Reply {
        status,
        headers,
        body,
    } = handler(one).await;
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    Ok(response.body(Full::new(Bytes::from(body))).unwrap())
}
