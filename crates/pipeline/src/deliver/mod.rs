//! Sends events to webhooks: at least once, one slow receiver never at the cost of another.
//!
//! | module | holds |
//! | --- | --- |
//! | `scheduler`, `lane` | whose delivery goes next; decides, and does nothing else |
//! | [`hint`] | how enrich tells which webhooks have new deliveries |
//! | `destination` | a webhook as attempts need it |
//! | `attempt` | one attempt: signed, sent, recorded |
//! | `outcome` | what came of it, and what follows |
//!
//! Where several nodes share the store, each sends to the webhooks of the shards it holds.
//!
//! This file is what is around them: one loop that asks the store, starts attempts and waits. It waits for hints, for
//! the end of attempts, and for the time at which something becomes due; when there is nothing to do, it does nothing.

use std::{collections::HashSet, future::Future, pin::Pin, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tidings_domain::{
    Clock, Entropy, Ids, Timestamp, clock::Sleep, config::DeliverConfig, ids::WebhookId,
    retry::RetrySchedule, shard::Shard, webhook::WebhookState,
};
use tidings_egress::Egress;
use tidings_storage::{Store, StoreError, record::DueDelivery};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{directory::Directory, fence::Fence, metrics::DeliverMetrics, wake::Wake};

mod attempt;
mod destination;
pub mod hint;
mod lane;
mod outcome;
mod scheduler;

use attempt::{Answered, Attempts, Ended};
use destination::Destinations;
pub use hint::Hint;
use outcome::Rules;
use scheduler::{End, Limits, NextDue, Scheduler, WantedLook};

/// How many looks into the store may be under way: as many as keep a few readers busy.
const LOOKS: usize = 4;

/// The wait after a failed look; it doubles with each further failure.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
/// The wait before a webhook is looked after again whose deliveries turned out to be another node's. Should the shard be
/// ours again, that is heard of sooner.
const LOST_PAUSE: Duration = Duration::from_secs(5);
/// The longest such wait: how long after its end an outage of the store can still delay a webhook's deliveries.
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);

/// What the stage works with.
#[derive(Debug)]
pub struct Parts {
    /// Where deliveries wait and results go.
    pub store: Arc<dyn Store>,
    /// Knows the webhooks.
    pub directory: Arc<Directory>,
    /// Sends.
    pub egress: Egress,
    /// Its time.
    pub clock: Arc<dyn Clock>,
    /// Its randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Makes ids of attempts.
    pub ids: Arc<Ids>,
    /// What it counts.
    pub metrics: DeliverMetrics,
    /// How it is to behave.
    pub config: DeliverConfig,
    /// Is given when certain webhooks have new deliveries.
    pub hint: Hint,
    /// Is given when any webhook may have deliveries that became due: after a redelivery, or when one was enabled.
    pub wake: Wake,
    /// Tells its webhooks from those of other nodes.
    pub fence: Fence,
    /// Is given when other shards are held than before.
    pub shards: Wake,
}

/// The stage. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Deliver {
    attempts: Arc<Attempts>,
    limits: Limits,
    hint: Hint,
    wake: Wake,
    shards: Wake,
}

impl Deliver {
    /// A stage that does nothing until it is [run](Deliver::run).
    pub fn new(parts: Parts) -> Self {
        let config = parts.config;
        let steps = config.retry_schedule.iter().map(|step| step.0).collect();
        Self {
            attempts: Arc::new(Attempts {
                store: parts.store,
                directory: parts.directory,
                egress: parts.egress,
                clock: parts.clock,
                entropy: parts.entropy,
                ids: parts.ids,
                metrics: parts.metrics,
                rules: Rules {
                    schedule: RetrySchedule::new(steps),
                    disable_after: config.disable_after.0,
                },
                timeout: config.timeout.0,
                fence: parts.fence,
            }),
            limits: Limits {
                global: config.concurrency.max(1),
                per_webhook: config.per_webhook.max(1),
            },
            hint: parts.hint,
            wake: parts.wake,
            shards: parts.shards,
        }
    }

    /// Delivers until `stop`, then finishes the attempts under way. Dropped earlier, it drops those attempts: the store
    /// still has them as due, and they are made again by the next run.
    pub async fn run(&self, stop: &CancellationToken) {
        let mut run = Run::new(self);
        run.survey();
        loop {
            run.start_attempts();
            run.start_looks();
            run.show();
            let happened = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                happened = run.next() => happened,
            };
            run.take(happened);
        }
        while let Some(step) = run.under_way.join_next().await {
            run.go_on(step);
            run.show();
        }
    }
}

