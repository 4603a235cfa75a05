//! What Graph says of its limits, and who is asked for less then.

use std::{
    future::ready,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::*;

fn refusal(headers: Vec<(&'static str, &'static str)>) -> Reply {
    Reply {
        headers,
        ..reply(429, "{}")
    }
}

impl Stage {
    /// A stage that asks for one item at a time.
    async fn one_by_one<F>(handler: impl Fn(Seen) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        let mut stage = Self::new(handler).await;
        stage.world.config.enrich.concurrency = 1;
        stage.world.config.enrich.batch = 1;
        let store = Arc::clone(&stage.world.store);
        stage.enrich = enrich(&stage.world, store, &stage.wake, Hint::new());
        stage
    }

    async fn of_other_tenant(&self, resource: &str) {
        let mut new = self.notification(resource, ChangeType::Updated);
        new.notification.connection = Some(self.world.other);
        self.record(new).await;
    }

    fn asked_for(&self, part: &str) -> usize {
        let calls = self.graph.calls();
        calls.iter().filter(|one| one.path.contains(part)).count()
    }
}

#[tokio::test]
async fn a_mailbox_that_throttles_is_left_alone_and_the_others_are_not() {
    let answered = AtomicUsize::new(0);
    let stage = Stage::new(move |seen| {
        let busy = seen.path.contains("/busy/");
        ready(if busy && answered.fetch_add(1, Ordering::SeqCst) < 3 {
            refusal(vec![("retry-after", "5")])
        } else {
            object("x", "1")
        })
    })
    .await;
    for number in 0..8 {
        let resource = format!("users/busy/events/{number}");
        stage.managed(&resource, ChangeType::Updated).await;
    }
    stage
        .run(async {
            while stage.asked_for("/busy/") < 3 {
                tokio::task::yield_now().await;
            }
            while stage.world.metrics.enrich.in_flight.get() > 0 {
                tokio::task::yield_now().await;
            }
            for number in 0..20 {
                let resource = format!("users/calm{number}/events/x");
                stage.managed(&resource, ChangeType::Updated).await;
            }
            stage.world.events_reach(20).await;
            assert_eq!(stage.asked_for("/busy/"), 3);
            stage.pass(Duration::from_secs(5), 23).await;
            stage.world.events_reach(28).await;
        })
        .await;
}

#[tokio::test]
async fn a_tenant_that_throttles_is_left_alone_and_another_is_not() {
    let answered = AtomicUsize::new(0);
    let stage = Stage::one_by_one(move |seen| {
        let first = seen.path.contains("/here") && answered.fetch_add(1, Ordering::SeqCst) == 0;
        ready(if first {
            refusal(vec![
                ("retry-after", "5"),
                ("x-ms-throttle-scope", "Tenant_Application/Read/a/b"),
            ])
        } else {
            object("x", "1")
        })
    })
    .await;
    for number in 0..3 {
        let resource = format!("users/here{number}/events/x");
        stage.managed(&resource, ChangeType::Updated).await;
    }
    stage
        .run(async {
            stage.calls_reach(1).await;
            while stage.world.queue().await[0].failures == 0 {
                tokio::task::yield_now().await;
            }
            for number in 0..4 {
                stage
                    .of_other_tenant(&format!("users/there{number}/events/x"))
                    .await;
            }
            stage.world.events_reach(4).await;
            assert_eq!(stage.asked_for("/here"), 1);
            let begin = stage.world.clock.now();
            // Then as much as there is room for.
            while stage.world.events().await.len() < 7 {
                let wait = stage.world.clock.next_wake();
                if let Some(wait) = wait.filter(|_| stage.answered(5)) {
                    stage.world.clock.advance(wait.min(Duration::from_secs(1)));
                }
                tokio::task::yield_now().await;
            }
            assert!(begin.until(stage.world.clock.now()) >= Duration::from_secs(5));
        })
        .await;
}

#[tokio::test]
async fn near_a_limit_less_is_asked_for_before_anything_is_refused() {
    let stage = Stage::one_by_one(|_| {
        ready(Reply {
            headers: vec![("x-ms-throttle-limit-percentage", "1.1")],
            ..object("x", "1")
        })
    })
    .await;
    for number in 0..3 {
        let resource = format!("users/u{number}/events/x");
        stage.managed(&resource, ChangeType::Updated).await;
    }
    stage
        .run(async {
            stage.world.events_reach(1).await;
            for asked in 1..3 {
                let waits = || stage.answered(asked);
                stage.world.pass(Duration::from_millis(1_100), waits).await;
                stage.world.events_reach(asked + 1).await;
            }
        })
        .await;
}
