//! Places of notifications.

use tidings_domain::{Timestamp, notification::Verdict};

use super::Bench;
use crate::{Store as _, record::Seq};

#[tokio::test]
async fn a_place_is_not_given_again_where_no_rejected_one_is_kept() {
    let mut bench = Bench::new();
    bench.options.ingest.keep_rejected = 0;
    let store = bench.open().await;
    let lease = store.holdings().lease(tidings_domain::shard::Shard::FIRST);
    let mut held = bench.accepted();
    held.notification.verdict = Verdict::Held;
    held.due_at = Timestamp::from_millis(0);
    store
        .record_notifications(vec![held.clone()])
        .await
        .unwrap();
    let [first] = &store
        .queued_notifications(Seq::default(), 10)
        .await
        .unwrap()[..]
    else {
        panic!("one waits");
    };
    held.notification.verdict = Verdict::UnknownSubscription;
    let settled = store.settle_held(first.seq, lease.unwrap(), held).await;
    assert_eq!(settled.unwrap(), Verdict::UnknownSubscription);
    bench.record(&store).await.unwrap();
    let behind = store.queued_notifications(first.seq, 10).await.unwrap();
    assert_eq!(
        behind.len(),
        1,
        "whoever has read the first sees the second"
    );
}
