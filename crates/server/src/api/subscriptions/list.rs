//! `GET /v1/subscriptions`: newest first; `connection` narrows it.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use serde::Deserialize;
use tidings_domain::ids::ConnectionId;
use tidings_pipeline::gateway::Gateway;

use super::SubscriptionJson;
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
    connection: Option<ConnectionId>,
}

pub(crate) async fn list(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let page = list::page(wanted.limit, wanted.cursor);
    let listing = gateway
        .store
        .subscriptions(Some(access.environment), wanted.connection, page)
        .await?;
    list::try_answer(&listing, |subscription| {
        SubscriptionJson::new(&gateway, subscription)
    })
}

#[cfg(test)]
mod tests {
    use crate::api::testing::Api;

    #[tokio::test]
    async fn a_connection_narrows_the_list() {
        let api = Api::start().await;
        let [one, other] = [api.connection("one").await, api.connection("other").await];
        let of_one = api.subscription(&one).await.to_string();
        let of_other = api.subscription(&other).await.to_string();
        let [one, other] = [&one, &other].map(|connection| connection["id"].as_str().unwrap());
        for (query, ids) in [
            (String::new(), vec![&of_other, &of_one]),
            (format!("?connection={one}"), vec![&of_one]),
            (format!("?connection={other}"), vec![&of_other]),
        ] {
            let answer = api.admin().get(&format!("/v1/subscriptions{query}")).await;
            assert_eq!(answer.ids(), ids, "{query}");
        }
    }
}
