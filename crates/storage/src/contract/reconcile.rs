//! When subscriptions are reconciled.

use tidings_domain::{
    ids::SubscriptionId,
    notification::Verdict,
    reconcile::{Reconcile, ReconcileReason, Silence},
    shard::Shard,
    subscription::Subscription,
};

use super::{
    World,
    make::{Tenant, unchanged},
};
use crate::{
    Lease, StoreError,
    record::{AskReconcile, ReconcileUpdate, SubscriptionFilter, SubscriptionUpdate},
};

/// A wish of now, to be seen to in so many seconds.
pub(crate) fn wish(world: &World, seconds: u64) -> AskReconcile {
    AskReconcile {
        reason: ReconcileReason::Asked,
        asked_at: world.now(),
        due_at: world.in_seconds(seconds),
        deliver_existing: false,
    }
}

impl World {
    /// A subscription in a tenant's connection.
    pub(crate) async fn subscribed(&self, tenant: &Tenant, resource: &str) -> Subscription {
        let connection = self.store.connection(tenant.connection).await.unwrap();
        let subscription = self.subscription(&connection.unwrap(), resource);
        self.store
            .create_subscription(subscription.clone(), Shard::FIRST)
            .await
            .unwrap();
        subscription
    }

    /// A subscription that is reconciled in so many seconds for the first time.
    pub(crate) async fn reconciled(
        &self,
        tenant: &Tenant,
        resource: &str,
        seconds: u64,
    ) -> Subscription {
        let subscription = self.subscribed(tenant, resource).await;
        let update = SubscriptionUpdate {
            reconcile: Some(wish(self, seconds)),
            ..unchanged(&subscription)
        };
        self.store.update_subscription(update, None).await.unwrap();
        subscription
    }

    pub(crate) async fn reconcile_of(&self, id: SubscriptionId) -> Reconcile {
        self.store.reconcile(id).await.unwrap().unwrap()
    }

    async fn due_reconciles(&self, seconds: u64, limit: u32) -> Vec<(Reconcile, Lease)> {
        let at = self.in_seconds(seconds);
        let due = self.store.due_reconciles(at, limit).await.unwrap();
        due.into_iter()
            .map(|due| (due.reconcile, due.lease))
            .collect()
    }
}

/// An update that leaves everything as it is.
pub(crate) fn as_it_is(of: &Reconcile) -> ReconcileUpdate {
    ReconcileUpdate {
        subscription: of.subscription,
        due_at: of.due_at,
        answers: None,
        started_at: of.started_at,
        finished_at: of.finished_at,
        finds: of.finds,
        failures: of.failures,
        last_error: of.last_error.clone(),
        gone_scopes: Vec::new(),
    }
}

pub(crate) async fn a_subscription_is_reconciled_from_the_first_time_on(world: World) {
    let tenant = world.tenant("dev").await;
    let subscription = world.subscribed(&tenant, "users/u/events").await;
    let one = SubscriptionFilter::One(subscription.id);
    assert_eq!(world.store.reconcile(subscription.id).await.unwrap(), None);
    let asked = world.store.ask_reconcile(one, wish(&world, 1)).await;
    assert_eq!(asked.unwrap(), 0, "it is not reconciled at all");
    assert_eq!(world.store.next_due_reconcile().await.unwrap(), None);

    let first = AskReconcile {
        reason: ReconcileReason::Created,
        asked_at: world.now(),
        due_at: world.in_seconds(5),
        deliver_existing: true,
    };
    let update = SubscriptionUpdate {
        reconcile: Some(first),
        ..unchanged(&subscription)
    };
    let updated = world.store.update_subscription(update, None).await;
    updated.unwrap();
    let expected = Reconcile {
        subscription: subscription.id,
        due_at: first.due_at,
        reason: first.reason,
        asked_at: first.asked_at,
        deliver_existing: true,
        started_at: None,
        finished_at: None,
        finds: 0,
        failures: 0,
        last_error: None,
        silence: None,
        patience: 0,
    };
    assert_eq!(world.reconcile_of(subscription.id).await, expected);
    let asked = world.store.ask_reconcile(one, wish(&world, 1)).await;
    assert_eq!(asked.unwrap(), 1);
}

pub(crate) async fn a_wish_brings_a_round_forward_and_never_puts_it_off(world: World) {
    let tenant = world.tenant("dev").await;
    let id = world.reconciled(&tenant, "users/u/events", 60).await.id;
    let start = world.now();
    for (seconds, due_in) in [(90, 60), (30, 30), (40, 30)] {
        let ask = AskReconcile {
            asked_at: start + std::time::Duration::from_secs(seconds),
            reason: ReconcileReason::Missed,
            ..wish(&world, seconds)
        };
        let asked = world
            .store
            .ask_reconcile(SubscriptionFilter::One(id), ask)
            .await;
        assert_eq!(asked.unwrap(), 1);
        let found = world.reconcile_of(id).await;
        assert_eq!(found.due_at, world.in_seconds(due_in));
        assert_eq!(found.asked_at, world.in_seconds(90), "the last one");
        assert_eq!(found.reason, ReconcileReason::Missed);
    }
    // The subscribe loop's wish counts like any other.
    let subscription = world.store.subscription(id).await.unwrap().unwrap();
    let update = SubscriptionUpdate {
        reconcile: Some(wish(&world, 20)),
        ..unchanged(&subscription)
    };
    let updated = world.store.update_subscription(update, None).await;
    updated.unwrap();
    let found = world.reconcile_of(id).await;
    assert_eq!(found.due_at, world.in_seconds(20));
}

