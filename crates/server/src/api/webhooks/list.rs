//! `GET /v1/webhooks`: newest first.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use tidings_pipeline::gateway::Gateway;

use super::WebhookJson;
use crate::{
    api::{
        access::Access,
        list::{self, PageQuery},
        query::Query,
    },
    problem::Problem,
};

pub(crate) async fn list(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Query(wanted): Query<PageQuery>,
) -> Result<Response, Problem> {
    let listing = gateway
        .store
        .webhooks(Some(access.environment), wanted.page())
        .await?;
    Ok(list::answer(&listing, WebhookJson::from))
}
