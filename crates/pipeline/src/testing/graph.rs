//! Sign-in and Graph at one address, over real TCP.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Method, Response};
use http_body_util::{BodyExt as _, Collected, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
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

    /// The calls of which this is made, if it is a batch.
    fn parts(&self) -> Option<Vec<(Value, Self)>> {
        let version = self.path.strip_suffix("/$batch")?;
        let body: Value = serde_json::from_str(&self.body).unwrap();
        let part = |part: &Value| {
            let one = Self {
                method: part["method"].as_str().unwrap().parse().unwrap(),
                path: format!("{version}{}", part["url"].as_str().unwrap()),
                body: part.get("body").map(Value::to_string).unwrap_or_default(),
            };
            (part["id"].clone(), one)
        };
        Some(
            body["requests"]
                .as_array()
                .unwrap()
                .iter()
                .map(part)
                .collect(),
        )
    }
}

/// The status of an answer that a batch is to leave out.
pub(crate) const LEFT_OUT: u16 = 0;

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

/// The server. It grants every token, and answers everything else as its handler says; the parts of a batch one by one,
/// in reverse order.
pub(crate) struct Graph {
    pub(crate) url: Url,
    served: Arc<Served>,
    stop: CancellationToken,
}

/// What it has been asked, and what it is told to answer.
#[derive(Default)]
struct Served {
    seen: Mutex<Vec<Seen>>,
    /// How many parts each batch had.
    batches: Mutex<Vec<usize>>,
    /// The answers to the next batches as a whole.
    instead: Mutex<Vec<Reply>>,
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
            served: Arc::default(),
            stop: CancellationToken::new(),
        };
        let handler: Handler = Arc::new(move |seen| Box::pin(handler(seen)));
        let (served, stop, tasks) = (
            Arc::clone(&graph.served),
            graph.stop.clone(),
            TaskTracker::new(),
        );
        tasks.clone().spawn(async move {
            while let Some(Ok((stream, _))) = stop.run_until_cancelled(listener.accept()).await {
                let (served, handler) = (Arc::clone(&served), Arc::clone(&handler));
                let service = service_fn(move |request| {
                    answer(Arc::clone(&served), Arc::clone(&handler), request)
                });
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tasks.spawn(stop.clone().run_until_cancelled_owned(connection));
            }
        });
        graph
    }

    /// The requests so far, but for those for tokens; of batches their parts.
    pub(crate) fn calls(&self) -> Vec<Seen> {
        let seen = self.served.seen.lock().unwrap();
        seen.iter().filter(|one| !one.is_token()).cloned().collect()
    }

    /// How many parts each batch so far had.
    pub(crate) fn batches(&self) -> Vec<usize> {
        self.served.batches.lock().unwrap().clone()
    }

    /// Has the next batch answered as a whole.
    pub(crate) fn instead_of_a_batch(&self, reply: Reply) {
        self.served.instead.lock().unwrap().push(reply);
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn answer(
    served: Arc<Served>,
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
    let Reply {
        status,
        headers,
        body,
    } = match one.parts() {
        Some(parts) => answer_batch(&served, &handler, parts).await,
        None => answer_one(&served, &handler, one).await,
    };
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    Ok(response.body(Full::new(Bytes::from(body))).unwrap())
}

async fn answer_one(served: &Served, handler: &Handler, one: Seen) -> Reply {
    served.seen.lock().unwrap().push(one.clone());
    handler(one).await
}

async fn answer_batch(served: &Served, handler: &Handler, parts: Vec<(Value, Seen)>) -> Reply {
    served.batches.lock().unwrap().push(parts.len());
    let instead = served.instead.lock().unwrap().pop();
    if let Some(reply) = instead {
        return reply;
    }
    let answered = parts.into_iter().map(|(id, one)| async move {
        let reply = answer_one(served, handler, one).await;
        let headers: serde_json::Map<String, Value> = reply
            .headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Value::from(*value)))
            .collect();
        let body: Value = serde_json::from_str(&reply.body).unwrap_or_default();
        (reply.status != LEFT_OUT)
            .then(|| json!({ "id": id, "status": reply.status, "headers": headers, "body": body }))
    });
    let responses = join_all(answered).await.into_iter().rev();
    let responses: Vec<Value> = responses.flatten().collect();
    reply(200, json!({ "responses": responses }).to_string())
}
