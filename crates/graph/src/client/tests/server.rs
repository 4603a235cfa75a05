//! A server that records what it is asked and answers as the test says.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{HeaderMap, Method, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use url::Url;

/// A request as the server got it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

/// An answer: status, headers, body.
pub(super) type Reply = (u16, Vec<(&'static str, String)>, String);

type Handler = Box<dyn Fn(&Seen, usize) -> Reply + Send + Sync>;

pub(super) struct Server {
    pub(super) url: Url,
    seen: Arc<Mutex<Vec<Seen>>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Server {
    /// Answers with what `handler` makes of a request and of the number of requests before it.
    pub(super) async fn start(
        handler: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let server = Self {
            url,
            seen: Arc::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        let (seen, stop, tasks) = (
            server.seen.clone(),
            server.stop.clone(),
            server.tasks.clone(),
        );
        let handler: Arc<Handler> = Arc::new(Box::new(handler));
        server.tasks.spawn(async move {
            while let Some(Ok((stream, _))) = stop.run_until_cancelled(listener.accept()).await {
                let (seen, handler) = (Arc::clone(&seen), Arc::clone(&handler));
                let service =
                    service_fn(move |request| answer(seen.clone(), handler.clone(), request));
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tasks.spawn(stop.clone().run_until_cancelled_owned(connection));
            }
        });
        server
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn answer(
    seen: Arc<Mutex<Vec<Seen>>>,
    handler: Arc<Handler>,
    request: http::Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes);
    let one = Seen {
        method: head.method,
        path: head.uri.to_string(),
        headers: head.headers,
        body: String::from_utf8_lossy(&body.unwrap_or_default()).into_owned(),
    };
    let before = {
        let mut seen = seen.lock().unwrap();
        seen.push(one.clone());
        seen.len() - 1
    };
    let (status, headers, body) = handler(&one, before);
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    Ok(response.body(Full::new(Bytes::from(body))).unwrap())
}
