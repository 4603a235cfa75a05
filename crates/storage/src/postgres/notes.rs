//! What the end of a notification asks of its subscription: a part of the statement that ends notifications.

use tidings_domain::notification::LifecycleEvent;

use super::completeness::Additions;
use crate::record::{Outcome, Seq};

/// `$25` … what lifecycle notifications say, `$29` … wishes that subscriptions be reconciled, `$35` … how changes became
/// known, of places that were `taken`.
/// Several of one subscription become one change.
macro_rules! noting_down {
    () => {
        concat!(
            "notes AS MATERIALIZED (
                 SELECT l.subscription_id, count(*) AS count, min(l.due_at) AS due_at,
                     bool_or(l.event = 'reauthorizationRequired') AS reauthorize,
                     bool_or(l.event = 'subscriptionRemoved') AS removed
                 FROM unnest($25::bigint[], $26::text[], $27::text[], $28::bigint[])
                     AS l(of, subscription_id, event, due_at)
                 JOIN taken t ON t.seq = l.of GROUP BY l.subscription_id),
             noted AS (
                 UPDATE subscriptions s SET lifecycle_reauthorize = s.lifecycle_reauthorize OR n.reauthorize,
                     lifecycle_removed = s.lifecycle_removed OR n.removed,
                     lifecycle_count = s.lifecycle_count + n.count, due_at = least(s.due_at, n.due_at)
                 FROM notes n WHERE s.id = n.subscription_id),
             wishes AS MATERIALIZED (
                 SELECT a.subscription_id, min(a.due_at) AS due_at, max(a.asked_at) AS asked_at,
                     (array_agg(a.reason ORDER BY a.place DESC))[1] AS reason,
                     bool_or(a.deliver_existing) AS deliver_existing
                 FROM unnest($29::bigint[], $30::text[], $31::bigint[], $32::bigint[], $33::text[], $34::boolean[])
                     WITH ORDINALITY AS a(of, subscription_id, due_at, asked_at, reason, deliver_existing, place)
                 JOIN taken t ON t.seq = a.of GROUP BY a.subscription_id),
             asked AS (
                 UPDATE reconciles r SET ",
            $crate::postgres::reconcile::asking!("w"),
            " FROM wishes w WHERE r.subscription_id = w.subscription_id),
             counted AS (",
            $crate::postgres::completeness::adding!(
                "unnest($35::bigint[], $36::text[], $37::bigint[], $38::bigint[], $39::bigint[], $40::bigint[],
                     $41::integer[]) AS c(of, subscription_id, day, on_time, late, found, hours)
                 JOIN taken t ON t.seq = c.of"
            ),
            ")"
        )
    };
}
pub(super) use noting_down;

/// What is noted, as columns.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) lifecycle_of: Vec<i64>,
    pub(super) lifecycle_subscription: Vec<String>,
    pub(super) lifecycle_event: Vec<&'static str>,
    pub(super) lifecycle_due_at: Vec<i64>,
    pub(super) ask_of: Vec<i64>,
    pub(super) ask_subscription: Vec<String>,
    pub(super) ask_due_at: Vec<i64>,
    pub(super) ask_asked_at: Vec<i64>,
    pub(super) ask_reason: Vec<&'static str>,
    pub(super) ask_deliver_existing: Vec<bool>,
    pub(super) counted_of: Vec<i64>,
    pub(super) counted: Additions,
}

impl Notes {
    /// Adds what the end of the notification at a place says.
    pub(super) fn push(&mut self, of: Seq, outcome: &Outcome) {
        if let Some(note) = &outcome.lifecycle {
            self.lifecycle_of.push(of.0);
            self.lifecycle_subscription
                .push(note.subscription.to_string());
            self.lifecycle_event
                .push(LifecycleEvent::as_str(note.event));
            self.lifecycle_due_at.push(note.due_at.as_millis());
        }
        if let Some((subscription, ask)) = &outcome.reconcile {
            self.ask_of.push(of.0);
            self.ask_subscription.push(subscription.to_string());
            self.ask_due_at.push(ask.due_at.as_millis());
            self.ask_asked_at.push(ask.asked_at.as_millis());
            self.ask_reason.push(ask.reason.as_str());
            self.ask_deliver_existing.push(ask.deliver_existing);
        }
        if let Some(counted) = &outcome.counted {
            self.counted_of.push(of.0);
            self.counted.push(counted);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lifecycle_of.is_empty() && self.ask_of.is_empty() && self.counted_of.is_empty()
    }
}

/// Binds the columns of [`Notes`].
macro_rules! bind_notes {
    ($query:expr, $notes:expr) => {
        $query
            .bind($notes.lifecycle_of)
            .bind($notes.lifecycle_subscription)
            .bind($notes.lifecycle_event)
            .bind($notes.lifecycle_due_at)
            .bind($notes.ask_of)
            .bind($notes.ask_subscription)
            .bind($notes.ask_due_at)
            .bind($notes.ask_asked_at)
            .bind($notes.ask_reason)
            .bind($notes.ask_deliver_existing)
            .bind($notes.counted_of)
            .bind($notes.counted.subscription)
            .bind($notes.counted.day)
            .bind($notes.counted.on_time)
            .bind($notes.counted.late)
            .bind($notes.counted.found)
            .bind($notes.counted.hours)
    };
}
pub(super) use bind_notes;
