//! A management API that answers what a test says, and remembers what it was asked.

use std::{
    net::SocketAddr,
    process::Command,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinSet};

use crate::run::{Ran, tidings};

/// What the API was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Asked {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// A server that gives one answer to everything, until it is dropped.
#[derive(Debug)]
pub(crate) struct FakeApi {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    _serving: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    status: StatusCode,
    body: String,
    asked: Mutex<Vec<Asked>>,
}

impl FakeApi {
    pub(crate) async fn answering(status: u16, body: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            status: StatusCode::from_u16(status).unwrap(),
            body: body.to_owned(),
            asked: Mutex::new(Vec::new()),
        });
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&shared));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        Self {
            address,
            shared,
            _serving: serving,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was asked; exactly one request must have come.
    pub(crate) fn only_request(&self) -> Asked {
        let asked = self.shared.asked.lock().unwrap();
        assert_eq!(asked.len(), 1, "{asked:?}");
        asked[0].clone()
    }

    pub(crate) fn was_asked(&self) -> bool {
        !self.shared.asked.lock().unwrap().is_empty()
    }

    /// Runs the binary against this server with a key, to its end.
    pub(crate) async fn run(&self, words: &[&str]) -> Ran {
        let folder = tempfile::tempdir().unwrap();
        let url = self.url();
        let variables = [
            ("TIDINGS_URL", url.as_str()),
            ("TIDINGS_API_KEY", "tdk_test"),
        ];
        finish(tidings(folder.path(), words, &variables)).await
    }
}

/// Runs `command` to its end while this task's runtime goes on serving.
pub(crate) async fn finish(command: Command) -> Ran {
    tokio::process::Command::from(command)
        .output()
        .await
        .unwrap()
        .into()
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    shared.asked.lock().unwrap().push(Asked {
        method,
        target: uri.to_string(),
        headers,
        body,
    });
    let kind = if shared.status.is_success() {
        "application/json"
    } else {
        "application/problem+json"
    };
    (shared.status, [(CONTENT_TYPE, kind)], shared.body.clone()).into_response()
}
