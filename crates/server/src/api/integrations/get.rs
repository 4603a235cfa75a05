//! `GET /v1/integrations/{key}`: for administrators with the webhook secret.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use tidings_domain::key::Scope;
use tidings_pipeline::gateway::Gateway;

use super::IntegrationJson;
use crate::{
    api::{access::Access, path::Named},
    problem::Problem,
};

pub(crate) async fn get(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Named(name): Named<String>,
) -> Result<Response, Problem> {
    let integration = super::find(&gateway, &access, &name)?;
    let mut shown = IntegrationJson::new(&gateway, &integration);
    if access.scope == Scope::Admin {
        shown.webhook_secret = Some(integration.webhook_secret.expose());
    }
    Ok(Json(shown).into_response())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::api::testing::Api;

    #[tokio::test]
    async fn only_an_administrator_sees_the_webhook_secret_and_only_of_one() {
        let api = Api::start().await;
        let made = api
            .admin()
            .make("/v1/integrations", api.integration("graph"))
            .await;
        let key = api
            .admin()
            .make("/v1/keys", json!({ "name": "r", "scope": "read" }))
            .await;
        let reader = api.caller(key["key"].as_str().unwrap());
        let by_id = format!("/v1/integrations/{}", made["id"].as_str().unwrap());
        for path in ["/v1/integrations/graph", &by_id] {
            assert_eq!(api.admin().get(path).await.body, made);
            let shown = reader.get(path).await.body;
            assert_eq!(shown["key"], "graph");
            assert_eq!(shown.get("webhook_secret"), None);
        }
        let list = api.admin().get("/v1/integrations").await.body;
        assert_eq!(list["data"][0]["key"], "graph");
        assert_eq!(list["data"][0].get("webhook_secret"), None);
    }
}
