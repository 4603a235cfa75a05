//! `POST /v1/webhooks/{id}/disable`: holds its deliveries until it is enabled.

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

pub(crate) async fn disable(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Named(id): Named<WebhookId>,
) -> Result<Response, Problem> {
    let edit = WebhookEdit {
        enabled: Some(false),
        ..WebhookEdit::default()
    };
    let webhook = gateway
        .manage
        .change_webhook(access.environment, id, edit)
        .await?;
    let webhook = webhook.ok_or_else(|| super::missing(id))?;
    Ok(Json(WebhookJson::from(&webhook)).into_response())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::api::testing::{Api, normal};

    #[tokio::test]
    async fn deliveries_of_a_disabled_webhook_are_held_until_it_is_enabled() {
        let api = Api::start().await;
        let connection = api.connection("graph").await;
        let webhook = api.webhook().await;
        let path = format!("/v1/webhooks/{}", webhook["id"].as_str().unwrap());

        let switch = async |verb: &str| {
            let path = format!("{path}/{verb}");
            api.admin().post(&path, json!(null)).await.body
        };
        assert_eq!(switch("enable").await["state"], "active");
        let disabled = switch("disable").await;
        assert_eq!(disabled["state"], "disabled");
        assert_eq!(disabled["disabled_reason"], "operator");
        assert_eq!(normal(&disabled["disabled_since"]), "time");
        let trace = api.change(&connection, &webhook).await;
        let delivery = format!("/v1/deliveries/{}", trace.delivery);
        assert_eq!(api.admin().get(&delivery).await.body["state"], "held");

        let enabled = switch("enable").await;
        assert_eq!(enabled["state"], "active");
        assert_eq!(enabled["disabled_reason"], json!(null));
        assert_ne!(api.admin().get(&delivery).await.body["state"], "held");
    }
}