type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// What the store answered.
enum Answer {
    Look(WantedLook, Timestamp, Result<Found, StoreError>),
    Survey(Timestamp, Vec<(WebhookId, Timestamp)>),
}

/// What a look brought: due deliveries, and when the next one is due.
type Found = (Vec<DueDelivery>, NextDue);

/// What the loop waits for.
enum Happened {
    Answered(Answer),
    Due,
    Stepped(Result<Step, JoinError>),
    Hinted(HashSet<WebhookId>),
    OtherShards,
    Woken,
}

/// How far an attempt has come.
enum Step {
    Answered(Box<Answered>),
    Ended(Ended),
}

/// One run of the stage.
struct Run<'a> {
    stage: &'a Deliver,
    attempts: &'a Arc<Attempts>,
    scheduler: Scheduler,
    destinations: Destinations,
    under_way: JoinSet<Step>,
    answering: FuturesUnordered<Answering>,
    looks: usize,
    surveying: bool,
    survey_again: bool,
    timer: Option<(Timestamp, Sleep)>,
}

impl<'a> Run<'a> {
    fn new(stage: &'a Deliver) -> Self {
        Self {
            stage,
            attempts: &stage.attempts,
            scheduler: Scheduler::new(stage.limits),
            destinations: Destinations::default(),
            under_way: JoinSet::new(),
            answering: FuturesUnordered::new(),
            looks: 0,
            surveying: false,
            survey_again: false,
            timer: None,
        }
    }

    fn now(&self) -> Timestamp {
        self.attempts.clock.now()
    }

    fn start_attempts(&mut self) {
        while let Some(delivery) = self.scheduler.next_start() {
            let (webhook, directory) = (delivery.webhook, &self.attempts.directory);
            if !self.attempts.fence.allows(delivery.lease) {
                let again = self.now() + LOST_PAUSE;
                self.scheduler.not_ours(webhook, delivery.id, again);
                continue;
            }
            match self.destinations.find(directory, webhook) {
                Some(destination) => {
                    let attempts = Arc::clone(self.attempts);
                    self.under_way.spawn(async move {
                        Step::Answered(Box::new(attempts.run(destination, delivery).await))
                    });
                }
                None => self.scheduler.hold(webhook, delivery.id),
            }
        }
    }

    fn start_looks(&mut self) {
        while self.looks < LOOKS
            && let Some(wanted) = self.scheduler.next_look()
        {
            // Held deliveries become due like others; nobody is to look at each of them then.
            if !self.takes_deliveries(wanted.webhook) {
                self.scheduler.looked(wanted, Vec::new(), NextDue::Unasked);
                continue;
            }
            self.looks += 1;
            let (store, now) = (Arc::clone(&self.attempts.store), self.now());
            self.answering.push(Box::pin(async move {
                Answer::Look(wanted, now, look(&*store, wanted, now).await)
            }));
        }
    }

    fn takes_deliveries(&self, webhook: WebhookId) -> bool {
        self.attempts
            .directory
            .tables()
            .webhook(webhook)
            .is_some_and(|webhook| webhook.state == WebhookState::Active)
    }

    /// Asks the store for every webhook that has something pending, until it answers.
    fn survey(&mut self) {
        if self.surveying {
            self.survey_again = true;
            return;
        }
        self.surveying = true;
        let attempts = Arc::clone(self.attempts);
        self.answering.push(Box::pin(async move {
            let mut failures = 0;
            loop {
                let now = attempts.clock.now();
                match attempts.store.webhooks_with_pending().await {
                    Ok(pending) => return Answer::Survey(now, pending),
                    Err(error) => {
                        failures += 1;
                        tracing::warn!(%error, failures, "the store does not say what is to be delivered: it is asked again");
                        attempts.clock.sleep(backoff(failures)).await;
                    }
                }
            }
        }));
    }

    fn show(&self) {
        let metrics = &self.attempts.metrics;
        metrics.in_flight.set(count(self.scheduler.in_flight()));
        metrics.in_memory.set(count(self.scheduler.ready()));
    }