pub(crate) async fn what_exists_is_delivered_if_that_was_wished_before_the_first_round_ended(
    world: World,
) {
    let tenant = world.tenant("dev").await;
    let early = world.reconciled(&tenant, "users/a/events", 1).await.id;
    let late = world.reconciled(&tenant, "users/b/events", 1).await.id;
    let ended = ReconcileUpdate {
        finished_at: Some(world.now()),
        ..as_it_is(&world.reconcile_of(late).await)
    };
    let lease = world.lease(Shard::FIRST);
    world.store.update_reconcile(ended, lease).await.unwrap();
    for deliver_existing in [true, false] {
        let ask = AskReconcile {
            deliver_existing,
            ..wish(&world, 1)
        };
        let asked = world.store.ask_reconcile(SubscriptionFilter::All, ask);
        assert_eq!(asked.await.unwrap(), 2);
        assert!(world.reconcile_of(early).await.deliver_existing);
        assert!(!world.reconcile_of(late).await.deliver_existing);
    }
}

pub(crate) async fn a_wish_reaches_those_that_are_meant(world: World) {
    let (dev, prod) = (world.tenant("dev").await, world.tenant("prod").await);
    let a = world.reconciled(&dev, "users/a/events", 90).await.id;
    let b = world.reconciled(&dev, "users/b/events", 90).await.id;
    let c = world.reconciled(&prod, "users/a/events", 90).await.id;
    world.subscribed(&dev, "users/never/events").await;
    for (due_in, (which, meant)) in (1..).zip([
        (SubscriptionFilter::One(b), vec![b]),
        (SubscriptionFilter::Connection(prod.connection), vec![c]),
        (SubscriptionFilter::Environment(dev.environment), vec![a, b]),
        (SubscriptionFilter::Integration(prod.integration), vec![c]),
        (SubscriptionFilter::All, vec![a, b, c]),
        (SubscriptionFilter::One(world.ids.next()), vec![]),
    ]) {
        let due_in = 60 - due_in;
        let asked = world.store.ask_reconcile(which, wish(&world, due_in)).await;
        assert_eq!(asked.unwrap(), meant.len() as u64, "{which:?}");
        for id in [a, b, c] {
            let due = world.reconcile_of(id).await.due_at;
            let is_meant = due == world.in_seconds(due_in);
            assert_eq!(is_meant, meant.contains(&id), "{which:?}");
        }
    }
}

pub(crate) async fn due_reconciles_come_the_longest_due_first(world: World) {
    let tenant = world.tenant("dev").await;
    let mut made = Vec::new();
    for (resource, due_in) in [("a", 20), ("b", 10), ("c", 30)] {
        let id = world.reconciled(&tenant, resource, due_in).await.id;
        made.push(world.reconcile_of(id).await);
    }
    let next = world.store.next_due_reconcile().await.unwrap();
    assert_eq!(next, Some(made[1].due_at));
    assert_eq!(world.due_reconciles(9, 10).await, []);
    let lease = world.lease(Shard::FIRST);
    let (a, b) = ((made[0].clone(), lease), (made[1].clone(), lease));
    assert_eq!(world.due_reconciles(20, 10).await, [b.clone(), a]);
    assert_eq!(world.due_reconciles(99, 1).await, [b]);
}

pub(crate) async fn an_update_sets_how_far_a_round_is(world: World) {
    let tenant = world.tenant("dev").await;
    let id = world.reconciled(&tenant, "users/u/events", 1).await.id;
    let lease = world.lease(Shard::FIRST);
    let expected = Reconcile {
        due_at: world.in_seconds(86_400),
        started_at: Some(world.in_seconds(2)),
        finished_at: Some(world.in_seconds(3)),
        finds: 7,
        failures: 2,
        last_error: Some("Graph was busy".to_owned()),
        ..world.reconcile_of(id).await
    };
    let update = as_it_is(&expected);
    let updated = world.store.update_reconcile(update.clone(), lease).await;
    updated.unwrap();
    assert_eq!(world.reconcile_of(id).await, expected);

    world.store.delete_subscription(id).await.unwrap();
    let missing = world.store.update_reconcile(update, lease).await;
    assert!(
        matches!(missing, Err(StoreError::Missing { .. })),
        "{missing:?}"
    );
}

