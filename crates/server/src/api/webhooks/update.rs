//! `PATCH /v1/webhooks/{id}`: changes the members that are sent and leaves the others.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;
use tidings_domain::ids::WebhookId;
use tidings_pipeline::{gateway::Gateway, manage::WebhookEdit};

use super::WebhookJson;
use crate::{
    api::{access::Access, body::Body, path::Named},
    problem::Problem,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    url: Option<String>,
    triggers: Option<Vec<String>>,
    description: Option<String>,
    connections: Option<Vec<String>>,
}

pub(crate) async fn update(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Named(id): Named<WebhookId>,
    Body(update): Body<Request>,
) -> Result<Response, Problem> {
    let edit = WebhookEdit {
        url: update.url,
        description: update.description,
        triggers: update.triggers,
        connections: update.connections,
        enabled: None,
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
    use http::StatusCode;
    use serde_json::json;

    use crate::api::testing::Api;

    #[tokio::test]
    async fn only_what_is_sent_changes() {
        let api = Api::start().await;
        let webhook = api.webhook().await;
        let path = format!("/v1/webhooks/{}", webhook["id"].as_str().unwrap());
        let before = api.admin().get(&path).await.body;

        let answer = api
            .admin()
            .patch(&path, json!({ "description": "new words" }))
            .await;
        assert_eq!(answer.status, StatusCode::OK);
        let mut expected = before.clone();
        expected["description"] = json!("new words");
        assert_eq!(answer.body, expected);

        let change = json!({ "url": "https://other.example/", "triggers": ["message.created"] });
        let answer = api.admin().patch(&path, change).await;
        expected["url"] = json!("https://other.example/");
        expected["triggers"] = json!(["message.created"]);
        assert_eq!(answer.body, expected);
        assert_eq!(api.admin().get(&path).await.body, expected);
        assert_eq!(api.admin().patch(&path, json!({})).await.body, expected);
    }

    #[tokio::test]
    async fn what_cannot_be_changed_is_refused() {
        let api = Api::start().await;
        let webhook = api.webhook().await;
        let path = format!("/v1/webhooks/{}", webhook["id"].as_str().unwrap());
        for (body, pointer) in [
            (json!({ "state": "disabled" }), "/state"),
            (json!({ "triggers": [] }), "/triggers"),
            (json!({ "url": "x" }), "/url"),
        ] {
            let answer = api.admin().patch(&path, body).await;
            assert_eq!(
                (answer.status, &answer.body["pointer"]),
                (StatusCode::BAD_REQUEST, &json!(pointer))
            );
        }
        let nobody = "/v1/webhooks/whk_01J00000000000000000000000";
        assert_eq!(
            api.admin().patch(nobody, json!({})).await.status,
            StatusCode::NOT_FOUND
        );
    }
}
