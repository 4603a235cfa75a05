//! One attempt: signed, sent, answered; then recorded, while the next one is sent.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{CONTENT_TYPE, USER_AGENT},
};
use tidings_domain::{
    Clock, Entropy, Ids, Timestamp,
    delivery::Attempt,
    ids::{DeliveryId, WebhookId},
};
use tidings_egress::{Egress, OnCap, Request};
use tidings_storage::{
    Held, Store, StoreError,
    record::{AfterAttempt, AttemptResult, DueDelivery, HealthChange},
};

use super::{
    destination::Destination,
    outcome::{Outcome, Rules, Tried},
    scheduler::{Bearing, End},
};
use crate::{
    directory::{Change, Directory},
    fence::Fence,
    metrics::{DeliverMetrics, Stage},
    signature::{self, SigningKey},
};

/// How much of an answer's body is read and kept, in bytes: enough for any message meant for people.
const ANSWER_CAP: usize = 16 * 1024;

/// Which attempt of its delivery it is, from 1.
const ATTEMPT: HeaderName = HeaderName::from_static("x-tidings-attempt");

const JSON: HeaderValue = HeaderValue::from_static("application/json");

const US: HeaderValue = HeaderValue::from_static(concat!("tidings/", env!("CARGO_PKG_VERSION")));

/// The wait after a result could not be recorded; it doubles with each further failure.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
/// The longest such wait.
const LONGEST_BACKOFF: Duration = Duration::from_secs(10);

/// What attempts are made with.
#[derive(Debug)]
pub(super) struct Attempts {
    pub(super) store: Arc<dyn Store>,
    pub(super) directory: Arc<Directory>,
    pub(super) egress: Egress,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) ids: Arc<Ids>,
    pub(super) metrics: DeliverMetrics,
    pub(super) rules: Rules,
    /// The time limit of one attempt.
    pub(super) timeout: Duration,
    pub(super) fence: Fence,
}

/// Whether a result is in the store.
enum Recorded {
    Yes,
    /// The store cannot take it.
    Never,
    /// The webhook is another node's now.
    Refused,
}

/// An attempt that was answered, or came to nothing.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) bearing: Bearing,
    pub(super) result: AttemptResult,
    destination: Arc<Destination>,
    /// What was held when it began.
    held: Held,
}

/// An attempt that is over.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) webhook: WebhookId,
    pub(super) delivery: DeliveryId,
    pub(super) end: End,
    /// What was held when it began.
    pub(super) held: Held,
}

impl Attempts {
    /// Makes an attempt.
    pub(super) async fn run(
        self: Arc<Self>,
        destination: Arc<Destination>,
        delivery: DueDelivery,
    ) -> Answered {
        let (webhook, id, lease) = (delivery.webhook, delivery.id, delivery.lease);
        let held = self.fence.now();
        let number = delivery.attempts.saturating_add(1);
        let (started_at, began) = (self.clock.now(), self.clock.monotonic());
        // One delivery that makes us panic is a failed attempt, and no reason for others to fail.
        let outcome = AssertUnwindSafe(self.send(&destination, delivery, number, started_at))
            .catch_unwind()
            .await
            .unwrap_or_else(|_| {
                tracing::error!(delivery.id = %id, "an attempt panicked");
                Outcome::unsent("an internal error: see the log".to_owned())
            });
        let took = self.clock.monotonic().saturating_sub(began);
        self.metrics.attempt(outcome.kind, took);
        let tried = Tried {
            attempts: number,
            started_at,
            ended_at: started_at + took,
        };
        let (next, health) = outcome.consequences(
            tried,
            &mut destination.health(),
            &self.rules,
            &*self.entropy,
        );
        Answered {
            bearing: outcome.bearing(),
            destination,
            held,
            result: AttemptResult {
                delivery: id,
                webhook,
                lease,
                attempt: Attempt {
                    id: self.ids.next(),
                    number,
                    started_at,
                    took,
                    outcome: outcome.kind,
                    status: outcome.status,
                    error: outcome.error,
                    answer: outcome.answer,
                },
                next,
                health,
            },
        }
    }

