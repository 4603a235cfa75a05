//! `DELETE /v1/subscriptions/{id}`: removes it at Graph too. Where Graph cannot be asked now, it stays as `deleting`, and
//! is removed as soon as it can.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::StatusCode;
use tidings_domain::ids::SubscriptionId;
use tidings_pipeline::gateway::Gateway;

use super::SubscriptionJson;
use crate::{
    api::{access::Access, path::Named},
    problem::Problem,
};

pub(crate) async fn delete(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Named(id): Named<SubscriptionId>,
) -> Result<Response, Problem> {
    super::find(&gateway, &access, id).await?;
    gateway.subscribe.delete(id).await?;
    Ok(match gateway.store.subscription(id).await? {
        None => StatusCode::NO_CONTENT.into_response(),
        Some(left) => {
            let shown = SubscriptionJson::new(&gateway, &left)?;
            (StatusCode::ACCEPTED, Json(shown)).into_response()
        }
    })
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use crate::api::testing::Api;

    #[tokio::test]
    async fn it_is_gone_here_and_at_graph() {
        let api = Api::start().await;
        let connection = api.connection("graph").await;
        let id = api.subscription(&connection).await;
        let path = format!("/v1/subscriptions/{id}");
        assert_eq!(api.removed_at_graph(), Vec::<String>::new());
        let answer = api.admin().delete(&path).await;
        assert_eq!(
            (answer.status, answer.body),
            (StatusCode::NO_CONTENT, json!(null))
        );
        assert_eq!(
            api.removed_at_graph(),
            ["7f105c7d-2dc5-4530-97cd-4e7ae6534c07"]
        );
        assert_eq!(api.admin().get(&path).await.status, StatusCode::NOT_FOUND);
        assert_eq!(
            api.admin().delete(&path).await.status,
            StatusCode::NOT_FOUND
        );
    }

    #[tokio::test]
    async fn it_stays_as_deleting_while_graph_cannot_be_asked() {
        let api = Api::start().await;
        let connection = api.connection("graph").await;
        let id = api.subscription(&connection).await;
        let path = format!("/v1/subscriptions/{id}");
        api.graph_is_out(true);
        let answer = api.admin().delete(&path).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
        assert_eq!(answer.body["state"], "deleting");
        assert_eq!(api.admin().get(&path).await.body, answer.body);
        api.graph_is_out(false);
        assert_eq!(
            api.admin().delete(&path).await.status,
            StatusCode::NO_CONTENT
        );
    }
}
