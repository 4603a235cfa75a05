//! Rows that go to Graph with one call.

use super::*;
use crate::testing::LEFT_OUT;

impl Stage {
    /// A stage that makes one call at a time.
    async fn of_one_call() -> Self {
        Self::with(|config| config.concurrency = 1).await
    }

    /// Rows of one connection that are due, in the order of their urgency.
    async fn due(&self, count: u32) -> Vec<Subscription> {
        let mut rows = Vec::new();
        for number in 0..count {
            let end = Duration::from_mins(60 + u64::from(number));
            rows.push(self.served(number, end).await);
        }
        rows
    }

    fn about(&self, row: &Subscription, reply: Reply) {
        let id = row.graph_id.clone().unwrap();
        self.kept.lock().unwrap().about.insert(id, reply);
    }
}

#[tokio::test]
async fn what_is_due_together_is_renewed_in_batches_and_the_last_one_by_itself() {
    let stage = Stage::of_one_call().await;
    let rows = stage.due(41).await;
    stage.all_renewed(&rows).await;
    assert_eq!(stage.graph.batches(), [20, 20]);
    assert_eq!(stage.methods(), ["PATCH"; 41]);
    for row in &rows {
        let renewed = stage.row(row.id).await;
        assert_eq!(renewed.state, SubscriptionState::Active);
        assert!(renewed.expires_at > row.expires_at && renewed.patched_at.is_some());
        assert!(renewed.due_at > stage.world.clock.now());
    }
}

#[tokio::test]
async fn what_finds_a_free_place_is_renewed_by_itself() {
    let stage = Stage::new().await;
    let rows = stage.due(8).await;
    stage.all_renewed(&rows).await;
    assert!(stage.graph.batches().is_empty());
}

#[tokio::test]
async fn each_of_a_batch_becomes_what_it_would_by_itself() {
    let stage = Stage::of_one_call().await;
    let rows = stage.due(6).await;
    let [fine, gone, short, left_out, refused, throttled] = &rows[..] else {
        panic!()
    };
    let gone_id = gone.graph_id.clone().unwrap();
    stage.kept.lock().unwrap().made.remove(&gone_id);
    let limit = r#"{"error":{"code":"ExtensionError","message":"Subscription expiration can only be 60 minutes in the future."}}"#;
    stage.about(short, reply(400, limit));
    stage.about(left_out, reply(LEFT_OUT, ""));
    stage.about(refused, reply(403, "{}"));
    stage.about(
        throttled,
        Reply {
            headers: vec![("Retry-After", "30")],
            ..reply(429, "{}")
        },
    );
    let begin = stage.world.clock.now();
    stage.all_renewed(&rows).await;
    assert_eq!(stage.graph.batches()[0], 6);
    let waits = stage.waits(&rows, begin).await;
    assert!(waits[0] < Duration::from_secs(1), "{waits:?}");
    // It was put off by itself, and so was the tenant.
    assert!(waits[5] >= Duration::from_secs(30), "{waits:?}");
    let now = |row: &Subscription| stage.row(row.id);
    assert_eq!(now(fine).await.graph_id, fine.graph_id);
    let anew = now(gone).await;
    assert_ne!(anew.graph_id, gone.graph_id);
    assert_eq!(anew.state, SubscriptionState::Active);
    let told = stage.world.events().await;
    let about_gone = told
        .iter()
        .filter(|event| event.subscription == Some(gone.id));
    assert!(about_gone.count() >= 2, "{told:?}");
    for row in [left_out, refused, throttled] {
        let renewed = now(row).await;
        assert_eq!(
            (renewed.graph_id, renewed.failures),
            (row.graph_id.clone(), 0)
        );
    }
    // It was asked for less at once.
    let id = short.graph_id.as_deref().unwrap();
    let calls = stage.graph.calls();
    let asked = calls.iter().filter(|call| call.path.ends_with(id));
    assert_eq!(asked.count(), 2);
    assert!(waits[2] < Duration::from_secs(1), "{waits:?}");
}

#[tokio::test]
async fn a_batch_that_fails_as_a_whole_is_tried_again_row_by_row() {
    let stage = Stage::of_one_call().await;
    stage.graph.instead_of_a_batch(reply(503, ""));
    let rows = stage.due(20).await;
    stage.all_renewed(&rows).await;
    assert_eq!(stage.graph.calls().len(), 20);
}

#[tokio::test]
async fn what_is_to_go_is_removed_in_a_batch() {
    let stage = Stage::of_one_call().await;
    let rows = stage.due(12).await;
    for row in &rows {
        stage.subscribe.mark_deleting(row.id).await.unwrap();
    }
    let removed = async {
        for row in &rows {
            let there = || async { stage.world.store.subscription(row.id).await.unwrap() };
            while there().await.is_some() {
                tokio::task::yield_now().await;
            }
        }
    };
    stage.run(removed).await;
    assert_eq!(stage.graph.batches(), [12]);
    assert!(stage.kept.lock().unwrap().made.is_empty());
}

#[tokio::test]
async fn one_that_somebody_else_works_on_holds_up_no_other() {
    let stage = Stage::of_one_call().await;
    let rows = stage.due(5).await;
    let lock = stage.subscribe.lock(rows[2].id);
    let guard = lock.lock().await;
    let others: Vec<Subscription> = rows
        .iter()
        .filter(|row| row.id != rows[2].id)
        .cloned()
        .collect();
    stage
        .run(async {
            for row in &others {
                let renewed = |now: &Subscription| now.renewed_at != row.renewed_at;
                stage.sees(row.id, renewed).await;
            }
            assert_eq!(stage.graph.batches(), [4]);
            drop(guard);
            let renewed = |now: &Subscription| now.renewed_at != rows[2].renewed_at;
            stage.sees(rows[2].id, renewed).await;
        })
        .await;
}