pub(crate) async fn a_wish_that_a_round_does_not_answer_keeps_it_due(world: World) {
    let tenant = world.tenant("dev").await;
    let id = world.reconciled(&tenant, "users/u/events", 10).await.id;
    let (asked, lease) = (world.now(), world.lease(Shard::FIRST));
    let before = asked - std::time::Duration::from_secs(1);
    let tomorrow = world.in_seconds(86_400);
    // The round under way goes on when it says; a wish is waiting for its end.
    for (answers, due_at) in [
        (Some(before), world.in_seconds(10)),
        (Some(asked), tomorrow),
        (None, world.in_seconds(30)),
    ] {
        let wanted = due_at.max(world.in_seconds(30));
        let update = ReconcileUpdate {
            answers,
            due_at: wanted,
            ..as_it_is(&world.reconcile_of(id).await)
        };
        world.store.update_reconcile(update, lease).await.unwrap();
        assert_eq!(world.reconcile_of(id).await.due_at, due_at, "{answers:?}");
    }
}

pub(crate) async fn an_absence_is_known_until_it_is_answered(mut world: World) {
    let (first, long) = (world.now(), std::time::Duration::from_mins(1));
    let away = |world: &World, seconds| {
        let (store, now) = (
            std::sync::Arc::clone(&world.store),
            world.in_seconds(seconds),
        );
        async move { store.note_alive(now, long).await.unwrap() }
    };
    assert_eq!(away(&world, 0).await, None, "the first time");
    assert_eq!(away(&world, 60).await, None, "not for too long");
    assert_eq!(away(&world, 0).await, None, "a clock that was set back");
    assert_eq!(away(&world, 61).await, Some(first));
    world.restart().await;
    assert_eq!(away(&world, 62).await, Some(first), "until it is answered");
    let other = world.in_seconds(61);
    world.store.answer_absence(other).await.unwrap();
    assert_eq!(
        away(&world, 200).await,
        Some(first),
        "the one that was first"
    );
    world.store.answer_absence(first).await.unwrap();
    assert_eq!(away(&world, 201).await, None);
    assert_eq!(away(&world, 262).await, Some(world.in_seconds(201)));
}

pub(crate) async fn the_states_of_all_come_in_the_order_of_their_ids(world: World) {
    let tenant = world.tenant("dev").await;
    let mut made = Vec::new();
    for resource in ["a", "b", "c"] {
        made.push(world.reconciled(&tenant, resource, 9).await.id);
    }
    world.subscribed(&tenant, "never").await;
    made.sort();
    let ids = async |after, limit| {
        let found = world.store.reconciles(after, limit).await.unwrap();
        found
            .into_iter()
            .map(|one| one.subscription)
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(None, 2).await, made[..2]);
    assert_eq!(ids(Some(made[1]), 2).await, made[2..]);
    assert_eq!(ids(Some(made[2]), 2).await, []);
}

pub(crate) async fn a_silence_is_suspected_once_told_once_and_ends(world: World) {
    let tenant = world.tenant("dev").await;
    let subscription = world.reconciled(&tenant, "users/u/events", 60).await;
    let id = subscription.id;
    world
        .record(world.arriving(&tenant, Verdict::Accepted, None))
        .await;
    let queued = world.queue().await.remove(0);
    let event = || {
        let mut told = world.event(&tenant, &queued, &[tenant.webhook]);
        told.event.notification = None;
        told
    };
    let since = world.now();
    let store = &world.store;
    let suspect = |seconds| store.suspect_silence(id, since, wish(&world, seconds));
    let (early, first, second) = (event(), event(), event());
    let told = store.tell_silence(id, 9, vec![early.clone()]).await;
    assert!(!told.unwrap(), "there is none");
    assert!(suspect(5).await.unwrap());
    assert!(!suspect(1).await.unwrap());
    let state = world.reconcile_of(id).await;
    let silence = |told| Some(Silence { since, told });
    assert_eq!((state.silence, state.patience), (silence(false), 0));
    assert_eq!(state.due_at, world.in_seconds(5));
    assert!(
        store
            .tell_silence(id, 6, vec![first.clone()])
            .await
            .unwrap()
    );
    let again = store.tell_silence(id, 7, vec![second.clone()]).await;
    assert!(!again.unwrap());
    let state = world.reconcile_of(id).await;
    assert_eq!((state.silence, state.patience), (silence(true), 6));
    for (told, is_there) in [(early, false), (first, true), (second, false)] {
        let found = store.event(told.event.id).await.unwrap();
        assert_eq!(found.is_some(), is_there);
    }
    store.end_silence(id).await.unwrap();
    let state = world.reconcile_of(id).await;
    assert_eq!((state.silence, state.patience), (None, 6));
    assert!(suspect(1).await.unwrap(), "the next one");
    let nobody = store.suspect_silence(world.ids.next(), since, wish(&world, 1));
    assert!(!nobody.await.unwrap());
}
