//! Events of which nobody heard that they were stored.

use super::*;
use crate::testing::Doubtful;

#[tokio::test]
async fn deliver_hears_of_events_whose_commit_was_not_answered() {
    let mut stage = Stage::new(|_| std::future::ready(object("a", "1"))).await;
    let webhook = stage.webhook(&["event.updated"], Vec::new()).await;
    stage.managed(A, ChangeType::Updated).await;
    let hint = Hint::new();
    let store = Doubtful::new(&stage.world.store, true);
    stage.enrich = enrich(&stage.world, store.clone(), &stage.wake, hint.clone());
    stage
        .run(async {
            store.committed.notified().await;
            // The turn has ended when nothing is left to do but to wait for the next.
            stage.pass(STORE_PAUSE, 1).await;
        })
        .await;
    assert_eq!(stage.world.events().await.len(), 1);
    let hinted = hint.take().now_or_never().expect("there was no hint");
    assert_eq!(hinted, [webhook].into());
}
