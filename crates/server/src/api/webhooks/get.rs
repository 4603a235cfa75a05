//! `GET /v1/webhooks/{id}`.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use tidings_domain::ids::WebhookId;
use tidings_pipeline::gateway::Gateway;

use super::WebhookJson;
use crate::{
    api::{access::Access, path::Named},
    problem::Problem,
};

pub(crate) async fn get(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Named(id): Named<WebhookId>,
) -> Result<Response, Problem> {
    let webhook = super::find(&gateway, &access, id).await?;
    Ok(Json(WebhookJson::from(&webhook)).into_response())
}
