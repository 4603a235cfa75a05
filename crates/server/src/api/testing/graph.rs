//! As much of the sign-in and of Graph as the management API makes use of.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{delete, post},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};

/// The tenant that consents, under this id and as `contoso.example`.
pub(crate) const TENANT: &str = "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d";
/// A tenant that has not consented.
pub(crate) const REFUSED: &str = "11111111-2222-4333-8444-555555555555";

/// It serves until it is dropped.
pub(super) struct Graph {
    pub(super) url: String,
    pub(super) seen: Arc<Seen>,
    _serving: JoinSet<()>,
}

/// What it was asked for, and how it is to behave.
#[derive(Default)]
pub(super) struct Seen {
    /// Whether Graph, not the sign-in, answers everything with 503.
    pub(super) out: AtomicBool,
    /// Ids of the subscriptions that were removed.
    pub(super) removed: Mutex<Vec<String>>,
}

impl Graph {
    pub(super) async fn start() -> Self {
        let seen = Arc::new(Seen::default());
        let graph = Router::new()
            .route("/v1.0/subscriptions", post(subscribe))
            .route("/v1.0/subscriptions/{id}", delete(unsubscribe))
            .layer(middleware::from_fn_with_state(Arc::clone(&seen), outage))
            .with_state(Arc::clone(&seen));
        let router = Router::new()
            .route("/{tenant}/oauth2/v2.0/token", post(token))
            .merge(graph);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        Self {
            url,
            seen,
            _serving: serving,
        }
    }
}

async fn outage(State(seen): State<Arc<Seen>>, request: Request, next: Next) -> Response {
    if seen.out.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    next.run(request).await
}

async fn token(Path(tenant): Path<String>) -> Response {
    if tenant == REFUSED {
        let error = json!({
            "error": "unauthorized_client",
            "error_description": "AADSTS700016: The application was not found in the directory.",
            "error_codes": [700_016],
        });
        return (StatusCode::BAD_REQUEST, Json(error)).into_response();
    }
    let tenant = if tenant == "contoso.example" {
        TENANT
    } else {
        &tenant
    };
    let part = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({ "alg": "none", "typ": "JWT" }));
    let claims = part(json!({ "tid": tenant }));
    Json(json!({
        "token_type": "Bearer",
        "expires_in": 3_599,
        "access_token": format!("{header}.{claims}.signature"),
    }))
    .into_response()
}

async fn subscribe(Json(mut wanted): Json<Value>) -> (StatusCode, Json<Value>) {
    wanted["id"] = json!("7f105c7d-2dc5-4530-97cd-4e7ae6534c07");
    (StatusCode::CREATED, Json(wanted))
}

async fn unsubscribe(State(seen): State<Arc<Seen>>, Path(id): Path<String>) -> StatusCode {
    seen.removed.lock().unwrap().push(id);
    StatusCode::NO_CONTENT
}
