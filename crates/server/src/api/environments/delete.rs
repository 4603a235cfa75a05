//! `DELETE /v1/environments/{id or name}`: of an environment without integrations and webhooks.

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
    let environment = super::find(&gateway, &access, &name).await?;
    super::spanning(&access)?;
    gateway
        .manage
        .delete_environment(environment.id)
        .await
        .map_err(|error| {
            Problem::in_use(
                error,
                "this environment still has integrations or webhooks: delete them first",
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
    async fn its_keys_go_with_an_environment() {
        let api = Api::start().await;
        api.admin()
            .make("/v1/environments", json!({ "name": "prod" }))
            .await;
        let key = json!({ "name": "k", "scope": "admin" });
        let key = api.admin().within("prod").make("/v1/keys", key).await;
        let holder = api.caller(key["key"].as_str().unwrap());
        assert_eq!(holder.get("/v1/events").await.status, StatusCode::OK);
        // Not even an administrator of the environment removes it.
        assert_eq!(
            holder.delete("/v1/environments/prod").await.status,
            StatusCode::FORBIDDEN
        );
        let answer = api.admin().delete("/v1/environments/prod").await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
        assert_eq!(
            holder.get("/v1/events").await.status,
            StatusCode::UNAUTHORIZED
        );
    }

    #[tokio::test]
    async fn only_an_empty_environment_is_removed() {
        let api = Api::start().await;
        api.admin()
            .make("/v1/environments", json!({ "name": "prod" }))
            .await;
        let within = api.admin().within("prod");
        within
            .make("/v1/integrations", api.integration("graph"))
            .await;
        let answer = api.admin().delete("/v1/environments/prod").await;
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (StatusCode::CONFLICT, &json!("in_use"))
        );
        assert_eq!(
            within.delete("/v1/integrations/graph").await.status,
            StatusCode::NO_CONTENT
        );
        assert_eq!(
            api.admin().delete("/v1/environments/prod").await.status,
            StatusCode::NO_CONTENT
        );
        assert_eq!(
            api.admin().get("/v1/environments/prod").await.status,
            StatusCode::NOT_FOUND
        );
        assert_eq!(
            api.admin().delete("/v1/environments/prod").await.status,
            StatusCode::NOT_FOUND
        );
    }
}
