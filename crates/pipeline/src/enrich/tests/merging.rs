//! Notifications that one event answers.

use std::{
    future::ready,
    sync::atomic::{AtomicUsize, Ordering},
};

use tidings_domain::event::Event;
use tokio::sync::Semaphore;

use super::*;
use crate::testing::Doubtful;

impl Stage {
    /// Queues a change of A, of this subscription.
    async fn of(&self, subscription: u128, change: ChangeType) -> NotificationId {
        let mut new = self.notification(A, change);
        new.notification.subscription = Some(SubscriptionId::from(Ulid(subscription)));
        let id = new.notification.id;
        self.record(new).await;
        id
    }

    /// The ids that an event names beside its own notification.
    async fn merged(&self, event: &Event) -> Vec<String> {
        let event = self.world.store.event(event.id).await.unwrap().unwrap();
        let body: serde_json::Value = serde_json::from_slice(&event.body).unwrap();
        let named = body["data"]["merged"].as_array().cloned();
        let text = |id: serde_json::Value| id.as_str().unwrap().to_owned();
        named.unwrap_or_default().into_iter().map(text).collect()
    }
}

fn texts(ids: &[NotificationId]) -> Vec<String> {
    ids.iter().map(NotificationId::to_string).collect()
}

#[tokio::test]
async fn a_storm_of_updates_is_told_by_as_many_events_as_there_are_looks() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let stage = Stage::new(move |_| {
        let held = Arc::clone(&held);
        async move {
            held.acquire().await.unwrap().forget();
            object("a", "1")
        }
    })
    .await;
    let mut ids = vec![stage.of(1, ChangeType::Updated).await];
    let events = stage
        .run(async {
            stage.calls_reach(1).await;
            // These happened after the look began: it may not show them.
            for _ in 0..50 {
                ids.push(stage.of(1, ChangeType::Updated).await);
            }
            while stage.world.metrics.enrich.in_memory.get() < 51 {
                tokio::task::yield_now().await;
            }
            gate.add_permits(10);
            while stage.world.metrics.enrich.in_memory.get() > 0 {
                tokio::task::yield_now().await;
            }
            stage.world.events().await
        })
        .await;
    assert_eq!((events.len(), stage.graph.calls().len()), (2, 2));
    assert!(stage.merged(&events[0]).await.is_empty());
    // The second names all that it answers, and is that of the last.
    assert_eq!(events[1].notification, ids.last().copied());
    assert_eq!(stage.merged(&events[1]).await, texts(&ids[1..50]));
    assert!(
        stage
            .world
            .metrics
            .encode()
            .contains("tidings_enrich_merged_total 49\n")
    );
}

#[tokio::test]
async fn more_than_an_event_can_name_lead_to_several() {
    let stage = Stage::new(|_| ready(object("a", "1"))).await;
    for _ in 0..250 {
        stage.of(1, ChangeType::Updated).await;
    }
    stage.run(stage.queue_empties()).await;
    let told = stage.world.events().await.len();
    assert!((3..=4).contains(&told), "{told}");
    assert_eq!(stage.graph.calls().len(), told);
}

#[tokio::test]
async fn no_other_change_is_passed_and_nothing_else_is_merged() {
    use ChangeType::{Created, Deleted, Updated};
    let stage = Stage::new(|_| ready(object("a", "1"))).await;
    for change in [
        Created, Created, Updated, Updated, Deleted, Deleted, Updated,
    ] {
        stage.of(1, change).await;
    }
    let events = stage
        .run(async {
            stage.queue_empties().await;
            stage.world.events().await
        })
        .await;
    let told: Vec<_> = events
        .iter()
        .map(|event| event.trigger.change().unwrap())
        .collect();
    assert_eq!(told, [Created, Created, Updated, Deleted, Deleted, Updated]);
}

#[tokio::test]
async fn each_subscription_has_an_event_of_its_own() {
    let stage = Stage::new(|_| ready(object("a", "1"))).await;
    let mut of_first = Vec::new();
    for _ in 0..4 {
        of_first.push(stage.of(1, ChangeType::Updated).await);
        stage.of(2, ChangeType::Updated).await;
    }
    let events = stage
        .run(async {
            stage.queue_empties().await;
            stage.world.events().await
        })
        .await;
    let subscriptions: Vec<_> = events.iter().map(|event| event.subscription).collect();
    let id = |number| Some(SubscriptionId::from(Ulid(number)));
    assert_eq!(subscriptions, [id(1), id(2)]);
    assert_eq!(stage.merged(&events[0]).await, texts(&of_first[..3]));
}

