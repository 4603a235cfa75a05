//! One event on its way to one webhook.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    Timestamp,
    ids::{AttemptId, DeliveryId, EnvironmentId, EventId, WebhookId},
    trigger::Trigger,
};

/// One event on its way to one webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its id.
    pub id: DeliveryId,
    /// Where it happens.
    pub environment: EnvironmentId,
    /// What is delivered.
    pub event: EventId,
    /// Which kind of event that is.
    pub trigger: Trigger,
    /// To where.
    pub webhook: WebhookId,
    /// Where it stands.
    pub state: DeliveryState,
    /// Why it is dead; `None` unless it is.
    pub dead_reason: Option<DeadReason>,
    /// How many attempts were made.
    pub attempts: u32,
    /// When the next attempt is due; `None` once delivered or dead.
    pub due_at: Option<Timestamp>,
    /// The HTTP status of the last attempt's answer, if it got one.
    pub last_status: Option<u16>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was delivered or died.
    pub finished_at: Option<Timestamp>,
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Every attempt failed; it is kept, and can be redelivered.
    Dead,
    /// The webhook answered 2xx.
    Delivered,
    /// Its webhook is disabled; it waits.
    Held,
    /// An attempt is due, now or later.
    Pending,
}

impl DeliveryState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Dead, Self::Delivered, Self::Held, Self::Pending];

    /// The state's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dead => "dead",
            Self::Delivered => "delivered",
            Self::Held => "held",
            Self::Pending => "pending",
        }
    }
}

/// Why a delivery is dead.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadReason {
    /// The whole retry schedule passed without a 2xx.
    Exhausted,
}

impl DeadReason {
    /// The reason's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exhausted => "exhausted",
        }
    }
}

/// One HTTP try of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Its id.
    pub id: AttemptId,
    /// Which try it was, from 1.
    pub number: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took, answer body included.
    pub took: Duration,
    /// What came of it.
    pub outcome: AttemptOutcome,
    /// The HTTP status, if an answer came.
    pub status: Option<u16>,
    /// What went wrong, for people; `None` on success.
    pub error: Option<String>,
    /// The beginning of the answer's body: at most 16 KiB.
    pub answer: Bytes,
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// No connection could be made.
    Connect,
    /// The host's name could not be resolved.
    Dns,
    /// The address is not one that deliveries may reach.
    ForbiddenAddress,
    /// The connection broke, or what came was no HTTP answer.
    Protocol,
    /// A 3xx answer: never followed.
    Redirect,
    /// An answer that is neither 2xx nor 3xx.
    Status,
    /// A 2xx answer.
    Success,
    /// The time limit of the whole exchange passed.
    Timeout,
    /// No TLS session could be agreed on.
    Tls,
}

impl AttemptOutcome {
    /// Every outcome.
    pub const ALL: [Self; 9] = [
        Self::Connect,
        Self::Dns,
        Self::ForbiddenAddress,
        Self::Protocol,
        Self::Redirect,
        Self::Status,
        Self::Success,
        Self::Timeout,
        Self::Tls,
    ];

    /// The outcome's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Dns => "dns",
            Self::ForbiddenAddress => "forbidden_address",
            Self::Protocol => "protocol",
            Self::Redirect => "redirect",
            Self::Status => "status",
            Self::Success => "success",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
        }
    }
}
