//! What has happened and how things stand.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use http::StatusCode;
use serde_json::{Value, json};

use super::subscriptions;
use crate::{
    CallCount, Endpoint, Loss, QuotaUse, Sent, Violation,
    notify::{self},
    world::World,
};

pub(super) async fn all(State(world): State<Arc<World>>) -> Json<Value> {
    Json(json!({
        "now": world.clock.now(),
        "tenants": world.directory.info(),
        "subscriptions": subscriptions::all(&world),
        "faults": world.faults.all(),
        "switches": &*world.switches(),
        "delivery": world.delivery(),
        "limits": world.book.limits(),
        "throttling": world.throttle.rules(),
        "endpoints": notify::endpoints(&world),
        "pending": notify::pending(&world),
        "calls": world.ledger.calls(),
        "violations": world.ledger.violations(),
        "losses": world.ledger.losses(),
    }))
}

pub(super) async fn calls(State(world): State<Arc<World>>) -> Json<Vec<CallCount>> {
    Json(world.ledger.calls())
}

pub(super) async fn sent(State(world): State<Arc<World>>) -> Json<Vec<Sent>> {
    Json(world.ledger.all_sent())
}

pub(super) async fn violations(State(world): State<Arc<World>>) -> Json<Vec<Violation>> {
    Json(world.ledger.violations())
}

pub(super) async fn endpoints(State(world): State<Arc<World>>) -> Json<Vec<Endpoint>> {
    Json(notify::endpoints(&world))
}

pub(super) async fn losses(State(world): State<Arc<World>>) -> Json<BTreeMap<Loss, u64>> {
    Json(world.ledger.losses())
}

pub(super) async fn quotas(State(world): State<Arc<World>>) -> Json<Vec<QuotaUse>> {
    Json(world.throttle.uses())
}

pub(super) async fn clear(State(world): State<Arc<World>>) -> StatusCode {
    world.throttle.forget();
    world.ledger.clear();
    StatusCode::NO_CONTENT
}
