//! `GET /v1/connections`: newest first.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use tidings_pipeline::gateway::Gateway;

use super::ConnectionJson;
use crate::{
    api::{
        access::Access,
        list::{self, PageQuery},
        query::Query,
    },
    problem::Problem,
};

pub(crate) async fn list(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Query(wanted): Query<PageQuery>,
) -> Result<Response, Problem> {
    let listing = gateway
        .store
        .connections(Some(access.environment), wanted.page())
        .await?;
    list::try_answer(&listing, |connection| {
        ConnectionJson::new(&gateway, connection)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::api::testing::Api;

    #[tokio::test]
    async fn pages_follow_each_other_to_the_end() {
        let api = Api::start().await;
        api.admin()
            .make("/v1/integrations", api.integration("graph"))
            .await;
        let mut made = Vec::new();
        for number in 1..=3 {
            let tenant_id = format!("0a1b2c3d-4e5f-4a6b-8c7d-00000000000{number}");
            let new = json!({ "integration": "graph", "tenant_id": tenant_id });
            made.insert(0, api.admin().make("/v1/connections", new).await);
        }
        let first = api.admin().get("/v1/connections?limit=2").await.body;
        assert_eq!(first["data"], json!(made[..2]));
        let cursor = first["next_cursor"].as_str().unwrap();
        let second = api
            .admin()
            .get(&format!("/v1/connections?limit=2&cursor={cursor}"))
            .await
            .body;
        assert_eq!(second, json!({ "data": made[2..], "next_cursor": null }));
    }
}
