//! `GET /v1/subscriptions/{id}`.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use tidings_domain::ids::SubscriptionId;
use tidings_pipeline::gateway::Gateway;

use super::SubscriptionJson;
use crate::{
    api::{access::Access, path::Named},
    problem::Problem,
};

pub(crate) async fn get(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Named(id): Named<SubscriptionId>,
) -> Result<Response, Problem> {
    let subscription = super::find(&gateway, &access, id).await?;
    Ok(Json(SubscriptionJson::new(&gateway, &subscription)?).into_response())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::api::testing::{Api, normal};

    #[tokio::test]
    async fn a_subscription_is_shown_without_its_client_state() {
        let api = Api::start().await;
        let connection = api.connection("graph").await;
        let id = api.subscription(&connection).await;
        let answer = api.admin().get(&format!("/v1/subscriptions/{id}")).await;
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
    }
}
