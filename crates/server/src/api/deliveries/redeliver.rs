//! `POST /v1/deliveries/{id}/redeliver`: sends it again, with the whole retry schedule before it.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use tidings_domain::ids::DeliveryId;
use tidings_pipeline::gateway::Gateway;

use super::DeliveryJson;
use crate::{
    api::{access::Access, path::Named},
    problem::Problem,
};

pub(crate) async fn redeliver(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Named(id): Named<DeliveryId>,
) -> Result<Response, Problem> {
    super::find(&gateway, &access, id).await?;
    let delivery = gateway.manage.redeliver(id).await?;
    let delivery = delivery.ok_or_else(|| Problem::not_found(format_args!("delivery `{id}`")))?;
    Ok(Json(DeliveryJson::from(&delivery)).into_response())
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;
    use tidings_domain::delivery::DeadReason;
    use tidings_storage::record::AfterAttempt;

    use crate::api::testing::{Api, NOW};

    #[tokio::test]
    async fn a_dead_delivery_is_sent_again() {
        let api = Api::start().await;
        let connection = api.connection("graph").await;
        let webhook = api.webhook().await;
        let trace = api.change(&connection, &webhook).await;
        api.attempt(
            trace.delivery,
            &webhook,
            500,
            AfterAttempt::Dead(DeadReason::Exhausted),
        )
        .await;
        let path = format!("/v1/deliveries/{}", trace.delivery);
        assert_eq!(api.admin().get(&path).await.body["state"], "dead");

        let answer = api
            .admin()
            .post(&format!("{path}/redeliver"), json!(null))
            .await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.body["id"], trace.delivery.to_string());
        // Its webhook is disabled, so that nothing takes it away before it is looked at.
        assert_eq!(answer.body["state"], "held");
        assert_eq!(answer.body["dead_reason"], json!(null));
        assert_eq!(answer.body["due_at"], NOW.to_string());
    }
}
