//! The router: sign-in, Graph, the control API.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::{Path, Request, State},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::{
    api::{self, Failure, GraphError, Incoming, Trace},
    control,
    fault::{Fault, Target},
    serve::OverTls,
    signin::{self, SignInError},
    world::World,
};

/// The largest body that is read. Graph takes 4 MiB.
const BODY: usize = 4 * 1024 * 1024;

/// Every face of the emulator.
pub(crate) fn router(world: Arc<World>) -> Router {
    Router::new()
        .route("/{tenant}/oauth2/v2.0/token", post(token))
        .nest("/emulator", control::router())
        .fallback(graph)
        .with_state(world)
}

async fn graph(State(world): State<Arc<World>>, request: Request) -> Response {
    let path = request.uri().path();
    if !path.starts_with("/v1.0/") && !path.starts_with("/beta/") {
        let error = GraphError::new(
            StatusCode::NOT_FOUND,
            "NotFound",
            "The emulator has /v1.0/…, /beta/…, /{tenant}/oauth2/v2.0/token and /emulator/….",
        );
        return error
            .into_response(&Trace::new(&world, request.headers()))
            .map(Body::new);
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let incoming = Incoming {
        tls: parts.extensions.get::<OverTls>().is_some(),
        method: parts.method,
        uri: parts.uri,
        headers: parts.headers,
        body,
    };
    api::handle(&world, incoming).await.map(Body::new)
}

async fn token(
    State(world): State<Arc<World>>,
    Path(tenant): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    const CALL: &str = "POST {tenant}/oauth2/v2.0/token";
    let result = match api::failure(&world, Target::SignIn, CALL).await {
        Some(Failure::Close) => return api::close().map(Body::new),
        Some(Failure::Error(error)) => {
            world.ledger.called(CALL, error.status.as_u16());
            return error
                .into_response(&Trace::new(&world, &headers))
                .map(Body::new);
        }
        None => {
            let told = world.faults.hit(|fault| match fault {
                Fault::SignIn { code, .. } => Some(SignInError::Other { code: *code }),
                _ => None,
            });
            told.map_or_else(|| signin::token(&world, &tenant, &headers, &body), Err)
        }
    };
    let response = match result {
        Ok(token) => (
            [(http::header::CACHE_CONTROL, "no-store, no-cache")],
            Json(token),
        )
            .into_response(),
        Err(error) => {
            let body = error.body(world.clock.now(), world.guid(), world.guid());
            (error.status(), Json(body)).into_response()
        }
    };
    world.ledger.called(CALL, response.status().as_u16());
    response
}
