//! `GET /v1/deliveries/{id}`: with every attempt.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use tidings_domain::ids::DeliveryId;
use tidings_pipeline::gateway::Gateway;

use super::{AttemptJson, DeliveryJson};
use crate::{
    api::{access::Access, path::Named},
    problem::Problem,
};

/// How often a delivery is looked at again that changes while it is being read. Attempts are seconds apart.
const LOOKS: usize = 3;

pub(crate) async fn get(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Named(id): Named<DeliveryId>,
) -> Result<Response, Problem> {
    let mut delivery = super::find(&gateway, &access, id).await?;
    let mut attempts = gateway.store.attempts(id).await?;
    for _ in 0..LOOKS {
        // An attempt may have ended between the two: its line in the log and the delivery's state go together.
        let now = super::find(&gateway, &access, id).await?;
        if now == delivery {
            break;
        }
        delivery = now;
        attempts = gateway.store.attempts(id).await?;
    }
    let mut shown = DeliveryJson::from(&delivery);
    shown.attempt_log = Some(attempts.iter().map(AttemptJson::from).collect());
    Ok(Json(shown).into_response())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tidings_storage::record::AfterAttempt;

    use crate::api::testing::{Api, normal};

    #[tokio::test]
    async fn one_delivery_comes_with_its_attempts() {
        let api = Api::start().await;
        let connection = api.connection("graph").await;
        let webhook = api.webhook().await;
        let trace = api.change(&connection, &webhook).await;
        api.attempt(trace.delivery, &webhook, 200, AfterAttempt::Delivered)
            .await;
        let answer = api
            .admin()
            .get(&format!("/v1/deliveries/{}", trace.delivery))
            .await;
        assert_eq!(
            normal(&answer.body),
            json!({
                "id": "dlv_*",
                "environment_id": "uuid",
                "event_id": "evt_*",
                "trigger": "event.updated",
                "webhook_id": "whk_*",
                "state": "delivered",
                "dead_reason": null,
                "attempts": 1,
                "due_at": null,
                "last_status": 200,
                "created_at": "time",
                "finished_at": "time",
                "attempt_log": [{
                    "number": 1,
                    "started_at": "time",
                    "took_ms": 42,
                    "outcome": "success",
                    "status": 200,
                    "error": null,
                    "answer": "said \u{fffd}",
                }],
            })
        );
    }
}
