//! `POST /v1/webhooks`: answered with the signing secret, this once.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use serde::Deserialize;
use tidings_domain::Secret;
use tidings_pipeline::{gateway::Gateway, manage::NewWebhook};

use super::WebhookJson;
use crate::{
    api::{access::Access, body::Body, created::created},
    problem::Problem,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// Where deliveries are sent.
    url: String,
    /// Which events it asks for.
    triggers: Vec<String>,
    /// What it is for, for people.
    #[serde(default)]
    description: String,
    /// Whose events it asks for; none means those of all connections.
    #[serde(default)]
    connections: Vec<String>,
    /// What its deliveries are to be signed with: `whsec_` and base64; made at random if left out.
    secret: Option<Secret>,
}

pub(crate) async fn create(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Body(new): Body<Request>,
) -> Result<Response, Problem> {
    let new = NewWebhook {
        environment: access.environment,
        url: new.url,
        description: new.description,
        triggers: new.triggers,
        connections: new.connections,
        secret: new.secret,
    };
    let webhook = gateway.manage.create_webhook(new).await?;
    let mut shown = WebhookJson::from(&webhook);
    shown.secret = Some(webhook.secret.expose());
    Ok(created(&format!("/v1/webhooks/{}", webhook.id), &shown))
}

#[cfg(test)]
mod tests {
    use http::{StatusCode, header};
    use serde_json::json;

    use crate::api::testing::{Api, normal};

    #[tokio::test]
    async fn the_secret_is_shown_once_and_the_query_of_the_url_never() {
        let api = Api::start().await;
        let connection = api.connection("graph").await;
        let new = json!({
            "url": "https://app.example/hook?token=abc",
            "triggers": ["event.created", "event.updated"],
            "description": "calendar sync",
            "connections": [connection["id"]],
        });
        let mut answer = api.admin().post("/v1/webhooks", new).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        assert_eq!(
            normal(&answer.body),
            json!({
                "id": "whk_*",
                "environment_id": "uuid",
                "url": "https://app.example/hook?token=***",
                "description": "calendar sync",
                "triggers": ["event.created", "event.updated"],
                "connections": ["conn_*"],
                "state": "active",
                "disabled_reason": null,
                "disabled_since": null,
                "failing_since": null,
                "created_at": "time",
                "secret": "whsec_*",
            })
        );
        let location = answer.headers[header::LOCATION].to_str().unwrap();
        answer.body.as_object_mut().unwrap().remove("secret");
        assert_eq!(api.admin().get(location).await.body, answer.body);
        let list = api.admin().get("/v1/webhooks").await.body;
        assert_eq!(list, json!({ "data": [answer.body], "next_cursor": null }));
    }

    #[tokio::test]
    async fn what_is_wrong_is_pointed_at_with_a_hint() {
        let api = Api::start().await;
        let good = json!({ "url": "https://app.example/hook", "triggers": ["event.created"] });
        for (member, value, pointer, hint) in [
            ("url", json!("app.example"), "/url", "absolute URL"),
            ("url", json!("http://10.0.0.1/"), "/url", "egress.allow"),
            ("triggers", json!([]), "/triggers", "at least one"),
            (
                "triggers",
                json!(["event.create"]),
                "/triggers",
                "did you mean `event.created`?",
            ),
            (
                "triggers",
                json!(["event.created", 7]),
                "/triggers/1",
                "expected a string",
            ),
            (
                "connections",
                json!(["conn_1"]),
                "/connections",
                "not an id",
            ),
            ("secret", json!("whsec_short"), "/secret", "base64"),
            (
                "trigger",
                json!("event.created"),
                "/trigger",
                "expected one of",
            ),
        ] {
            let mut new = good.clone();
            new[member] = value;
            let answer = api.admin().post("/v1/webhooks", new).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
            assert_eq!(answer.body["code"], "invalid_body");
            assert_eq!(answer.body["pointer"], pointer, "{answer:?}");
            assert!(
                answer.body["detail"].as_str().unwrap().contains(hint),
                "{answer:?}"
            );
        }
        assert_eq!(
            api.admin().get("/v1/webhooks").await.body["data"],
            json!([])
        );
    }
}
