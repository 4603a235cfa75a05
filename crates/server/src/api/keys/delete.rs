//! `DELETE /v1/keys/{id}`: it opens nothing from then on.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use tidings_domain::ids::KeyId;
use tidings_pipeline::gateway::Gateway;

use crate::{
    api::{access::Access, path::Named},
    problem::Problem,
};

pub(crate) async fn delete(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Named(id): Named<KeyId>,
) -> Result<StatusCode, Problem> {
    super::find(&gateway, &access, id).await?;
    gateway.manage.delete_key(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use crate::api::testing::Api;

    #[tokio::test]
    async fn a_removed_key_opens_nothing() {
        let api = Api::start().await;
        let key = api
            .admin()
            .make("/v1/keys", json!({ "name": "ci", "scope": "admin" }))
            .await;
        let holder = api.caller(key["key"].as_str().unwrap());
        assert_eq!(holder.get("/v1/events").await.status, StatusCode::OK);
        let path = format!("/v1/keys/{}", key["id"].as_str().unwrap());
        assert_eq!(
            api.admin().delete(&path).await.status,
            StatusCode::NO_CONTENT
        );
        assert_eq!(
            holder.get("/v1/events").await.status,
            StatusCode::UNAUTHORIZED
        );
        assert_eq!(
            api.admin().delete(&path).await.status,
            StatusCode::NOT_FOUND
        );
    }
}
