//! Items that are fetched with one call.

use std::{
    future::ready,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::*;
use crate::testing::LEFT_OUT;

impl Stage {
    /// A stage that makes one call at a time.
    async fn of_one_call<F>(handler: impl Fn(Seen) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        let mut stage = Self::new(handler).await;
        stage.world.config.enrich.concurrency = 1;
        let store = Arc::clone(&stage.world.store);
        stage.enrich = enrich(&stage.world, store, &stage.wake, Hint::new());
        stage
    }

    /// Queues an update of an item of this name in a mailbox of its own.
    async fn updated(&self, name: &str) {
        self.managed(
            &format!("users/of-{name}/events/{name}"),
            ChangeType::Updated,
        )
        .await;
    }

    async fn states(&self, count: usize) -> Vec<(String, ObjectState)> {
        let events = self.world.events_reach(count).await;
        let state = |event: &tidings_domain::event::Event| {
            let name = event.subject.rsplit('/').next().unwrap();
            (name.to_owned(), event.object_state)
        };
        let mut states: Vec<_> = events.iter().map(state).collect();
        states.sort_by(|one, other| one.0.cmp(&other.0));
        states
    }
}

#[tokio::test]
async fn what_finds_a_free_place_is_asked_for_by_itself() {
    let stage = Stage::new(|_| ready(object("x", "1"))).await;
    for number in 0..10 {
        stage.updated(&number.to_string()).await;
    }
    stage.run(stage.world.events_reach(10)).await;
    assert_eq!(stage.graph.calls().len(), 10);
    assert!(stage.graph.batches().is_empty());
}

#[tokio::test]
async fn what_waits_goes_in_batches_of_twenty_and_the_last_one_alone() {
    let stage = Stage::of_one_call(|_| ready(object("x", "1"))).await;
    for number in 0..41 {
        stage.updated(&number.to_string()).await;
    }
    stage.run(stage.world.events_reach(41)).await;
    assert_eq!(stage.graph.batches(), [20, 20]);
    let calls = stage.graph.calls();
    assert_eq!(calls.len(), 41);
    assert!(
        calls
            .iter()
            .all(|one| one.path.starts_with("/v1.0/users/of-"))
    );
    let text = stage.world.metrics.encode();
    for line in [
        "tidings_enrich_calls_total{result=\"batch\"} 2",
        "tidings_enrich_calls_total{result=\"single\"} 1",
        "tidings_enrich_fetches_total{result=\"fetched\"} 41",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}

#[tokio::test]
async fn each_part_of_a_batch_comes_to_what_it_would_by_itself() {
    let again = Arc::new(AtomicUsize::new(0));
    let at = Arc::clone(&again);
    let stage = Stage::of_one_call(move |seen| {
        let later = at.load(Ordering::SeqCst) > 0;
        ready(match seen.path.rsplit('/').next().unwrap() {
            "gone" => reply(404, ""),
            "refused" => reply(403, ""),
            "large" => reply(200, format!("{{\"x\":\"{}\"}}", "x".repeat(1 << 20))),
            "throttled" if !later => Reply {
                headers: vec![("Retry-After", "7.5")],
                ..reply(429, "{}")
            },
            "unmet" if !later => reply(424, "{}"),
            "left-out" if !later => reply(LEFT_OUT, ""),
            _ => object("x", "1"),
        })
    })
    .await;
    for name in [
        "fine",
        "gone",
        "refused",
        "large",
        "throttled",
        "unmet",
        "left-out",
    ] {
        stage.updated(name).await;
    }
    stage
        .run(async {
            let states = stage.states(4).await;
            let expected = [
                ("fine", ObjectState::Fetched),
                ("gone", ObjectState::Gone),
                ("large", ObjectState::TooLarge),
                ("refused", ObjectState::Forbidden),
            ];
            assert_eq!(
                states,
                expected.map(|(name, state)| (name.to_owned(), state))
            );
            assert_eq!(stage.graph.batches(), [7]);
            while stage
                .world
                .queue()
                .await
                .iter()
                .any(|one| one.failures == 0)
            {
                tokio::task::yield_now().await;
            }
            again.store(1, Ordering::SeqCst);
            stage.pass(Duration::from_millis(1_200), 7).await;
            // Each is tried again when its own time has come.
            stage.states(6).await;
            let queue = stage.world.queue().await;
            assert_eq!(queue.len(), 1);
            assert!(queue[0].notification.resource.ends_with("/throttled"));
            stage.pass(Duration::from_millis(6_300), 9).await;
            stage.states(7).await;
        })
        .await;
}

#[tokio::test]
async fn what_was_just_created_is_asked_for_again_also_after_a_batch() {
    let tries = AtomicUsize::new(0);
    let stage = Stage::of_one_call(move |seen| {
        let missing = seen.path.ends_with("/new") && tries.fetch_add(1, Ordering::SeqCst) == 0;
        ready(if missing {
            reply(404, "")
        } else {
            object("x", "1")
        })
    })
    .await;
    stage
        .managed("users/u/events/new", ChangeType::Created)
        .await;
    stage.updated("other").await;
    stage
        .run(async {
            stage.states(1).await;
            stage.pass(Duration::from_secs(1), 2).await;
            let states = stage.states(2).await;
            assert_eq!(states[0], ("new".to_owned(), ObjectState::Fetched));
        })
        .await;
    assert_eq!(stage.graph.batches(), [2]);
}

#[tokio::test]
async fn a_batch_that_fails_as_a_whole_delays_its_items_and_drops_none() {
    let stage = Stage::of_one_call(|_| ready(object("x", "1"))).await;
    stage.graph.instead_of_a_batch(reply(503, ""));
    for number in 0..20 {
        stage.updated(&number.to_string()).await;
    }
    stage
        .run(async {
            while stage
                .world
                .queue()
                .await
                .iter()
                .any(|one| one.failures == 0)
            {
                tokio::task::yield_now().await;
            }
            assert_eq!(stage.graph.calls().len(), 0);
            stage.pass(Duration::from_millis(1_200), 0).await;
            stage.states(20).await;
        })
        .await;
    assert_eq!(stage.graph.calls().len(), 20);
}

#[tokio::test]
async fn a_batch_has_no_more_of_a_mailbox_than_may_be_asked_for_at_once() {
    let stage = Stage::of_one_call(|_| ready(object("x", "1"))).await;
    for number in 0..9 {
        stage
            .managed(&format!("users/busy/events/{number}"), ChangeType::Updated)
            .await;
    }
    stage.run(stage.world.events_reach(9)).await;
    assert!(stage.graph.batches().iter().all(|&parts| parts <= 3));
}
