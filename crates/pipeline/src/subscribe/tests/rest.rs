//! Rows of connections that are disabled.

use tidings_domain::connection::ConnectionIntent;

use super::*;

async fn want(stage: &Stage, intent: ConnectionIntent) {
    let id = stage.world.connection;
    let now = stage.world.clock.now();
    let set = stage.world.store.set_connection_intent(id, intent, now);
    let change = Change::Connection(id);
    stage.world.directory.change(change, set).await.unwrap();
}

#[tokio::test]
async fn a_row_of_a_disabled_connection_is_removed_at_graph_and_made_anew_when_it_is_enabled() {
    let stage = Stage::new().await;
    let row = stage.request(RESOURCE, "created").await.unwrap();
    let since = stage.world.clock.now();
    want(&stage, ConnectionIntent::Disabled { since }).await;
    stage.instead(reply(503, ""));
    let failed = stage.subscribe.act(row.id).await.unwrap().unwrap();
    assert_eq!(
        (failed.state, failed.failures),
        (SubscriptionState::Active, 1)
    );
    let rests = stage.subscribe.act(row.id).await.unwrap().unwrap();
    assert_eq!(
        (rests.state, rests.graph_id),
        (SubscriptionState::Disabled, None)
    );
    assert!(stage.kept.lock().unwrap().made.is_empty());
    // What Graph still has to send for it is known.
    assert_eq!(rests.former.unwrap().graph_id, row.graph_id.unwrap());
    let calls = stage.methods();
    stage.subscribe.act(row.id).await.unwrap();
    assert_eq!(stage.methods(), calls);
    let refused = stage.request("users/v/events", "created").await;
    assert!(
        matches!(refused, Err(ManageError::Invalid { .. })),
        "{refused:?}"
    );

    want(&stage, ConnectionIntent::Kept).await;
    let again = stage.subscribe.act(row.id).await.unwrap().unwrap();
    assert_eq!(again.state, SubscriptionState::Active);
    let asked = stage.world.store.reconcile(row.id).await.unwrap().unwrap();
    assert_eq!(
        asked.reason,
        tidings_domain::reconcile::ReconcileReason::Created
    );
}
