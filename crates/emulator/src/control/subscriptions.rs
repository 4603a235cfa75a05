//! Subscriptions of all apps, and lifecycle notifications on demand.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tidings_domain::{
    Timestamp,
    notification::{LifecycleEvent, UnknownLifecycleEvent},
};
use uuid::Uuid;

use super::ControlError;
use crate::{
    notify::{self, challenge, pause},
    subscription::Subscription,
    world::World,
};

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
    /// When the token expires that it was made, renewed or reauthorized with.
    pub token_expires_at: Timestamp,
    /// Whether it is not notified now.
    pub paused: bool,
    /// How many notifications are held for it.
    pub held: usize,
}

/// Every living subscription.
pub(crate) fn all(world: &World) -> Vec<SubscriptionInfo> {
    let all = world.book.all(world.clock.now());
    all.iter()
        .map(|subscription| info(world, subscription))
        .collect()
}

/// Sends a lifecycle notification; `subscriptionRemoved` also removes the subscription.
pub(crate) fn lifecycle(
    world: &Arc<World>,
    id: Uuid,
    event: LifecycleEvent,
) -> Result<(), ControlError> {
    let subscription = find(world, id)?;
    notify::lifecycle(world, &subscription, event)?;
    if event == LifecycleEvent::SubscriptionRemoved {
        remove_silently(world, id);
    }
    Ok(())
}

/// Sends several lifecycle notifications, those to one URL in one POST; each `subscriptionRemoved` also removes the subscription.
pub(crate) fn lifecycles(
    world: &Arc<World>,
    all: &[(Uuid, LifecycleEvent)],
) -> Result<(), ControlError> {
    let found = all
        .iter()
        .map(|&(id, event)| Ok((find(world, id)?, event)))
        .collect::<Result<Vec<_>, ControlError>>()?;
    notify::lifecycles(world, &found)?;
    for (id, event) in all {
        if *event == LifecycleEvent::SubscriptionRemoved {
            remove_silently(world, *id);
        }
    }
    Ok(())
}

/// Removes a subscription without telling anybody; whether it was there.
pub(crate) fn remove_silently(world: &World, id: Uuid) -> bool {
    let removed = world.book.remove(id, world.clock.now()).is_some();
    challenge::acted(world, id);
    pause::forget(world, id);
    removed
}

fn find(world: &World, id: Uuid) -> Result<Arc<Subscription>, ControlError> {
    world
        .book
        .get(id, world.clock.now())
        .ok_or(ControlError::NotFound("subscription"))
}

fn info(world: &World, subscription: &Subscription) -> SubscriptionInfo {
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
        token_expires_at: subscription.token_expires_at,
        paused: pause::is_paused(world, subscription, world.clock.now()),
        held: notify::held(world, subscription.id),
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
    if remove_silently(&world, id) {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(ControlError::NotFound("subscription"))
}

pub(super) async fn send(
    State(world): State<Arc<World>>,
    Path(id): Path<Uuid>,
    Json(send): Json<Send>,
) -> Result<StatusCode, ControlError> {
    lifecycle(&world, id, event(&send.event)?)?;
    Ok(StatusCode::ACCEPTED)
}

/// One of several lifecycle notifications to send.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SendTo {
    subscription: Uuid,
    event: String,
}

pub(super) async fn send_all(
    State(world): State<Arc<World>>,
    Json(sends): Json<Vec<SendTo>>,
) -> Result<StatusCode, ControlError> {
    let all = sends
        .iter()
        .map(|send| Ok((send.subscription, event(&send.event)?)))
        .collect::<Result<Vec<_>, ControlError>>()?;
    lifecycles(&world, &all)?;
    Ok(StatusCode::ACCEPTED)
}

fn event(word: &str) -> Result<LifecycleEvent, ControlError> {
    word.parse()
        .map_err(|error: UnknownLifecycleEvent| ControlError::Invalid(error.to_string()))
}
