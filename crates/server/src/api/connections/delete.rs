//! `DELETE /v1/connections/{id}`: of a connection without subscriptions.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use tidings_domain::ids::ConnectionId;
use tidings_pipeline::gateway::Gateway;

use crate::{
    api::{access::Access, path::Named},
    problem::Problem,
};

pub(crate) async fn delete(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Named(id): Named<ConnectionId>,
) -> Result<StatusCode, Problem> {
    super::find(&gateway, &access, id).await?;
    gateway.manage.disconnect(id).await.map_err(|error| {
        Problem::in_use(
            error,
            "this connection still has subscriptions: delete them first",
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
    async fn a_connection_with_subscriptions_stays() {
        let api = Api::start().await;
        let connection = api.connection("graph").await;
        let subscription = api.subscription(&connection).await;
        let path = format!("/v1/connections/{}", connection["id"].as_str().unwrap());
        let answer = api.admin().delete(&path).await;
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (StatusCode::CONFLICT, &json!("in_use"))
        );
        api.gateway
            .store
            .delete_subscription(subscription)
            .await
            .unwrap();
        assert_eq!(
            api.admin().delete(&path).await.status,
            StatusCode::NO_CONTENT
        );
        assert_eq!(api.admin().get(&path).await.status, StatusCode::NOT_FOUND);
    }
}
