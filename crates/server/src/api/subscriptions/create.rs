//! `POST /v1/subscriptions`: asks Graph for it and answers with what came of that; `state` and `last_error` say what.
//!
//! With a `*` for a user or a team it is a wish for many: it makes a policy of the connection, and answers with that.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use serde::Deserialize;
use tidings_domain::{ids::ConnectionId, resource::ChangeTypes};
use tidings_pipeline::{
    gateway::Gateway,
    manage::{NewPolicy, PolicyScope},
    subscribe::NewSubscription,
};

use super::SubscriptionJson;
use crate::{
    api::{access::Access, body::Body, created::created, policies::create::make},
    problem::Problem,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// Whose consent serves it.
    connection_id: ConnectionId,
    /// What is watched: `users/{id}/events`.
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
    if new.resource.contains(['*', '{']) {
        let scope = PolicyScope::Connection(new.connection_id);
        let wanted = NewPolicy {
            environment: access.environment,
            scope,
            resource: new.resource,
            change_types: new.change_types,
            deliver_existing: new.deliver_existing,
        };
        return make(&gateway, wanted).await;
    }
    let new = NewSubscription {
        environment: Some(access.environment),
        connection: new.connection_id,
        resource: new.resource,
        change_types: new.change_types,
        deliver_existing: new.deliver_existing,
    };
    let subscription = gateway.subscribe.request(new).await?;
    let shown = SubscriptionJson::new(&gateway, &subscription)?;
    Ok(created(
        &format!("/v1/subscriptions/{}", subscription.id),
        &shown,
    ))
}

#[cfg(test)]
mod tests {
    use http::{StatusCode, header};
    use serde_json::json;

    use crate::api::testing::{Api, normal};

    #[tokio::test]
    async fn a_subscription_that_graph_takes_is_active() {
        let api = Api::start().await;
        let connection = api.connection("graph").await;
        let new = json!({
            "connection_id": connection["id"],
            "resource": "/users/7/events",
            "change_types": ["deleted", "created"],
        });
        let answer = api.admin().post("/v1/subscriptions", new).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        assert_eq!(
            normal(&answer.body),
            json!({
                "id": "sub_*",
                "environment_id": "uuid",
                "connection_id": "conn_*",
                "integration": "graph",
                "policy_id": null,
                "resource": "users/7/events",
                "kind": "event",
                "change_types": ["created", "deleted"],
                "state": "active",
                "graph_id": "uuid",
                "expires_at": "time",
                "due_at": "time",
                "failures": 0,
                "last_error": null,
                "created_at": "time",
                "renewed_at": "time",
            })
        );
        let location = answer.headers[header::LOCATION].to_str().unwrap();
        assert_eq!(api.admin().get(location).await.body, answer.body);
    }

    #[tokio::test]
    async fn what_is_wrong_is_pointed_at() {
        let api = Api::start().await;
        let connection = api.connection("graph").await;
        let good = json!({
            "connection_id": connection["id"],
            "resource": "users/7/events",
            "change_types": ["created"],
        });
        for (member, value, pointer) in [
            ("connection_id", json!("whk_1"), "/connection_id"),
            ("resource", json!("users/7/secrets"), "/resource"),
            ("change_types", json!([]), "/change_types"),
            ("deliver_existing", json!("yes"), "/deliver_existing"),
            (
                "change_types",
                json!(["created", "moved"]),
                "/change_types/1",
            ),
        ] {
            let mut new = good.clone();
            new[member] = value;
            let answer = api.admin().post("/v1/subscriptions", new).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
            assert_eq!(answer.body["pointer"], pointer, "{answer:?}");
        }
        api.admin().make("/v1/subscriptions", good.clone()).await;
        let answer = api.admin().post("/v1/subscriptions", good).await;
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (StatusCode::CONFLICT, &json!("conflict"))
        );
    }
}
