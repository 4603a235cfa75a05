//! A scenario over HTTP, and what is true.

use std::sync::{Arc, PoisonError};

use axum::{Json, extract::State};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use tidings_domain::Timestamp;

use super::ControlError;
use crate::{Fact, Run, Scenario, world::World};

/// Begins a scenario in the place of the one that was under way; truth is kept from now on.
pub(super) async fn begin(
    State(world): State<Arc<World>>,
    Json(scenario): Json<Scenario>,
) -> Result<(StatusCode, Json<Value>), ControlError> {
    world.truth.keep();
    let run = Run::begin(&world, &scenario)?;
    let shown = show(&run);
    *world.run.lock().unwrap_or_else(PoisonError::into_inner) = Some(run);
    Ok((StatusCode::CREATED, Json(shown)))
}

pub(super) async fn state(State(world): State<Arc<World>>) -> Result<Json<Value>, ControlError> {
    let run = world.run.lock().unwrap_or_else(PoisonError::into_inner);
    let run = run.as_ref().ok_or(ControlError::NotFound("scenario"))?;
    Ok(Json(show(run)))
}

/// How far to go: so many changes, whatever the clock says, or all that are due until a point in time.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Go {
    Steps(u64),
    Until(Timestamp),
}

pub(super) async fn go(
    State(world): State<Arc<World>>,
    Json(go): Json<Go>,
) -> Result<Json<Value>, ControlError> {
    let mut run = world.run.lock().unwrap_or_else(PoisonError::into_inner);
    let run = run.as_mut().ok_or(ControlError::NotFound("scenario"))?;
    match go {
        Go::Steps(steps) => {
            for _ in 0..steps {
                run.step()?;
            }
        }
        Go::Until(time) => {
            run.until(time)?;
        }
    }
    Ok(Json(show(run)))
}

pub(super) async fn truth(State(world): State<Arc<World>>) -> Json<Vec<Fact>> {
    Json(world.truth.facts())
}

fn show(run: &Run) -> Value {
    json!({
        "tenants": run.tenants(),
        "steps": run.steps(),
        "next_at": run.next_at(),
    })
}
