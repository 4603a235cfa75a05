//! Everything that is served beside the notification URL.

use std::sync::Arc;

use axum::{Router, middleware};
use http::{Method, Uri};
use tidings_pipeline::gateway::Gateway;

use crate::{
    api, health, metrics,
    problem::{Code, Problem},
    request_id,
};

/// The management API, health and metrics of `gateway`.
pub fn router(gateway: &Arc<Gateway>) -> Router {
    api::router(gateway)
        .merge(health::router().with_state(Arc::clone(gateway)))
        .merge(metrics::router().with_state(Arc::clone(gateway)))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(
            Arc::clone(&gateway.entropy),
            request_id::name,
        ))
}

async fn not_found(uri: Uri) -> Problem {
    Problem::new(Code::NotFound, format!("there is no path `{}`", uri.path()))
}

pub(crate) async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    let detail = format!(
        "`{}` does not take {method}: the header `allow` lists what it does",
        uri.path()
    );
    Problem::new(Code::MethodNotAllowed, detail)
}
