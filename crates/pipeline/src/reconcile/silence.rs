//! Notices subscriptions of which Graph tells nothing, looks for what it does not tell, and says so.

use std::{collections::HashMap, time::Duration};

use tidings_domain::{
    Timestamp,
    completeness::{Day, DayCounts},
    connection::ConnectionState,
    ids::SubscriptionId,
    reconcile::{Reconcile as State, ReconcileReason},
    trigger::Operation,
};
use tidings_storage::{StoreError, record::AskReconcile};

use super::{
    Reconcile,
    quiet::{self, Enough, Shown},
};
use crate::operational::{self, News, Watched};

/// How many subscriptions are looked at with one read.
const PAGE: u32 = 200;
/// How many reads are made a minute: so a million subscriptions are looked at in some hours, fewer within one.
const MOST_PAGES: u32 = 40;
/// How long it is waited after the end of an hour: what became known in it is written down some seconds later.
const LATE: i64 = 60;
/// The most patience that is learned: a week.
const MOST_PATIENCE: u32 = 7 * 24;

/// How far the look at this hour is.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// The hour since 1970 that is looked at.
    hour: i64,
    after: Option<SubscriptionId>,
    done: bool,
    /// From when on somebody was here to hear of changes.
    present_since: Option<Timestamp>,
}

impl Reconcile {
    /// Looks at some of the subscriptions; at all of them once an hour.
    pub(super) async fn look_for_silence(&self, walk: &mut Walk) {
        if self.parts.config.silence_hours == 0 {
            return;
        }
        let now = self.parts.clock.now();
        let present_since = *walk.present_since.get_or_insert(now);
        let hour = (now.as_seconds() - LATE).div_euclid(3_600);
        if hour != walk.hour && (walk.done || walk.hour == 0) {
            *walk = Walk {
                hour,
                present_since: walk.present_since,
                ..Walk::default()
            };
        }
        for _ in 0..MOST_PAGES {
            if walk.done {
                return;
            }
            match self.look_at_page(walk.after, present_since).await {
                Ok(Some(last)) => walk.after = Some(last),
                Ok(None) => walk.done = true,
                Err(error) => {
                    tracing::debug!(%error, "it cannot be looked for silent subscriptions now");
                    return;
                }
            }
        }
    }

    /// Looks at the subscriptions behind `after`, and gives the last of them; `None` if there is none.
    async fn look_at_page(
        &self,
        after: Option<SubscriptionId>,
        present_since: Timestamp,
    ) -> Result<Option<SubscriptionId>, StoreError> {
        let now = self.parts.clock.now();
        let store = &self.parts.store;
        let states = store.reconciles(after, PAGE).await?;
        let Some(last) = states.last().map(|state| state.subscription) else {
            return Ok(None);
        };
        let ids = states.iter().map(|state| state.subscription).collect();
        let from = Day(Day::of(now).0 - (quiet::WEEKS + 1) * 7);
        let mut days: HashMap<SubscriptionId, Vec<DayCounts>> = HashMap::new();
        for day in store.counted_days(ids, from).await? {
            days.entry(day.subscription).or_default().push(day);
        }
        for state in &states {
            let days = days.get(&state.subscription).map_or(&[][..], |days| days);
            self.judge(state, days, present_since).await?;
        }
        Ok(Some(last))
    }

    async fn judge(
        &self,
        state: &State,
        days: &[DayCounts],
        present_since: Timestamp,
    ) -> Result<(), StoreError> {
        let (store, now) = (&self.parts.store, self.parts.clock.now());
        let id = state.subscription;
        match quiet::look(days, now, self.enough(state, present_since)) {
            Shown::Lively if state.silence.is_some() => store.end_silence(id).await,
            Shown::Silent(since) if state.silence.is_none() && self.would_hear(id) => {
                let ask = AskReconcile {
                    reason: ReconcileReason::Silent,
                    asked_at: now,
                    due_at: now,
                    deliver_existing: false,
                };
                if store.suspect_silence(id, since, ask).await? {
                    tracing::info!(subscription.id = %id, %since, "Graph has told of nothing for long: it is looked for");
                    self.parts.wake.wake();
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn enough(&self, state: &State, present_since: Timestamp) -> Enough {
        let config = &self.parts.config;
        Enough {
            hours: config.silence_hours.saturating_add(state.patience),
            weeks: config.silence_weeks,
            present_since,
        }
    }

    /// Whether what Graph tells of a subscription can become known: without credentials nothing can be fetched.
    fn would_hear(&self, id: SubscriptionId) -> bool {
        let directory = &self.parts.directory;
        let entry = directory.subscription(id);
        let connection = entry.and_then(|entry| directory.connection(entry.connection));
        connection.is_some_and(|connection| connection.state == ConnectionState::Active)
    }

    /// Tells of a silence when a round that `began` after it was noticed has ended with so many finds.
    pub(super) async fn tell_of_silence(
        &self,
        state: &State,
        began: Timestamp,
        finds: u64,
    ) -> Result<(), StoreError> {
        let Some(silence) = state.silence else {
            return Ok(());
        };
        if silence.told || state.asked_at > began {
            return Ok(());
        }
        let parts = &self.parts;
        // What came meanwhile, or had only waited to be fetched, was no silence.
        let from = Day::of(silence.since);
        let days = parts
            .store
            .counted_days(vec![state.subscription], from)
            .await?;
        let was_heard = |day: &DayCounts| {
            (0..24).any(|hour| {
                let at = day.day.start() + Duration::from_hours(hour);
                day.hours >> hour & 1 == 1 && at >= silence.since
            })
        };
        if days.iter().any(was_heard) {
            return parts.store.end_silence(state.subscription).await;
        }
        let Some(row) = parts.store.subscription(state.subscription).await? else {
            return Ok(());
        };
        let Some(connection) = parts.directory.connection(row.connection) else {
            return Ok(());
        };
        let (reason, patience) = if finds == 0 {
            let usual = parts.config.silence_hours.saturating_add(state.patience);
            (
                "Graph has told of no change for longer than it used to, and there was none to be found",
                state.patience.saturating_add(usual).min(MOST_PATIENCE),
            )
        } else {
            (
                "Graph has told of no change for longer than it used to, though there were some: they are told now",
                0,
            )
        };
        let news = News {
            operation: Operation::SubscriptionSilent,
            subscription: Some(Watched {
                id: row.id,
                resource: &row.resource,
            }),
            notification: None,
            reason,
            since: Some(silence.since),
            found: Some(finds),
            expires_at: row.expires_at,
        };
        let now = parts.clock.now();
        let event = operational::event(&parts.directory, &parts.ids, now, &connection, news);
        let webhooks: Vec<_> = event.deliveries.iter().map(|one| one.webhook).collect();
        let told = parts.store.tell_silence(row.id, patience, vec![event]);
        told.await?;
        parts.deliver.webhooks(webhooks);
        Ok(())
    }
}
