//! `POST /v1/webhooks/{id}/enable`: sends again, what was held first.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use tidings_domain::ids::WebhookId;
use tidings_pipeline::{gateway::Gateway, manage::WebhookEdit};

use super::WebhookJson;
use crate::{
    api::{access::Access, path::Named},
    problem::Problem,
};

pub(crate) async fn enable(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Named(id): Named<WebhookId>,
) -> Result<Response, Problem> {
    let edit = WebhookEdit {
        enabled: Some(true),
        ..WebhookEdit::default()
    };
    let webhook = gateway
        .manage
        .change_webhook(access.environment, id, edit)
        .await?;
    let webhook = webhook.ok_or_else(|| super::missing(id))?;
    Ok(Json(WebhookJson::from(&webhook)).into_response())
}