    /// Records the result of an attempt and answers when it is in the store: till then the delivery is under way, so that
    /// a crash repeats no more deliveries than there are places.
    pub(super) async fn settle(self: Arc<Self>, answered: Answered) -> Ended {
        let Answered {
            destination,
            held,
            result,
            ..
        } = answered;
        let AttemptResult {
            delivery,
            webhook,
            lease,
            next,
            health,
            ..
        } = result;
        let end = match self.record(result).await {
            Recorded::Yes => {
                self.announce(webhook, next, health).await;
                match next {
                    AfterAttempt::Retry(due) if !destination.health().disabled => End::Retry(due),
                    _ => End::Finished,
                }
            }
            Recorded::Never => End::SetAside,
            Recorded::Refused => {
                self.fence.refuse(lease, Stage::Deliver);
                // How the webhook fares is no longer what this attempt has made of it.
                let _ = self.directory.refresh(Change::Webhook(webhook)).await;
                End::Lost
            }
        };
        Ended {
            webhook,
            delivery,
            end,
            held,
        }
    }

    async fn send(
        &self,
        destination: &Destination,
        delivery: DueDelivery,
        number: u32,
        at: Timestamp,
    ) -> Outcome {
        let key = match &destination.key {
            Ok(key) => key,
            Err(error) => return Outcome::unsent(error.to_string()),
        };
        let request = Request {
            method: Method::POST,
            url: destination.webhook.url.expose().clone(),
            headers: headers(key, &delivery, number, at),
            body: delivery.body,
            deadline: self.timeout,
            answer_cap: ANSWER_CAP,
            on_cap: OnCap::Cut,
        };
        let sent = self.egress.send(request).await;
        Outcome::of(sent, self.clock.now())
    }

    /// Records a result, however long the store takes to be able to.
    async fn record(&self, mut result: AttemptResult) -> Recorded {
        let mut backoff = FIRST_BACKOFF;
        loop {
            match self.store.record_attempt(result.clone()).await {
                Ok(()) => return Recorded::Yes,
                Err(StoreError::Fenced { .. }) => return Recorded::Refused,
                Err(error) if error.is_transient() => {
                    tracing::warn!(delivery.id = %result.delivery, %error, "an attempt's result cannot be recorded yet");
                    self.clock.sleep(backoff).await;
                    backoff = (backoff * 2).min(LONGEST_BACKOFF);
                }
                // What the receiver said is the only part that is not ours.
                Err(StoreError::Poison { .. }) if !result.attempt.answer.is_empty() => {
                    result.attempt.answer.clear();
                }
                Err(error) => {
                    tracing::error!(
                        delivery.id = %result.delivery, %error,
                        "an attempt's result cannot be recorded: the delivery is not sent again before a restart"
                    );
                    return Recorded::Never;
                }
            }
        }
    }

    /// Makes known what was recorded.
    async fn announce(&self, webhook: WebhookId, next: AfterAttempt, health: HealthChange) {
        if let AfterAttempt::Dead(_) = next {
            self.metrics.dead();
        }
        if let HealthChange::Disable(reason) = health {
            self.metrics.disabled();
            tracing::warn!(
                webhook.id = %webhook, reason = reason.as_str(),
                "a webhook is disabled: its deliveries are held until it is enabled"
            );
        }
        if health != HealthChange::None {
            // A failure is the directory's to repeat.
            let _ = self.directory.refresh(Change::Webhook(webhook)).await;
        }
    }
}

fn headers(key: &SigningKey, delivery: &DueDelivery, number: u32, at: Timestamp) -> HeaderMap {
    let signatures = key.sign(delivery.event, at, &delivery.body);
    // Room for these and for what the HTTP client adds.
    let mut headers = HeaderMap::with_capacity(12);
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(USER_AGENT, US);
    headers.insert(signature::ID, signatures.id);
    headers.insert(signature::TIMESTAMP, signatures.timestamp);
    headers.insert(signature::STANDARD_SIGNATURE, signatures.standard);
    headers.insert(signature::PLAIN_SIGNATURE, signatures.plain);
    headers.insert(ATTEMPT, HeaderValue::from(number));
    headers
}