#[tokio::test]
async fn within_the_window_updates_wait_for_each_other_but_the_first_never() {
    let mut stage = Stage::new(|_| ready(object("a", "1"))).await;
    stage.world.config.enrich.coalesce_window.0 = Duration::from_millis(800);
    let store = Arc::clone(&stage.world.store);
    stage.enrich = enrich(&stage.world, store, &stage.wake, Hint::new());
    stage.of(1, ChangeType::Updated).await;
    stage
        .run(async {
            stage.world.events_reach(1).await;
            for _ in 0..5 {
                stage.of(1, ChangeType::Updated).await;
            }
            let all_wait = || stage.world.metrics.enrich.in_memory.get() == 5;
            stage.world.pass(Duration::from_millis(700), all_wait).await;
            assert_eq!(stage.graph.calls().len(), 1);
            stage.world.pass(Duration::from_millis(100), all_wait).await;
            stage.world.events_reach(2).await;
            stage.queue_empties().await;
        })
        .await;
    assert_eq!(stage.graph.calls().len(), 2);
}

#[tokio::test]
async fn the_version_that_counts_is_that_of_the_last() {
    let stage = Stage::new(|_| ready(object("a", "third"))).await;
    for etag in ["first", "second", "third"] {
        let mut new = stage.notification(A, ChangeType::Updated);
        new.notification.etag = Some(etag.to_owned());
        stage.record(new).await;
    }
    stage.run(stage.queue_empties()).await;
    // No second look was needed.
    assert_eq!(stage.graph.calls().len(), 1);
    assert_eq!(stage.world.events().await.len(), 1);
}

#[tokio::test]
async fn an_outage_delays_what_is_merged_and_drops_nothing() {
    let tries = AtomicUsize::new(0);
    let stage = Stage::new(move |_| {
        ready(match tries.fetch_add(1, Ordering::SeqCst) {
            0 => reply(503, ""),
            _ => object("a", "1"),
        })
    })
    .await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(stage.of(1, ChangeType::Updated).await);
    }
    stage
        .run(async {
            stage.calls_reach(1).await;
            while stage.world.queue().await[0].failures == 0 {
                tokio::task::yield_now().await;
            }
            // What comes meanwhile goes with them.
            ids.push(stage.of(1, ChangeType::Updated).await);
            let known = || stage.world.metrics.enrich.in_memory.get() == 4;
            stage.world.pass(Duration::from_millis(1_200), known).await;
            stage.queue_empties().await;
        })
        .await;
    let events = stage.world.events().await;
    assert_eq!((events.len(), stage.graph.calls().len()), (1, 2));
    assert_eq!(stage.merged(&events[0]).await, texts(&ids[..3]));
}

#[tokio::test]
async fn a_change_that_comes_while_it_is_in_doubt_whether_the_event_is_stored_is_told() {
    let mut stage = Stage::new(|_| ready(object("a", "1"))).await;
    stage.of(1, ChangeType::Updated).await;
    stage.of(1, ChangeType::Updated).await;
    let store = Doubtful::new(&stage.world.store, true);
    stage.enrich = enrich(&stage.world, store.clone(), &stage.wake, Hint::new());
    stage
        .run(async {
            store.committed.notified().await;
            let later = stage.of(1, ChangeType::Updated).await;
            // No commit is ever answered: each is found out when the item is looked at again.
            while !stage.world.queue().await.is_empty() {
                let waits = stage.world.clock.next_wake();
                if stage.answered(1) && waits.is_some_and(|wait| wait <= STORE_PAUSE) {
                    stage.world.clock.advance(STORE_PAUSE);
                }
                tokio::task::yield_now().await;
            }
            let events = stage.world.events().await;
            let told = |event: &Event| event.notification == Some(later);
            assert_eq!(events.iter().filter(|event| told(event)).count(), 1);
        })
        .await;
}
