//! `POST /v1/policies`: for an integration, or for one connection. The subscriptions follow by themselves.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use serde::Deserialize;
use tidings_domain::{ids::ConnectionId, resource::ChangeTypes};
use tidings_pipeline::{
    gateway::Gateway,
    manage::{NewPolicy, PolicyScope},
};

use super::PolicyJson;
use crate::{
    api::{access::Access, body::Body, created::created},
    problem::{Code, Problem},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// For every connection of this integration: its key.
    #[serde(default)]
    integration: Option<String>,
    /// For this connection only.
    #[serde(default)]
    connection_id: Option<ConnectionId>,
    /// What is watched: `users/{user}/events`.
    resource: String,
    /// Which changes are wanted.
    change_types: ChangeTypes,
    /// Whether what is there already is delivered, too.
    #[serde(default)]
    deliver_existing: bool,
}

pub(crate) async fn create(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Body(new): Body<Request>,
) -> Result<Response, Problem> {
    let scope = match (new.integration, new.connection_id) {
        (Some(key), None) => PolicyScope::Integration(key),
        (None, Some(id)) => PolicyScope::Connection(id),
        _ => {
            return Err(Problem::new(
                Code::InvalidBody,
                "say for whom it holds: `integration` (a key) for all of its connections, or `connection_id` for one",
            ));
        }
    };
    let wanted = NewPolicy {
        environment: access.environment,
        scope,
        resource: new.resource,
        change_types: new.change_types,
        deliver_existing: new.deliver_existing,
    };
    make(&gateway, wanted).await
}

/// Makes a policy and answers with it.
pub(crate) async fn make(gateway: &Gateway, new: NewPolicy) -> Result<Response, Problem> {
    let policy = gateway.manage.create_policy(new).await?;
    let location = format!("/v1/policies/{}", policy.id);
    let shown = PolicyJson::new(gateway, policy).await?;
    Ok(created(&location, &shown))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use crate::api::testing::{Api, normal};

    #[tokio::test]
    async fn a_policy_is_shown_with_how_far_it_has_come_until_it_is_removed() {
        let api = Api::start().await;
        let connection = api.connection("graph").await;
        let new = json!({
            "integration": "graph",
            "resource": "users/*/events",
            "change_types": ["deleted", "created"],
        });
        let answer = api.admin().post("/v1/policies", new.clone()).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        let mut shown = normal(&answer.body);
        // Whether it has come to the connection by now is left open.
        for member in ["connections", "last_error"] {
            shown.as_object_mut().unwrap().remove(member);
        }
        assert_eq!(
            shown,
            json!({
                "id": "pol_*",
                "environment_id": "uuid",
                "integration": "graph",
                "connection_id": null,
                "resource": "users/{user}/events",
                "change_types": ["created", "deleted"],
                "deliver_existing": false,
                "state": "active",
                "subscriptions": {
                    "active": 0, "conflict": 0, "deleting": 0, "disabled": 0, "failed": 0, "pending": 0,
                },
                "created_at": "time",
            })
        );
        let again = api.admin().post("/v1/policies", new).await;
        assert_eq!(
            (again.status, &again.body["code"]),
            (StatusCode::CONFLICT, &json!("conflict"))
        );
        // What holds for all holds for this connection, too.
        let same = json!({
            "connection_id": connection["id"],
            "resource": "users/{user}/events",
            "change_types": ["created", "deleted"],
        });
        let again = api.admin().post("/v1/subscriptions", same).await;
        assert_eq!(again.status, StatusCode::CONFLICT, "{again:?}");
        let path = format!("/v1/policies/{}", answer.body["id"].as_str().unwrap());
        let removed = api.admin().delete(&path).await;
        assert!(
            [StatusCode::ACCEPTED, StatusCode::NO_CONTENT].contains(&removed.status),
            "{removed:?}"
        );
    }

    #[tokio::test]
    async fn every_mailbox_of_a_connection_can_be_asked_for_as_a_subscription() {
        let api = Api::start().await;
        let connection = api.connection("graph").await;
        let new = json!({
            "connection_id": connection["id"],
            "resource": "users/*/messages",
            "change_types": ["created"],
        });
        let answer = api.admin().post("/v1/subscriptions", new).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        assert!(answer.body["id"].as_str().unwrap().starts_with("pol_"));
        assert_eq!(answer.body["connection_id"], connection["id"]);
    }

    #[tokio::test]
    async fn what_is_wrong_is_pointed_at() {
        let api = Api::start().await;
        let connection = api.connection("graph").await;
        for (members, pointer) in [
            (
                json!({"integration": "graph", "resource": "users/*/secrets"}),
                json!("/resource"),
            ),
            (
                json!({"integration": "graph", "resource": "users/*"}),
                json!("/resource"),
            ),
            (
                json!({"connection_id": connection["id"], "resource": "users"}),
                json!("/resource"),
            ),
            (json!({"resource": "users/*/events"}), json!(null)),
            (
                json!({"integration": "graph", "connection_id": connection["id"], "resource": "users/*/events"}),
                json!(null),
            ),
        ] {
            let mut new = members;
            new["change_types"] = json!(["updated"]);
            let answer = api.admin().post("/v1/policies", new).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
            assert_eq!(answer.body["pointer"], pointer, "{answer:?}");
        }
        let new = json!({
            "integration": "no-such", "resource": "users/*/events", "change_types": ["updated"],
        });
        let answer = api.admin().post("/v1/policies", new).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
    }
}
