//! `GET /v1/integrations`: oldest first.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use tidings_pipeline::gateway::Gateway;

use super::IntegrationJson;
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
    let mut integrations = gateway.store.integrations().await?;
    integrations.retain(|integration| integration.environment == access.environment);
    let listing = list::cut(integrations, wanted.page(), |integration| {
        integration.id.to_string()
    })?;
    Ok(list::answer(&listing, |integration| {
        IntegrationJson::new(&gateway, integration)
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::api::testing::Api;

    #[tokio::test]
    async fn the_oldest_comes_first_page_by_page() {
        let api = Api::start().await;
        for key in ["b", "a"] {
            api.admin()
                .make("/v1/integrations", api.integration(key))
                .await;
        }
        let first = api.admin().get("/v1/integrations?limit=1").await.body;
        assert_eq!(first["data"][0]["key"], "b");
        let next = format!(
            "/v1/integrations?cursor={}",
            first["next_cursor"].as_str().unwrap()
        );
        let second = api.admin().get(&next).await.body;
        assert_eq!(second["data"][0]["key"], "a");
        assert_eq!(second["next_cursor"], json!(null));
    }
}
