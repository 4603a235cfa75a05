//! `DELETE /v1/webhooks/{id}`: with its deliveries that have not arrived.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use tidings_domain::ids::WebhookId;
use tidings_pipeline::gateway::Gateway;

use crate::{
    api::{access::Access, path::Named},
    problem::Problem,
};

pub(crate) async fn delete(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Named(id): Named<WebhookId>,
) -> Result<StatusCode, Problem> {
    super::find(&gateway, &access, id).await?;
    gateway.manage.delete_webhook(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use crate::api::testing::Api;

    #[tokio::test]
    async fn a_removed_webhook_is_gone() {
        let api = Api::start().await;
        let webhook = api.webhook().await;
        let path = format!("/v1/webhooks/{}", webhook["id"].as_str().unwrap());
        let answer = api.admin().delete(&path).await;
        assert_eq!(
            (answer.status, answer.body.is_null()),
            (StatusCode::NO_CONTENT, true)
        );
        assert_eq!(api.admin().get(&path).await.status, StatusCode::NOT_FOUND);
        assert_eq!(
            api.admin().delete(&path).await.status,
            StatusCode::NOT_FOUND
        );
    }
}
