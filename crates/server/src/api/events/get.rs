//! `GET /v1/events/{id}`: with the body that is delivered.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use tidings_domain::ids::EventId;
use tidings_pipeline::gateway::Gateway;

use super::EventJson;
use crate::{
    api::{access::Access, path::Named},
    problem::Problem,
};

pub(crate) async fn get(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Named(id): Named<EventId>,
) -> Result<Response, Problem> {
    let event = gateway.store.event(id).await?;
    let event = event
        .filter(|event| event.environment == access.environment)
        .ok_or_else(|| Problem::not_found(format_args!("event `{id}`")))?;
    let body = serde_json::from_slice(&event.body)
        .map_err(|error| Problem::internal(format_args!("the body of {id} is no JSON: {error}")))?;
    let mut shown = EventJson::from(&event);
    shown.body = Some(body);
    Ok(Json(shown).into_response())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::api::testing::{Api, normal};

    #[tokio::test]
    async fn one_event_comes_with_the_body_that_is_delivered() {
        let api = Api::start().await;
        let connection = api.connection("graph").await;
        let trace = api.change(&connection, &api.webhook().await).await;
        let answer = api
            .admin()
            .get(&format!("/v1/events/{}", trace.event))
            .await;
        assert_eq!(
            answer.body["notification_id"],
            trace.notification.to_string()
        );
        assert_eq!(
            normal(&answer.body),
            json!({
                "id": "evt_*",
                "environment_id": "uuid",
                "connection_id": "conn_*",
                "subscription_id": null,
                "notification_id": "ntf_*",
                "trigger": "event.updated",
                "subject": "users/7/events/AAMk=",
                "object_state": "fetched",
                "created_at": "time",
                "body": { "specversion": "1.0", "data": { "object": { "subject": "Lunch" } } },
            })
        );
    }
}
