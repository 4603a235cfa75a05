//! `POST /sync/trigger`: has subscriptions compared with Graph now, for apps that ask as they would ask Nango.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use tidings_domain::ids::ConnectionId;
use tidings_pipeline::{gateway::Gateway, reconcile::trigger::Trigger};

use super::{access::Access, body::Body};
use crate::problem::{Code, Problem};

/// What is to be compared, in Nango's words.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// The key of the integration.
    provider_config_key: String,
    /// Only this connection; else all of the integration.
    #[serde(default)]
    connection_id: Option<ConnectionId>,
    /// Only these: ids of subscriptions, resources or kinds; else all.
    #[serde(default)]
    syncs: Vec<String>,
    /// `incremental`, also if it is left out.
    #[serde(default)]
    sync_mode: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Triggered {
    success: bool,
    /// How many will be compared.
    subscriptions: u64,
}

pub(crate) async fn trigger(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Body(request): Body<Request>,
) -> Result<Json<Triggered>, Problem> {
    if let Some(mode) = request.sync_mode.filter(|mode| mode != "incremental") {
        let detail = format!(
            "there is no mode `{mode}` here: leave `sync_mode` out, or say `incremental`; what Graph has and the app \
             was not told of is found either way"
        );
        return Err(Problem::new(Code::InvalidBody, detail).at("/sync_mode"));
    }
    let trigger = Trigger {
        environment: access.environment,
        integration: request.provider_config_key,
        connection: request.connection_id,
        syncs: request.syncs,
    };
    let subscriptions = gateway.reconcile.trigger(trigger).await?;
    Ok(Json(Triggered {
        success: true,
        subscriptions,
    }))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::{Value, json};

    use crate::api::testing::Api;

    #[tokio::test]
    async fn what_is_named_is_compared() {
        let api = Api::start().await;
        let connection = api.connection("graph").await;
        let mut ids = Vec::new();
        for resource in ["users/7/events", "users/7/messages", "users/8/events"] {
            let new = json!({
                "connection_id": connection["id"],
                "resource": resource,
                "change_types": ["created"],
            });
            let made = api.admin().make("/v1/subscriptions", new).await;
            ids.push(made["id"].clone());
        }
        let connection = &connection["id"];
        for (more, meant) in [
            (json!({}), 3),
            (json!({ "connection_id": connection }), 3),
            (json!({ "syncs": [], "sync_mode": "incremental" }), 3),
            (json!({ "syncs": ["event"] }), 2),
            (
                json!({ "syncs": ["/users/8/events", "message"], "connection_id": connection }),
                2,
            ),
            (json!({ "syncs": [ids[1]] }), 1),
        ] {
            let mut body = json!({ "provider_config_key": "graph" });
            merge(&mut body, &more);
            let answer = api.admin().post("/sync/trigger", body.clone()).await;
            assert_eq!(answer.status, StatusCode::OK, "{body}: {answer:?}");
            let expected = json!({ "success": true, "subscriptions": meant });
            assert_eq!(answer.body, expected, "{body}");
        }
    }

    #[tokio::test]
    async fn what_fits_nothing_is_pointed_at() {
        let api = Api::start().await;
        api.connection("graph").await;
        let other = api.connection("other").await;
        for (body, status, pointer) in [
            (
                json!({}),
                StatusCode::BAD_REQUEST,
                json!("/provider_config_key"),
            ),
            (
                json!({ "provider_config_key": "none" }),
                StatusCode::NOT_FOUND,
                Value::Null,
            ),
            (
                json!({ "provider_config_key": "graph", "connection_id": other["id"] }),
                StatusCode::NOT_FOUND,
                Value::Null,
            ),
            (
                json!({ "provider_config_key": "graph", "syncs": ["event"] }),
                StatusCode::BAD_REQUEST,
                json!("/syncs"),
            ),
            (
                json!({ "provider_config_key": "graph", "sync_mode": "full_refresh" }),
                StatusCode::BAD_REQUEST,
                json!("/sync_mode"),
            ),
        ] {
            let answer = api.admin().post("/sync/trigger", body.clone()).await;
            assert_eq!(answer.status, status, "{body}: {answer:?}");
            assert_eq!(answer.body["pointer"], pointer, "{body}");
        }
    }

    fn merge(body: &mut Value, more: &Value) {
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
    }
}
