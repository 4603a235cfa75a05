//! Faults, switches, times, quotas, the clock, hand-made POSTs.

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State};
use http::StatusCode;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::ControlError;
use crate::{
    Delivery, Fault, Limits, Quotas, RawPost, Switches, Throttling,
    notify::{self},
    world::World,
};

pub(super) async fn faults(State(world): State<Arc<World>>) -> Json<Vec<Fault>> {
    Json(world.faults.all())
}

pub(super) async fn add_fault(
    State(world): State<Arc<World>>,
    Json(fault): Json<Fault>,
) -> (StatusCode, Json<Vec<Fault>>) {
    world.faults.add(fault);
    (StatusCode::CREATED, Json(world.faults.all()))
}

pub(super) async fn clear_faults(State(world): State<Arc<World>>) -> StatusCode {
    world.faults.clear();
    notify::flush(&world);
    StatusCode::NO_CONTENT
}

pub(super) async fn flush(State(world): State<Arc<World>>) -> StatusCode {
    notify::flush(&world);
    StatusCode::NO_CONTENT
}

pub(super) async fn switches(State(world): State<Arc<World>>) -> Json<Switches> {
    Json(Switches::clone(&world.switches()))
}

pub(super) async fn set_switches(
    State(world): State<Arc<World>>,
    Json(changes): Json<Map<String, Value>>,
) -> Result<Json<Switches>, ControlError> {
    let switches: Switches = overlaid(&*world.switches(), changes)?;
    world.set_switches(switches.clone());
    Ok(Json(switches))
}

pub(super) async fn delivery(State(world): State<Arc<World>>) -> Json<Delivery> {
    Json(world.delivery())
}

pub(super) async fn set_delivery(
    State(world): State<Arc<World>>,
    Json(changes): Json<Map<String, Value>>,
) -> Result<Json<Delivery>, ControlError> {
    let delivery: Delivery = overlaid(&world.delivery(), changes)?;
    world.set_delivery(delivery);
    Ok(Json(delivery))
}

pub(super) async fn limits(State(world): State<Arc<World>>) -> Json<Limits> {
    Json(world.book.limits())
}

pub(super) async fn set_limits(
    State(world): State<Arc<World>>,
    Json(changes): Json<Limits>,
) -> Json<Limits> {
    let mut limits = world.book.limits();
    limits.overlay(changes);
    world.book.set_limits(limits.clone());
    Json(limits)
}

pub(super) async fn throttling(State(world): State<Arc<World>>) -> Json<Throttling> {
    Json(world.throttle.rules())
}

/// Quotas that are given join those that are set.
pub(super) async fn set_throttling(
    State(world): State<Arc<World>>,
    Json(mut changes): Json<Map<String, Value>>,
) -> Result<Json<Throttling>, ControlError> {
    let rules = world.throttle.rules();
    if let Some(Value::Object(quotas)) = changes.remove("quotas") {
        let quotas: Quotas = overlaid(&rules.quotas, quotas)?;
        changes.insert(
            "quotas".to_owned(),
            serde_json::to_value(quotas).map_err(invalid)?,
        );
    }
    let rules: Throttling = overlaid(&rules, changes)?;
    world.throttle.set_rules(rules.clone());
    Ok(Json(rules))
}

/// `current` with some members replaced.
fn overlaid<T: Serialize + DeserializeOwned>(
    current: &T,
    changes: Map<String, Value>,
) -> Result<T, ControlError> {
    let mut value = serde_json::to_value(current).map_err(invalid)?;
    if let Value::Object(members) = &mut value {
        members.extend(changes);
    }
    serde_json::from_value(value).map_err(invalid)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that map_err wants"
)]
fn invalid(error: serde_json::Error) -> ControlError {
    ControlError::Invalid(error.to_string())
}

pub(super) async fn clock(State(world): State<Arc<World>>) -> Json<Value> {
    Json(json!({
        "now": world.clock.now(),
        "manual": world.manual_clock.is_some(),
        "next_wake_ms": world
            .manual_clock
            .as_ref()
            .and_then(tidings_domain::clock::ManualClock::next_wake)
            .and_then(|span| u64::try_from(span.as_millis()).ok()),
    }))
}

/// How far to move the clock.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Advance {
    ms: u64,
}

pub(super) async fn advance(
    State(world): State<Arc<World>>,
    Json(advance): Json<Advance>,
) -> Result<Json<Value>, ControlError> {
    let clock = world.manual_clock.as_ref().ok_or(ControlError::NotManual)?;
    clock.advance(Duration::from_millis(advance.ms));
    Ok(Json(json!({"now": world.clock.now()})))
}

pub(super) async fn raw(State(world): State<Arc<World>>, Json(post): Json<RawPost>) -> StatusCode {
    notify::raw(&world, post);
    StatusCode::ACCEPTED
}
