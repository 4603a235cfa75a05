//! `/metrics`, for Prometheus.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::header::CONTENT_TYPE;
use tidings_pipeline::gateway::Gateway;

/// The `OpenMetrics` text format (its specification, 1.0.0).
const FORMAT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `/metrics`. Counts and times only: no names, ids or texts of what is stored.
pub fn router() -> Router<Arc<Gateway>> {
    Router::new().route("/metrics", get(metrics))
}

async fn metrics(State(gateway): State<Arc<Gateway>>) -> Response {
    let health = gateway.store.health().await;
    gateway.metrics.store.fill(&health, gateway.clock.now());
    gateway.metrics.nodes.fill(gateway.fence.held());
    ([(CONTENT_TYPE, FORMAT)], gateway.metrics.encode()).into_response()
}
