//! `DELETE /v1/connections/{id}`: without subscriptions at once. With them only if `subscriptions=delete` says so: they are
//! removed at Graph first, and it shows as `deleting` until that is done.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::StatusCode;
use serde::Deserialize;
use tidings_domain::ids::ConnectionId;
use tidings_pipeline::gateway::Gateway;

use super::ConnectionJson;
use crate::{
    api::{access::Access, path::NamedWith},
    problem::Problem,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct How {
    /// What becomes of its subscriptions.
    subscriptions: Option<Subscriptions>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Subscriptions {
    /// They are removed, at Graph too.
    Delete,
}

pub(crate) async fn delete(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    NamedWith(id, how): NamedWith<ConnectionId, How>,
) -> Result<Response, Problem> {
    super::find(&gateway, &access, id).await?;
    if how.subscriptions == Some(Subscriptions::Delete) {
        gateway.manage.delete_connection(id).await?;
    } else {
        gateway.manage.disconnect(id).await.map_err(|error| {
            Problem::in_use(
                error,
                "this connection still has subscriptions: delete them first, or add `?subscriptions=delete` to have that done",
            )
        })?;
    }
    Ok(match gateway.store.connection(id).await? {
        None => StatusCode::NO_CONTENT.into_response(),
        Some(left) => {
            let shown = ConnectionJson::new(&gateway, &left)?;
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

    #[tokio::test]
    async fn with_its_subscriptions_it_goes_only_if_that_is_said() {
        let api = Api::start().await;
        let connection = api.connection("graph").await;
        api.subscription(&connection).await;
        let path = format!("/v1/connections/{}", connection["id"].as_str().unwrap());
        let wrong = api
            .admin()
            .delete(&format!("{path}?subscriptions=keep"))
            .await;
        assert_eq!(wrong.status, StatusCode::BAD_REQUEST, "{wrong:?}");
        let answer = api
            .admin()
            .delete(&format!("{path}?subscriptions=delete"))
            .await;
        assert_eq!(
            (answer.status, &answer.body["state"]),
            (StatusCode::ACCEPTED, &json!("deleting"))
        );
        assert_eq!(api.admin().get(&path).await.body, answer.body);
    }

    #[tokio::test]
    async fn a_disabled_one_says_so_and_can_be_enabled() {
        let api = Api::start().await;
        let connection = api.connection("graph").await;
        let path = format!("/v1/connections/{}", connection["id"].as_str().unwrap());
        let disabled = api
            .admin()
            .post(&format!("{path}/disable"), json!({}))
            .await;
        assert_eq!(
            (disabled.status, &disabled.body["state"]),
            (StatusCode::OK, &json!("disabled"))
        );
        let enabled = api.admin().post(&format!("{path}/enable"), json!({})).await;
        assert_eq!(enabled.body["state"], "active");
    }
}
