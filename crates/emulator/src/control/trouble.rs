//! What administrators break, and heal again.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use serde::Deserialize;
use tidings_domain::notification::LifecycleEvent;
use uuid::Uuid;

use super::ControlError;
use crate::{
    SecretTrouble, Trouble,
    notify::{self, pause},
    switches::Challenges,
    world::World,
};

/// Breaks the access of an app to a tenant. Where challenges are switched on, each of its subscriptions there is asked to be
/// reauthorized.
pub(crate) fn break_access(
    world: &Arc<World>,
    tenant: Uuid,
    app: Uuid,
    trouble: Trouble,
) -> Result<(), ControlError> {
    let consent = world
        .directory
        .tenant_by_id(tenant)
        .ok_or(ControlError::NotFound("tenant"))?
        .consent_to(app);
    consent.ok_or(ControlError::NotFound("consent"))?;
    let now = world.clock.now();
    world.troubles.break_access(tenant, app, trouble, now);
    if world.switches().challenges == Challenges::Off {
        return Ok(());
    }
    let asked: Vec<_> = world
        .book
        .of(app, tenant, now)
        .into_iter()
        .filter(|subscription| subscription.lifecycle_url.is_some())
        .map(|subscription| (subscription, LifecycleEvent::ReauthorizationRequired))
        .collect();
    Ok(notify::lifecycles(world, &asked)?)
}

/// Heals it; whether it was broken. What was held for its subscriptions is sent.
pub(crate) fn heal_access(world: &Arc<World>, tenant: Uuid, app: Uuid) -> bool {
    let healed = world.troubles.heal_access(tenant, app);
    for subscription in world.book.of(app, tenant, world.clock.now()) {
        pause::release(world, &subscription);
    }
    healed
}

/// Breaks the secret of an app, for all tenants.
pub(crate) fn break_secret(
    world: &World,
    app: Uuid,
    trouble: SecretTrouble,
) -> Result<(), ControlError> {
    world
        .directory
        .secret(app)
        .ok_or(ControlError::NotFound("app"))?;
    world.troubles.break_secret(app, trouble);
    Ok(())
}

/// How to break an app's access.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Access {
    trouble: Trouble,
}

/// How to break an app's secret.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Secret {
    trouble: SecretTrouble,
}

pub(super) async fn set_access(
    State(world): State<Arc<World>>,
    Path((tenant, app)): Path<(Uuid, Uuid)>,
    Json(access): Json<Access>,
) -> Result<StatusCode, ControlError> {
    break_access(&world, tenant, app, access.trouble)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn clear_access(
    State(world): State<Arc<World>>,
    Path((tenant, app)): Path<(Uuid, Uuid)>,
) -> Result<StatusCode, ControlError> {
    if heal_access(&world, tenant, app) {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(ControlError::NotFound("trouble"))
}

pub(super) async fn set_secret(
    State(world): State<Arc<World>>,
    Path(app): Path<Uuid>,
    Json(secret): Json<Secret>,
) -> Result<StatusCode, ControlError> {
    break_secret(&world, app, secret.trouble)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn clear_secret(
    State(world): State<Arc<World>>,
    Path(app): Path<Uuid>,
) -> Result<StatusCode, ControlError> {
    if world.troubles.heal_secret(app) {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(ControlError::NotFound("trouble"))
}
