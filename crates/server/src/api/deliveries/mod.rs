//! Deliveries: events on their way to webhooks.

use std::sync::Arc;

use serde::Serialize;
use tidings_domain::{
    Timestamp,
    delivery::{Attempt, AttemptOutcome, DeadReason, Delivery, DeliveryState},
    ids::{DeliveryId, EnvironmentId, EventId, WebhookId},
    trigger::Trigger,
};
use tidings_pipeline::gateway::Gateway;

use super::access::Access;
use crate::problem::Problem;

pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod redeliver;

/// A delivery as it is shown.
#[derive(Debug, Serialize)]
pub(crate) struct DeliveryJson {
    id: DeliveryId,
    environment_id: EnvironmentId,
    event_id: EventId,
    trigger: Trigger,
    webhook_id: WebhookId,
    state: DeliveryState,
    dead_reason: Option<DeadReason>,
    attempts: u32,
    due_at: Option<Timestamp>,
    last_status: Option<u16>,
    created_at: Timestamp,
    finished_at: Option<Timestamp>,
    /// Oldest first; only where one delivery is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt_log: Option<Vec<AttemptJson>>,
}

impl From<&Delivery> for DeliveryJson {
    fn from(delivery: &Delivery) -> Self {
        Self {
            id: delivery.id,
            environment_id: delivery.environment,
            event_id: delivery.event,
            trigger: delivery.trigger,
            webhook_id: delivery.webhook,
            state: delivery.state,
            dead_reason: delivery.dead_reason,
            attempts: delivery.attempts,
            due_at: delivery.due_at,
            last_status: delivery.last_status,
            created_at: delivery.created_at,
            finished_at: delivery.finished_at,
            attempt_log: None,
        }
    }
}

/// An attempt as it is shown.
#[derive(Debug, Serialize)]
struct AttemptJson {
    number: u32,
    started_at: Timestamp,
    took_ms: u64,
    outcome: AttemptOutcome,
    status: Option<u16>,
    error: Option<String>,
    /// The beginning of the answer's body, with what is no UTF-8 replaced.
    answer: String,
}

impl From<&Attempt> for AttemptJson {
    fn from(attempt: &Attempt) -> Self {
        Self {
            number: attempt.number,
            started_at: attempt.started_at,
            took_ms: u64::try_from(attempt.took.as_millis()).unwrap_or(u64::MAX),
            outcome: attempt.outcome,
            status: attempt.status,
            error: attempt.error.clone(),
            answer: String::from_utf8_lossy(&attempt.answer).into_owned(),
        }
    }
}

/// The delivery with this id that the caller can see.
async fn find(
    gateway: &Arc<Gateway>,
    access: &Access,
    id: DeliveryId,
) -> Result<Delivery, Problem> {
    let delivery = gateway.store.delivery(id).await?;
    delivery
        .filter(|delivery| delivery.environment == access.environment)
        .ok_or_else(|| Problem::not_found(format_args!("delivery `{id}`")))
}
