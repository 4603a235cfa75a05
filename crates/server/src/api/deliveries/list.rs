//! `GET /v1/deliveries`: newest first; `webhook`, `event` and `state` narrow it.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use serde::Deserialize;
use tidings_domain::{
    delivery::DeliveryState,
    ids::{EventId, WebhookId},
};
use tidings_pipeline::gateway::Gateway;
use tidings_storage::record::DeliveryFilter;

use super::DeliveryJson;
use crate::{
    api::{
        access::Access,
        list::{self, After, Limit},
        query::Query,
    },
    problem::Problem,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    #[serde(default)]
    limit: Limit,
    cursor: Option<After>,
    webhook: Option<WebhookId>,
    event: Option<EventId>,
    state: Option<DeliveryState>,
}

pub(crate) async fn list(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let filter = DeliveryFilter {
        environment: Some(access.environment),
        webhook: wanted.webhook,
        event: wanted.event,
        state: wanted.state,
    };
    let page = list::page(wanted.limit, wanted.cursor);
    let listing = gateway.store.deliveries(filter, page).await?;
    Ok(list::answer(&listing, DeliveryJson::from))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use tidings_domain::delivery::DeadReason;
    use tidings_storage::record::AfterAttempt;

    use crate::api::testing::Api;

    #[tokio::test]
    async fn each_filter_narrows_the_list() {
        let api = Api::start().await;
        let connection = api.connection("graph").await;
        let [webhook, other] = [api.webhook().await, api.webhook().await];
        let arrived = api.change(&connection, &webhook).await;
        api.attempt(arrived.delivery, &webhook, 200, AfterAttempt::Delivered)
            .await;
        let died = api.change(&connection, &other).await;
        api.attempt(
            died.delivery,
            &other,
            500,
            AfterAttempt::Dead(DeadReason::Exhausted),
        )
        .await;
        let [arrived_id, died_id] = [arrived.delivery.to_string(), died.delivery.to_string()];
        for (query, ids) in [
            ("", vec![&died_id, &arrived_id]),
            ("?state=dead", vec![&died_id]),
            ("?state=delivered", vec![&arrived_id]),
            ("?state=held", vec![]),
            (
                &format!("?webhook={}", other["id"].as_str().unwrap()),
                vec![&died_id],
            ),
            (&format!("?event={}", arrived.event), vec![&arrived_id]),
            (&format!("?event={}&state=dead", arrived.event), vec![]),
        ] {
            let answer = api.admin().get(&format!("/v1/deliveries{query}")).await;
            assert_eq!(answer.ids(), ids, "{query}");
            assert!(
                answer.body["data"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|one| one.get("attempt_log").is_none())
            );
        }
        let answer = api.admin().get("/v1/deliveries?state=lost").await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    }
}
