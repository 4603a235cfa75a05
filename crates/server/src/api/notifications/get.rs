//! `GET /v1/notifications/{id}`: with the item as it was sent.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use serde_json::Value;
use tidings_domain::ids::NotificationId;
use tidings_pipeline::gateway::Gateway;

use super::NotificationJson;
use crate::{
    api::{access::Access, path::Named},
    problem::Problem,
};

pub(crate) async fn get(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Named(id): Named<NotificationId>,
) -> Result<Response, Problem> {
    let notification = gateway.store.notification(id).await?;
    let notification = notification
        .filter(|notification| notification.environment == access.environment)
        .ok_or_else(|| Problem::not_found(format_args!("notification `{id}`")))?;
    let mut shown = NotificationJson::from(&notification);
    shown.item = Some(item(&notification.item));
    Ok(Json(shown).into_response())
}

/// The item as JSON, or, since malformed ones are kept too, and cut, as the text that came; null where none came, since the
/// change was found.
fn item(bytes: &[u8]) -> Value {
    if bytes.is_empty() {
        return Value::Null;
    }
    serde_json::from_slice(bytes)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(bytes).into_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::api::testing::{Api, normal};

    #[tokio::test]
    async fn one_notification_comes_with_its_item() {
        let api = Api::start().await;
        let connection = api.connection("graph").await;
        let trace = api.change(&connection, &api.webhook().await).await;
        let answer = api
            .admin()
            .get(&format!("/v1/notifications/{}", trace.notification))
            .await;
        assert_eq!(answer.body["id"], trace.notification.to_string());
        assert_eq!(
            normal(&answer.body),
            json!({
                "id": "ntf_*",
                "environment_id": "uuid",
                "integration_id": "int_*",
                "origin": "notification",
                "received_at": "time",
                "verdict": "accepted",
                "connection_id": "conn_*",
                "subscription_id": null,
                "graph_subscription_id": "uuid",
                "tenant_id": "uuid",
                "change_type": "updated",
                "lifecycle_event": null,
                "resource": "users/7/events/AAMk=",
                "item": { "changeType": "updated", "resource": "Users/7/Events/AAMk=" },
            })
        );
    }

    #[tokio::test]
    async fn an_item_that_is_no_json_is_shown_as_text() {
        let api = Api::start().await;
        let connection = api.connection("graph").await;
        let id = api.rejected(&connection, b"{\"cut\": \xff").await;
        let answer = api.admin().get(&format!("/v1/notifications/{id}")).await;
        assert_eq!(answer.body["verdict"], "malformed");
        assert_eq!(answer.body["item"], "{\"cut\": \u{fffd}");
    }
}
