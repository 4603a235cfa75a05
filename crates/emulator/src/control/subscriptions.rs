//! Subscriptions of all apps, and lifecycle notifications on demand.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tidings_domain::{Timestamp, notification::LifecycleEvent};
use uuid::Uuid;

use super::ControlError;
use crate::{notify, subscription::Subscription, world::World};

/// A subscription as tests need it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SubscriptionInfo {
    /// Its id.
    pub id: Uuid,
    /// The app that made it.
    pub client_id: Uuid,
    /// The tenant it was made in.
    pub tenant_id: Uuid,
    /// What is watched, as asked for.
    pub resource: String,
    /// Which changes, as asked for.
    pub change_type: String,
    /// Where notifications go.
    pub notification_url: String,
    /// Where lifecycle notifications go.
    pub lifecycle_url: Option<String>,
    /// The shared secret.
    pub client_state: Option<String>,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Every living subscription.
pub(crate) fn all(world: &World) -> Vec<SubscriptionInfo> {
    let all = world.book.all(world.clock.now());
    all.iter().map(|subscription| info(subscription)).collect()
}

/// Sends a lifecycle notification; `subscriptionRemoved` also removes the subscription.
pub(crate) fn lifecycle(
    world: &Arc<World>,
    id: Uuid,
    event: LifecycleEvent,
) -> Result<(), ControlError> {
    let now = world.clock.now();
    let subscription = world
        .book
        .get(id, now)
        .ok_or(ControlError::NotFound("subscription"))?;
    notify::lifecycle(world, &subscription, event)?;
    if event == LifecycleEvent::SubscriptionRemoved {
        world.book.remove(id, now);
    }
    Ok(())
}

fn info(subscription: &Subscription) -> SubscriptionInfo {
    SubscriptionInfo {
        id: subscription.id,
        client_id: subscription.app,
        tenant_id: subscription.tenant,
        resource: subscription.resource.clone(),
        change_type: subscription.change_type.clone(),
        notification_url: subscription.notification_url.text.clone(),
        lifecycle_url: subscription
            .lifecycle_url
            .as_ref()
            .map(|address| address.text.clone()),
        client_state: subscription.client_state.clone(),
        expires_at: subscription.expires_at,
    }
}

/// Which lifecycle notification to send.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Send {
    event: String,
}

pub(super) async fn list(State(world): State<Arc<World>>) -> Json<Vec<SubscriptionInfo>> {
    Json(all(&world))
}

pub(super) async fn remove(
    State(world): State<Arc<World>>,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, ControlError> {
    world
        .book
        .remove(id, world.clock.now())
        .map(|_| StatusCode::NO_CONTENT)
        .ok_or(ControlError::NotFound("subscription"))
}

pub(super) async fn send(
    State(world): State<Arc<World>>,
    Path(id): Path<Uuid>,
    Json(send): Json<Send>,
) -> Result<StatusCode, ControlError> {
    let event = send.event.parse().map_err(
        |error: tidings_domain::notification::UnknownLifecycleEvent| {
            ControlError::Invalid(error.to_string())
        },
    )?;
    lifecycle(&world, id, event)?;
    Ok(StatusCode::ACCEPTED)
}
