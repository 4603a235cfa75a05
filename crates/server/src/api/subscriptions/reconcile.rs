//! `GET /v1/subscriptions/{id}/reconcile`: where comparing with Graph stands. `POST` to it, or to `/v1/reconcile` for many,
//! has it begin now.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tidings_domain::{
    Timestamp,
    ids::{ConnectionId, SubscriptionId},
    reconcile::{Reconcile, ReconcileReason},
    subscription::Subscription,
};
use tidings_graph::resource::{Enumeration, SubscriptionPath};
use tidings_pipeline::gateway::Gateway;
use tidings_storage::record::SubscriptionFilter;

use crate::{
    api::{access::Access, body::Body, path::Named},
    problem::{Code, Problem},
};

/// Where comparing a subscription with Graph stands, as it is shown.
#[derive(Debug, Serialize)]
struct ReconcileJson<'a> {
    subscription_id: SubscriptionId,
    reason: ReconcileReason,
    asked_at: Timestamp,
    due_at: Timestamp,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    finds: u64,
    failures: u32,
    last_error: Option<&'a str>,
}

impl<'a> From<&'a Reconcile> for ReconcileJson<'a> {
    fn from(state: &'a Reconcile) -> Self {
        Self {
            subscription_id: state.subscription,
            reason: state.reason,
            asked_at: state.asked_at,
            due_at: state.due_at,
            started_at: state.started_at,
            finished_at: state.finished_at,
            finds: state.finds,
            failures: state.failures,
            last_error: state.last_error.as_deref(),
        }
    }
}

/// Which ones.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// Only those of this connection; else all of the environment.
    #[serde(default)]
    connection_id: Option<ConnectionId>,
}

#[derive(Debug, Serialize)]
struct Asked {
    /// How many will be reconciled.
    subscriptions: u64,
}

pub(crate) async fn get(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Named(id): Named<SubscriptionId>,
) -> Result<Response, Problem> {
    let subscription = super::find(&gateway, &access, id).await?;
    let state = state(&gateway, &subscription).await?;
    Ok(Json(ReconcileJson::from(&state)).into_response())
}

pub(crate) async fn ask_one(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Named(id): Named<SubscriptionId>,
) -> Result<Response, Problem> {
    let subscription = super::find(&gateway, &access, id).await?;
    let which = SubscriptionFilter::One(id);
    gateway.reconcile.ask(which, ReconcileReason::Asked).await?;
    let state = state(&gateway, &subscription).await?;
    Ok((StatusCode::ACCEPTED, Json(ReconcileJson::from(&state))).into_response())
}

pub(crate) async fn ask(
    State(gateway): State<Arc<Gateway>>,
    access: Access,
    Body(request): Body<Request>,
) -> Result<Response, Problem> {
    let which = match request.connection_id {
        None => SubscriptionFilter::Environment(access.environment),
        Some(id) => {
            let connection = gateway
                .store
                .connection(id)
                .await?
                .filter(|connection| connection.environment == access.environment);
            if connection.is_none() {
                return Err(Problem::not_found(format_args!("connection `{id}`")));
            }
            SubscriptionFilter::Connection(id)
        }
    };
    let subscriptions = gateway.reconcile.ask(which, ReconcileReason::Asked).await?;
    Ok((StatusCode::ACCEPTED, Json(Asked { subscriptions })).into_response())
}

async fn state(gateway: &Gateway, subscription: &Subscription) -> Result<Reconcile, Problem> {
    if let Some(state) = gateway.store.reconcile(subscription.id).await? {
        return Ok(state);
    }
    let why = match SubscriptionPath::parse(&subscription.resource).map(|path| path.enumeration()) {
        Ok(Enumeration::None { why }) => why,
        _ => {
            "Graph does not serve the subscription yet: it is reconciled by itself as soon as it does"
        }
    };
    Err(Problem::new(Code::NotReconciled, why))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::{Value, json};

    use crate::api::testing::{Api, normal};

    /// A subscription that Graph has taken; its id.
    async fn subscribed(api: &Api, connection: &Value) -> String {
        let new = json!({
            "connection_id": connection["id"],
            "resource": "users/7/events",
            "change_types": ["created", "updated"],
        });
        let made = api.admin().make("/v1/subscriptions", new).await;
        made["id"].as_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_subscription_is_reconciled_when_somebody_asks() {
        let api = Api::start().await;
        let connection = api.connection("graph").await;
        let id = subscribed(&api, &connection).await;
        let path = format!("/v1/subscriptions/{id}/reconcile");
        let shown = api.admin().get(&path).await;
        assert_eq!(shown.body["reason"], "created", "{shown:?}");
        let asked = api.admin().post(&path, json!({})).await;
        assert_eq!(asked.status, StatusCode::ACCEPTED, "{asked:?}");
        assert_eq!(normal(&asked.body)["subscription_id"], "sub_*");
        assert_eq!(asked.body["reason"], "asked");
    }

    #[tokio::test]
    async fn many_are_reconciled_when_somebody_asks() {
        let api = Api::start().await;
        let [one, other] = [api.connection("one").await, api.connection("other").await];
        for connection in [&one, &other] {
            subscribed(&api, connection).await;
        }
        let all = api.admin().post("/v1/reconcile", json!({})).await;
        assert_eq!(
            (all.status, &all.body),
            (StatusCode::ACCEPTED, &json!({"subscriptions": 2}))
        );
        let one = json!({ "connection_id": one["id"] });
        let one = api.admin().post("/v1/reconcile", one).await;
        assert_eq!(one.body, json!({"subscriptions": 1}));
    }
}
