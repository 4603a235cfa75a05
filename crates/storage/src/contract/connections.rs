//! What is wanted of connections, and how their subscriptions follow.

use tidings_domain::{
    connection::{Connection, ConnectionIntent},
    shard::Shard,
    subscription::{Subscription, SubscriptionState},
};

use super::{World, make::unchanged};
use crate::{
    Lease, StoreError,
    record::{DueConnection, Settled, SubscriptionUpdate},
};

impl World {
    async fn with_rows(&self, states: &[SubscriptionState]) -> (Connection, Vec<Subscription>) {
        let tenant = self.tenant("dev").await;
        let connection = self.store.connection(tenant.connection).await.unwrap();
        let connection = connection.unwrap();
        let mut rows = Vec::new();
        for (number, &state) in states.iter().enumerate() {
            let mut row = self.subscription(&connection, &format!("users/{number}/events"));
            row.state = state;
            row.due_at = self.in_seconds(3_600);
            self.store
                .create_subscription(row.clone(), Shard::FIRST)
                .await
                .unwrap();
            rows.push(row);
        }
        (connection, rows)
    }

    async fn intend(
        &self,
        id: tidings_domain::ids::ConnectionId,
        intent: ConnectionIntent,
    ) -> ConnectionIntent {
        let set = self
            .store
            .set_connection_intent(id, intent, self.now())
            .await;
        set.unwrap().unwrap().intent
    }

    async fn due_connection(&self) -> DueConnection {
        let mut due = self.store.due_connections(self.now(), 10).await.unwrap();
        assert_eq!(due.len(), 1);
        due.remove(0)
    }

    async fn state_of(&self, row: &Subscription) -> (SubscriptionState, bool) {
        let row = self.store.subscription(row.id).await.unwrap().unwrap();
        (row.state, row.due_at <= self.now())
    }
}

async fn settle(world: &World, id: tidings_domain::ids::ConnectionId, lease: Lease) -> Settled {
    let settled = world
        .store
        .settle_connection(id, world.now(), 10, lease)
        .await;
    settled.unwrap()
}

pub(crate) async fn what_is_wanted_of_a_connection_reads_back_and_makes_it_due(world: World) {
    let (connection, _) = world.with_rows(&[]).await;
    let due = world.due_connection().await;
    assert_eq!((&due.connection, due.listed_at), (&connection, None));
    let (id, later) = (connection.id, world.in_seconds(60));
    let store = &world.store;
    store
        .put_off_connection(id, due.due_at, later, Some(world.now()), due.lease)
        .await
        .unwrap();
    assert_eq!(store.due_connections(world.now(), 10).await.unwrap(), []);
    assert_eq!(store.next_due_connection().await.unwrap(), Some(later));
    let disabled = ConnectionIntent::Disabled { since: world.now() };
    assert_eq!(world.intend(id, disabled).await, disabled);
    let due = world.due_connection().await;
    assert_eq!(
        (due.connection.intent, due.listed_at),
        (disabled, Some(world.now()))
    );
    assert_eq!(
        store.connection(id).await.unwrap().unwrap().intent,
        disabled
    );
    // What is to be deleted stays so.
    let deleting = ConnectionIntent::Deleting { since: world.now() };
    assert_eq!(world.intend(id, deleting).await, deleting);
    assert_eq!(world.intend(id, ConnectionIntent::Kept).await, deleting);
    let nobody = world.ids.next();
    let none = store
        .set_connection_intent(nobody, disabled, world.now())
        .await;
    assert_eq!(none.unwrap(), None);
    let missing = store
        .settle_connection(nobody, world.now(), 10, due.lease)
        .await;
    assert!(
        matches!(missing, Err(StoreError::Missing { .. })),
        "{missing:?}"
    );
}

pub(crate) async fn the_subscriptions_of_a_disabled_connection_become_due_until_they_rest(
    world: World,
) {
    use SubscriptionState::{Active, Deleting, Disabled, Pending};
    let (connection, rows) = world.with_rows(&[Active, Deleting, Pending]).await;
    let (id, lease) = (connection.id, world.due_connection().await.lease);
    assert_eq!(settle(&world, id, lease).await, Settled::default());
    world
        .intend(id, ConnectionIntent::Disabled { since: world.now() })
        .await;
    assert_eq!(
        settle(&world, id, lease).await,
        Settled {
            changed: 2,
            served: 3
        }
    );
    assert_eq!(
        settle(&world, id, lease).await,
        Settled {
            changed: 0,
            served: 3
        }
    );
    assert_eq!(world.state_of(&rows[0]).await, (Active, true));
    assert_eq!(world.state_of(&rows[1]).await, (Deleting, false));
    for row in [&rows[0], &rows[2]] {
        let update = SubscriptionUpdate {
            state: Disabled,
            due_at: world.in_seconds(3_600),
            ..unchanged(row)
        };
        world.store.update_subscription(update, None).await.unwrap();
    }
    assert!(world.store.delete_subscription(rows[1].id).await.unwrap());
    assert_eq!(settle(&world, id, lease).await, Settled::default());
    world.intend(id, ConnectionIntent::Kept).await;
    assert_eq!(
        settle(&world, id, lease).await,
        Settled {
            changed: 2,
            served: 0
        }
    );
    assert_eq!(world.state_of(&rows[0]).await, (Pending, true));
}

pub(crate) async fn the_subscriptions_of_a_connection_that_goes_are_to_be_removed(world: World) {
    use SubscriptionState::{Active, Deleting, Disabled, Failed};
    let (connection, rows) = world.with_rows(&[Active, Disabled, Failed]).await;
    let (id, lease) = (connection.id, world.due_connection().await.lease);
    world
        .intend(id, ConnectionIntent::Deleting { since: world.now() })
        .await;
    assert_eq!(
        settle(&world, id, lease).await,
        Settled {
            changed: 2,
            served: 2
        }
    );
    assert_eq!(world.state_of(&rows[0]).await, (Deleting, true));
    assert_eq!(world.state_of(&rows[1]).await, (Disabled, false));
    assert_eq!(world.state_of(&rows[2]).await, (Deleting, true));
}
