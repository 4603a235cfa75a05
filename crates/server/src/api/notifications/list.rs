//! `GET /v1/notifications`: newest first; `verdict`, `integration` (its key) and `connection` narrow it.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use serde::Deserialize;
use tidings_domain::{ids::ConnectionId, notification::Verdict};
use tidings_pipeline::gateway::Gateway;
use tidings_storage::record::NotificationFilter;

use super::NotificationJson;
use crate::{
    api::{
        access::Access,
        list::{self, After, Limit},
        parsed::Parsed,
        query::Query,
    },
    problem::{Code, Problem},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    #[serde(default)]
    limit: Limit,
    cursor: Option<After>,
    verdict: Option<Parsed<Verdict>>,
    integration: Option<String>,
    connection: Option<ConnectionId>,
}

pub(crate) async fn list(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let integration = match wanted.integration {
        None => None,
        Some(key) => {
            let found = gateway.directory.integration(access.environment, &key);
            let found = found.ok_or_else(|| {
                let detail =
                    format!("integration: there is no integration `{key}` in this environment");
                Problem::new(Code::InvalidParameter, detail)
            })?;
            Some(found.id)
        }
    };
    let filter = NotificationFilter {
        environment: Some(access.environment),
        integration,
        connection: wanted.connection,
        verdict: wanted.verdict.map(|Parsed(verdict)| verdict),
    };
    let page = list::page(wanted.limit, wanted.cursor);
    let listing = gateway.store.notifications(filter, page).await?;
    Ok(list::answer(&listing, NotificationJson::from))
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
        let accepted = api
            .change(&connection, &webhook)
            .await
            .notification
            .to_string();
        let malformed = api.rejected(&connection, b"{}").await.to_string();
        let connection = connection["id"].as_str().unwrap();
        for (query, ids) in [
            ("", vec![&malformed, &accepted]),
            ("?verdict=accepted", vec![&accepted]),
            ("?verdict=malformed", vec![&malformed]),
            ("?verdict=duplicate", vec![]),
            ("?integration=graph", vec![&malformed, &accepted]),
            (&format!("?connection={connection}"), vec![&accepted]),
            (
                &format!("?connection={connection}&verdict=malformed"),
                vec![],
            ),
        ] {
            let answer = api.admin().get(&format!("/v1/notifications{query}")).await;
            assert_eq!(answer.ids(), ids, "{query}");
            assert!(
                answer.body["data"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|one| one.get("item").is_none())
            );
        }
        for query in ["verdict=good", "integration=no-such", "connection=graph"] {
            let answer = api.admin().get(&format!("/v1/notifications?{query}")).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        }
    }
}
