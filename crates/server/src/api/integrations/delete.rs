//! `DELETE /v1/integrations/{key}`: of an integration without connections.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use tidings_pipeline::gateway::Gateway;

use crate::{
    api::{access::Access, path::Named},
    problem::Problem,
};

pub(crate) async fn delete(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Named(name): Named<String>,
) -> Result<StatusCode, Problem> {
    let integration = super::find(&gateway, &access, &name)?;
    gateway
        .manage
        .delete_integration(integration.id)
        .await
        .map_err(|error| {
            Problem::in_use(
                error,
                "this integration still has connections: delete them first",
            )
        })?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use crate::api::testing::Api;

    #[tokio::test]
    async fn an_integration_with_connections_stays() {
        let api = Api::start().await;
        let connection = api.connection("graph").await;
        let answer = api.admin().delete("/v1/integrations/graph").await;
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (StatusCode::CONFLICT, &json!("in_use"))
        );
        let path = format!("/v1/connections/{}", connection["id"].as_str().unwrap());
        assert_eq!(
            api.admin().delete(&path).await.status,
            StatusCode::NO_CONTENT
        );
        assert_eq!(
            api.admin().delete("/v1/integrations/graph").await.status,
            StatusCode::NO_CONTENT
        );
        assert_eq!(
            api.admin().get("/v1/integrations/graph").await.status,
            StatusCode::NOT_FOUND
        );
    }
}
