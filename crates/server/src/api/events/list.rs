//! `GET /v1/events`: newest first; `connection` and `trigger` narrow it.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use serde::Deserialize;
use tidings_domain::ids::ConnectionId;
use tidings_pipeline::gateway::Gateway;
use tidings_storage::record::EventFilter;

use super::EventJson;
use crate::{
    api::{
        access::Access,
        list::{self, After, Limit},
        parsed::TriggerName,
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
    connection: Option<ConnectionId>,
    trigger: Option<TriggerName>,
}

pub(crate) async fn list(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let filter = EventFilter {
        environment: Some(access.environment),
        connection: wanted.connection,
        trigger: wanted.trigger.map(Into::into),
    };
    let page = list::page(wanted.limit, wanted.cursor);
    let listing = gateway.store.events(filter, page).await?;
    Ok(list::answer(&listing, EventJson::from))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use crate::api::testing::Api;

    #[tokio::test]
    async fn each_filter_narrows_the_list() {
        let api = Api::start().await;
        let connection = api.connection("graph").await;
        let webhook = api.webhook().await;
        let older = api.change(&connection, &webhook).await.event.to_string();
        let newer = api.change(&connection, &webhook).await.event.to_string();
        let connection = connection["id"].as_str().unwrap();
        for (query, ids) in [
            ("", vec![&newer, &older]),
            ("?trigger=event.updated", vec![&newer, &older]),
            ("?trigger=event.deleted", vec![]),
            (&format!("?connection={connection}"), vec![&newer, &older]),
            ("?connection=conn_01J00000000000000000000000", vec![]),
        ] {
            let answer = api.admin().get(&format!("/v1/events{query}")).await;
            assert_eq!(answer.ids(), ids, "{query}");
            assert!(
                answer.body["data"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|one| one.get("body").is_none())
            );
        }
        let answer = api.admin().get("/v1/events?trigger=event.update").await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.contains("did you mean `event.updated`?"), "{detail}");
    }
}
