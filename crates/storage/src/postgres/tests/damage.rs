//! Rows that cannot be read cost nobody else.

use tidings_domain::shard::Shard;

use super::{Database, migrate};
use crate::Store as _;

#[tokio::test]
async fn damaged_events_leave_their_places_to_those_behind_them() {
    let database = Database::start();
    let world = database.world().await;
    let tenant = world.tenant("dev").await;
    let webhook = tenant.webhook;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.extend(world.delivered_to(&tenant, &[webhook]).await);
    }
    let event = |place: usize| {
        let id = ids[place];
        format!("seq = (SELECT event_seq FROM deliveries WHERE id = '{id}')")
    };
    database.sql(&format!(
        "UPDATE events SET body = 'other bytes' WHERE {}",
        event(0)
    ));
    database.sql(&format!("DELETE FROM events WHERE {}", event(1)));
    for (limit, expected) in [
        (1, &ids[2..3]),
        (2, &ids[2..4]),
        (3, &ids[2..]),
        (9, &ids[2..]),
    ] {
        let due = world
            .store
            .due_deliveries(webhook, world.now(), limit)
            .await;
        let due: Vec<_> = due.unwrap().iter().map(|one| one.id).collect();
        assert_eq!(due, expected, "{limit}");
    }
}

#[tokio::test]
async fn a_subscription_that_cannot_be_read_keeps_no_other_from_being_renewed() {
    let database = Database::start();
    let world = database.world().await;
    let tenant = world.tenant("dev").await;
    let connection = world.store.connection(tenant.connection).await;
    let connection = connection.unwrap().unwrap();
    let mut ids = Vec::new();
    for resource in ["users/a/events", "users/b/events", "users/c/events"] {
        let subscription = world.subscription(&connection, resource);
        ids.push(subscription.id);
        let created = world.store.create_subscription(subscription, Shard::FIRST);
        created.await.unwrap();
    }
    for (id, damage) in ids.iter().zip([r"client_state = '\x00'", "state = 'none'"]) {
        database.sql(&format!(
            "UPDATE subscriptions SET {damage} WHERE id = '{id}'"
        ));
    }
    for limit in [1, 2, 9] {
        let due = world.store.due_subscriptions(world.now(), limit).await;
        let due: Vec<_> = due.unwrap().iter().map(|one| one.subscription.id).collect();
        assert_eq!(due, ids[2..], "{limit}");
    }
}

#[tokio::test]
async fn a_day_that_cannot_be_made_keeps_no_later_one_from_being_made() {
    let database = Database::start();
    migrate::apply(&database.plain()).await.unwrap();
    let today = 1_700_000_000_000_i64 / 86_400_000;
    // In the part for everything else, as an event of yesterday: yesterday cannot get a part of its own.
    database.sql(&format!(
        "INSERT INTO events (seq, id, environment_id, connection_id, notification_id, trigger, subject, object_state,
             created_at, checksum, body)
         VALUES (1, 'e', 'e', 'c', 'n', 't', 's', 'o', {}, 0, '')",
        (today - 1) * 86_400_000
    ));
    database.node().await.close().await;
    for (day, made) in [(today - 1, "f"), (today, "t"), (today + 7, "t")] {
        let found = database.sql(&format!("SELECT to_regclass('events_{day}') IS NOT NULL"));
        assert_eq!(found, made, "{day}");
    }
}
