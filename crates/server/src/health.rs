//! Whether the process lives, and whether it can do its work.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderValue, StatusCode, header::CACHE_CONTROL};
use serde::Serialize;
use tidings_pipeline::gateway::Gateway;

/// `/healthz` and `/readyz`. Nobody needs a key for them; they tell nothing of what is stored.
pub fn router() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
}

#[derive(Serialize)]
struct Alive {
    status: &'static str,
}

#[derive(Serialize)]
struct Ready {
    status: &'static str,
    /// How many of the 64 shards this node works on. A node without any takes requests like the others.
    shards_held: u32,
    parts: Parts,
}

#[derive(Serialize)]
struct Parts {
    store: Part,
    process: Part,
}

#[derive(Serialize)]
struct Part {
    ready: bool,
    /// Why it is not.
    reason: Option<String>,
}

impl From<Option<String>> for Part {
    fn from(reason: Option<String>) -> Self {
        Self {
            ready: reason.is_none(),
            reason,
        }
    }
}

/// The process answers: whoever restarts it when it does not has no reason to.
async fn alive() -> Response {
    answer(StatusCode::OK, Alive { status: "alive" })
}

/// Everything that taking a notification needs works now: whoever sends requests here may go on.
async fn ready(State(gateway): State<Arc<Gateway>>) -> Response {
    let stopping = gateway.supervisor.soft().is_cancelled();
    let parts = Parts {
        store: gateway.store.health().await.trouble.into(),
        process: stopping.then(|| "it is being stopped".to_owned()).into(),
    };
    let ready = parts.store.ready && parts.process.ready;
    let (code, status) = if ready {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not_ready")
    };
    let shards_held = gateway.fence.held().len();
    let ready = Ready {
        status,
        shards_held,
        parts,
    };
    answer(code, ready)
}

fn answer(code: StatusCode, body: impl Serialize) -> Response {
    let mut response = (code, Json(body)).into_response();
    // What was true a moment ago helps nobody here.
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
