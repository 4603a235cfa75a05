//! What Graph's lifecycle notifications ask for.

use bytes::Bytes;
use tidings_domain::{
    notification::{LifecycleEvent, Notification, Origin, Verdict},
    reconcile::ReconcileReason,
};
use tidings_storage::record::{LifecycleNote, NewNotification, Outcome};

use super::*;

impl Stage {
    /// What enrich leaves behind of a lifecycle notification.
    async fn note(&self, row: &Subscription, event: LifecycleEvent) {
        let (world, now) = (&self.world, self.world.clock.now());
        let notification = Notification {
            id: world.ids.next(),
            environment: world.environment,
            integration: world.integration,
            origin: Origin::Notification,
            received_at: now,
            verdict: Verdict::Accepted,
            connection: Some(row.connection),
            subscription: Some(row.id),
            graph_subscription_id: row.graph_id.clone(),
            tenant_id: None,
            change_type: None,
            lifecycle_event: Some(event),
            resource: row.resource.clone(),
            etag: None,
            item: Bytes::from_static(b"{}"),
        };
        let new = NewNotification {
            notification,
            dedup_key: None,
            client_state_hash: None,
            due_at: now,
            shard: Shard::FIRST,
        };
        world.store.record_notifications(vec![new]).await.unwrap();
        let outcome = Outcome {
            lifecycle: Some(LifecycleNote {
                subscription: row.id,
                event,
                due_at: now,
            }),
            ..Outcome::default()
        };
        let seq = world.queue().await[0].seq;
        let finish = world
            .store
            .finish_notification(seq, Lease::of_the_only_node(), outcome);
        assert!(finish.await.unwrap());
        self.subscribe.parts.wake.wake();
    }

    async fn minutes_pass(&self, minutes: u64) {
        self.world.clock.advance(Duration::from_mins(minutes));
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn who_is_asked_to_reauthorize_renews_once_and_not_again_within_ten_minutes() {
    let stage = Stage::new().await;
    let row = stage.request(RESOURCE, "created").await.unwrap();
    let event = LifecycleEvent::ReauthorizationRequired;
    stage.note(&row, event).await;
    let step = Duration::from_secs(1);
    let once = stage.run(stage.sees(row.id, |now| now.patched_at.is_some()));
    stage.patiently(step, once).await;
    let renewed = stage.row(row.id).await;
    // Graph goes on asking.
    stage
        .run(async {
            for _ in 0..4 {
                stage.world.clock.advance(Duration::from_mins(2));
                stage.note(&renewed, event).await;
                // Time may have passed while the store was writing: then the loop gives it another try, later.
                let seen = stage.sees(row.id, |now| now.lifecycle.is_none());
                stage.patiently(step, seen).await;
            }
        })
        .await;
    let twice = stage.run(stage.sees(row.id, |now| now.patched_at != renewed.patched_at));
    stage.patiently(step, twice).await;
    let again = stage.row(row.id).await;
    assert_eq!(renewed.lifecycle, None);
    assert_eq!(again.lifecycle, None);
    let apart = renewed.patched_at.unwrap().until(again.patched_at.unwrap());
    assert!(apart >= Duration::from_mins(10), "{apart:?}");
    assert!(apart < Duration::from_mins(12), "{apart:?}");
    assert_eq!(stage.methods(), ["POST", "PATCH", "PATCH"]);
    // It never says `reauthorize`, which would leave the end as it is.
    assert!(
        stage
            .graph
            .calls()
            .iter()
            .all(|call| !call.path.contains("reauthorize"))
    );
}

#[tokio::test]
async fn a_renewal_that_failed_is_tried_again_though_graph_asked_for_it() {
    let stage = Stage::new().await;
    let row = stage.request(RESOURCE, "created").await.unwrap();
    stage.instead(reply(503, ""));
    stage
        .note(&row, LifecycleEvent::ReauthorizationRequired)
        .await;
    let renewed = stage.run(stage.sees(row.id, |now| now.renewed_at != row.renewed_at));
    stage.patiently(Duration::from_secs(1), renewed).await;
    let took = row
        .created_at
        .until(stage.row(row.id).await.renewed_at.unwrap());
    assert!(took < Duration::from_mins(1), "{took:?}");
    assert_eq!(stage.methods(), ["POST", "PATCH", "PATCH"]);
}

#[tokio::test]
async fn what_graph_has_removed_is_made_anew_and_compared() {
    let stage = Stage::new().await;
    let row = stage.request(RESOURCE, "created").await.unwrap();
    let baseline = stage.world.store.reconcile(row.id).await.unwrap().unwrap();
    assert_eq!(baseline.reason, ReconcileReason::Created);
    stage.minutes_pass(60).await;
    stage.forget_at_graph();
    stage.note(&row, LifecycleEvent::SubscriptionRemoved).await;
    // The first try fails: what was noted is not forgotten.
    stage.instead(reply(503, ""));
    stage
        .run(async {
            stage
                .until(row.id, |now| {
                    now.state == SubscriptionState::Active && now.graph_id != row.graph_id
                })
                .await;
            let anew = stage.row(row.id).await.graph_id.unwrap();
            let directory = &stage.world.directory;
            while directory.subscription_by_graph_id(&anew).is_none() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    let anew = stage.row(row.id).await;
    assert_eq!(anew.lifecycle, None);
    assert_eq!(anew.client_state, row.client_state);
    let former = anew.former.unwrap();
    assert_eq!(Some(former.graph_id.clone()), row.graph_id);
    assert_eq!(stage.methods(), ["POST", "POST", "POST"]);
    let gap = stage.world.store.reconcile(row.id).await.unwrap().unwrap();
    assert_eq!(gap.reason, ReconcileReason::Created);
    assert!(gap.asked_at >= stage.world.clock.now() - Duration::from_mins(1));
    // What Graph still sends for the old one is known as this row's.
    for id in [former.graph_id, anew.graph_id.unwrap()] {
        let known = stage.world.directory.subscription_by_graph_id(&id);
        assert_eq!(known.unwrap().id, row.id);
    }
    assert_eq!(stage.told().await, ["subscription.recovered"]);
}
