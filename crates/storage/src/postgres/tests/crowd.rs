//! Many who ask at one time: what flows does not wait for them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use sqlx::Executor as _;
use tidings_domain::notification::Verdict;
use tokio::task::JoinSet;

use super::{Database, nodes::world_sql};
use crate::{StoreError, contract::make::all, record::DeliveryFilter};

#[tokio::test]
async fn many_slow_lists_keep_nothing_else_waiting() {
    let database = Database::start();
    let world = database.world().await;
    let tenant = world.tenant("dev").await;
    // Lists of deliveries now take as long as a statement may wait for a lock.
    let mut other = world_sql(&database).await;
    other.execute("BEGIN").await.unwrap();
    other
        .execute("LOCK TABLE deliveries IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let mut lists = JoinSet::new();
    for _ in 0..40 {
        let store = Arc::clone(&world.store);
        lists.spawn(async move { store.deliveries(DeliveryFilter::default(), all()).await });
    }
    let ended = AtomicBool::new(false);
    let listing = async {
        for listed in lists.join_all().await {
            assert!(matches!(listed, Err(StoreError::Overloaded)), "{listed:?}");
        }
        ended.store(true, Ordering::Relaxed);
    };
    let everything_else = async {
        let mut rounds = 0;
        while !ended.load(Ordering::Relaxed) {
            world
                .record(world.arriving(&tenant, Verdict::Accepted, None))
                .await;
            assert_eq!(world.store.environments().await.unwrap().len(), 1);
            assert_eq!(world.store.health().await.trouble, None);
            rounds += 1;
        }
        assert_eq!(world.queue().await.len(), rounds);
    };
    tokio::join!(listing, everything_else);
}