    /// Waits for whatever happens next.
    async fn next(&mut self) -> Happened {
        let clock = &self.attempts.clock;
        match self.scheduler.next_tick() {
            Some(due) if self.timer.as_ref().is_none_or(|(set, _)| *set != due) => {
                self.timer = Some((due, clock.sleep(clock.now().until(due))));
            }
            Some(_) => {}
            None => self.timer = None,
        }
        let timer = async {
            match &mut self.timer {
                Some((_, sleep)) => sleep.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(step) = self.under_way.join_next() => Happened::Stepped(step),
            Some(answer) = self.answering.next() => Happened::Answered(answer),
            hinted = self.stage.hint.take() => Happened::Hinted(hinted),
            () = self.stage.wake.wait() => Happened::Woken,
            () = self.stage.shards.wait() => Happened::OtherShards,
            () = timer => Happened::Due,
        }
    }

    fn take(&mut self, happened: Happened) {
        match happened {
            Happened::Answered(answer) => self.answered(answer),
            Happened::Due => {
                self.timer = None;
                let now = self.now();
                self.scheduler.tick(now);
            }
            Happened::Stepped(step) => {
                self.go_on(step);
                // Under load several end at a time; one round for all of them.
                while let Some(step) = self.under_way.try_join_next() {
                    self.go_on(step);
                }
            }
            Happened::Hinted(webhooks) => {
                for webhook in webhooks {
                    self.scheduler.hinted(webhook);
                }
            }
            Happened::OtherShards => {
                let fence = &self.attempts.fence;
                let held = fence.held();
                self.scheduler.keep(
                    |webhook| held.contains(Shard::of_webhook(webhook)),
                    |lease| fence.allows(lease),
                );
                self.survey();
            }
            Happened::Woken => self.survey(),
        }
    }

    fn answered(&mut self, answer: Answer) {
        match answer {
            Answer::Look(wanted, _, Ok((found, next_due))) => {
                self.looks -= 1;
                self.scheduler.looked(wanted, found, next_due);
            }
            Answer::Look(wanted, now, Err(error)) => {
                self.looks -= 1;
                self.scheduler.look_failed(wanted, |failures| {
                    tracing::warn!(webhook.id = %wanted.webhook, %error, failures, "due deliveries cannot be read yet");
                    now + backoff(failures)
                });
            }
            Answer::Survey(asked, pending) => {
                self.surveying = false;
                for (webhook, due) in pending {
                    self.scheduler.earliest(webhook, due, asked);
                }
                if std::mem::take(&mut self.survey_again) {
                    self.survey();
                }
            }
        }
    }

    fn go_on(&mut self, step: Result<Step, JoinError>) {
        match step {
            Ok(Step::Answered(answered)) => {
                self.scheduler
                    .answered(answered.result.webhook, answered.bearing);
                let attempts = Arc::clone(self.attempts);
                self.under_way
                    .spawn(async move { Step::Ended(attempts.settle(*answered).await) });
            }
            Ok(Step::Ended(Ended {
                webhook,
                delivery,
                end: End::Lost,
                held,
            })) => {
                // If other shards are held by now, it may be ours again under another lease.
                let changed = self.attempts.fence.changed_since(held);
                let again = (!changed).then(|| self.now() + LOST_PAUSE);
                self.scheduler.lost(webhook, delivery, again);
            }
            Ok(Step::Ended(ended)) => {
                self.scheduler
                    .ended(ended.webhook, ended.delivery, ended.end);
            }
            // Sending cannot panic past its task; should recording or the rules do so, the loop must not go on with a
            // place lost for ever: the supervisor starts it anew, and the store has everything.
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(error) => tracing::error!(%error, "an attempt was cut off"),
            },
        }
    }
}

async fn look(store: &dyn Store, wanted: WantedLook, now: Timestamp) -> Result<Found, StoreError> {
    let limit = u32::try_from(wanted.limit).unwrap_or(u32::MAX);
    let found = store.due_deliveries(wanted.webhook, now, limit).await?;
    if !wanted.next_due || found.len() >= wanted.limit {
        return Ok((found, NextDue::Unasked));
    }
    let next_due = store.next_due_delivery(wanted.webhook, now).await?;
    Ok((found, NextDue::Asked(next_due)))
}

/// How long to wait after so many failures running.
fn backoff(failures: u32) -> Duration {
    FIRST_BACKOFF
        .saturating_mul(1 << failures.saturating_sub(1).min(16))
        .min(LONGEST_BACKOFF)
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
