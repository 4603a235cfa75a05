//! What is known of the items that subscriptions watch.

use std::collections::BTreeMap;

use tidings_domain::{
    Timestamp,
    ids::SubscriptionId,
    notification::{Origin, Verdict},
    reconcile::ReconcileScope,
    shard::Shard,
};

use super::{
    World,
    make::{Tenant, key},
};
use crate::{
    StoreError,
    record::{KnownItem, NewNotification, Outcome, ReconcilePage, ReconcileUpdate, Told, Version},
};

const ALL: u64 = u64::MAX;

fn version(number: u8) -> Version {
    Version([number; 16])
}

/// An item that an enumeration shows and nobody was told of.
fn shown(id: &str, scope: &str, enumeration: u64) -> KnownItem {
    KnownItem {
        id: id.to_owned(),
        scope: scope.to_owned(),
        enumeration,
        seen: Some(version(9)),
        told: false,
        version: None,
    }
}

/// An item that was told of and that no enumeration has shown.
fn told(id: &str, version: Option<Version>) -> KnownItem {
    KnownItem {
        id: id.to_owned(),
        scope: String::new(),
        enumeration: 0,
        seen: None,
        told: true,
        version,
    }
}

fn scope(name: &str) -> ReconcileScope {
    ReconcileScope {
        name: name.to_owned(),
        link: Some("https://graph.example/delta?$skiptoken=1".to_owned()),
        enumeration: 3,
        enumerating: true,
        window: None,
    }
}

fn page(subscription: SubscriptionId, items: Vec<KnownItem>) -> ReconcilePage {
    ReconcilePage {
        subscription,
        finds: Vec::new(),
        items,
        forget: Vec::new(),
        scope: scope(""),
    }
}

impl World {
    async fn show(&self, subscription: SubscriptionId, items: Vec<KnownItem>) {
        self.page(page(subscription, items)).await.unwrap();
    }

    async fn page(&self, page: ReconcilePage) -> Result<(), StoreError> {
        let lease = self.lease(Shard::FIRST);
        self.store.record_reconcile_page(page, lease).await
    }

    /// Has the end of a notification tell of an item.
    async fn tell(&self, tenant: &Tenant, told: Told) {
        self.record(self.arriving(tenant, Verdict::Accepted, None))
            .await;
        let queued = self.queue().await.remove(0);
        let outcome = Outcome {
            told: Some(told),
            ..Outcome::default()
        };
        let finished = self
            .store
            .finish_notification(queued.seq, queued.lease, outcome)
            .await;
        assert!(finished.unwrap());
    }

    /// What is known of an item.
    async fn known(&self, subscription: SubscriptionId, item: &str) -> Option<KnownItem> {
        let items = vec![item.to_owned()];
        let mut found = self.store.known_items(subscription, items).await.unwrap();
        assert!(found.len() < 2, "{found:?}");
        found.pop()
    }

    async fn not_shown(
        &self,
        subscription: SubscriptionId,
        scope: &str,
        enumeration: u64,
        after: &str,
        limit: u32,
    ) -> Vec<String> {
        let (scope, after) = (scope.to_owned(), after.to_owned());
        let found = self
            .store
            .items_not_shown(subscription, scope, enumeration, after, limit);
        found.await.unwrap().into_iter().map(|one| one.id).collect()
    }
}

pub(crate) async fn what_an_enumeration_shows_reads_back(world: World) {
    let tenant = world.tenant("dev").await;
    let one = world.subscribed(&tenant, "users/a/messages").await.id;
    let two = world.subscribed(&tenant, "users/b/messages").await.id;
    let mut known = shown("b", "inbox", 4);
    (known.told, known.version) = (true, Some(version(1)));
    world
        .show(one, vec![shown("a", "inbox", 4), known.clone()])
        .await;
    world.show(two, vec![shown("a", "sent", 1)]).await;
    let items = ["a", "nothing", "b"].map(str::to_owned).to_vec();
    let mut found = world.store.known_items(one, items).await.unwrap();
    found.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(found, [shown("a", "inbox", 4), known]);
    assert_eq!(world.known(two, "a").await, Some(shown("a", "sent", 1)));
    assert_eq!(world.known(two, "b").await, None);
}

pub(crate) async fn showing_an_item_again_leaves_what_was_told(world: World) {
    let tenant = world.tenant("dev").await;
    let id = world.subscribed(&tenant, "users/u/messages").await.id;
    world.show(id, vec![shown("a", "inbox", 1)]).await;
    let mut first_told = shown("a", "sent", 2);
    (first_told.told, first_told.version) = (true, Some(version(1)));
    world.show(id, vec![first_told.clone()]).await;
    assert_eq!(world.known(id, "a").await, Some(first_told.clone()));

    // Neither that it was told nor which version is taken back; nor is another version taken for the one that was told.
    let mut again = shown("a", "inbox", 3);
    again.seen = None;
    let mut other = again.clone();
    (other.told, other.version) = (true, Some(version(2)));
    let expected = KnownItem {
        version: Some(version(1)),
        told: true,
        ..again.clone()
    };
    for item in [again, other] {
        world.show(id, vec![item]).await;
        assert_eq!(world.known(id, "a").await, Some(expected.clone()));
    }
    // An item that one page shows twice is as it was shown last.
    let twice = vec![shown("b", "inbox", 3), shown("b", "sent", 3)];
    world.show(id, twice).await;
    assert_eq!(world.known(id, "b").await, Some(shown("b", "sent", 3)));
}

pub(crate) async fn finds_enter_the_queue_as_accepted(world: World) {
    let tenant = world.tenant("dev").await;
    let id = world.subscribed(&tenant, "users/u/events").await.id;
    let mut finds: Vec<NewNotification> = Vec::new();
    for _ in 0..2 {
        // A find is judged by what is known of its item, not by a key.
        let mut find = world.arriving(&tenant, Verdict::Accepted, Some(key(1)));
        find.notification.origin = Origin::Reconcile;
        find.due_at = world.in_seconds(5);
        finds.push(find);
    }
    let recorded = world
        .page(ReconcilePage {
            finds: finds.clone(),
            ..page(id, vec![shown("a", "", 1)])
        })
        .await;
    recorded.unwrap();
    let queue = world.queue().await;
    assert_eq!(queue.len(), 2);
    for (queued, find) in queue.iter().zip(&finds) {
        assert_eq!(queued.notification, find.notification);
        assert_eq!((queued.due_at, queued.failures), (find.due_at, 0));
        assert_eq!(queued.client_state_hash, None);
        let listed = world.store.notification(find.notification.id).await;
        assert_eq!(listed.unwrap().as_ref(), Some(&find.notification));
    }
    assert_eq!(world.store.health().await.queued_notifications, 2);
    let key_is_free = world.arriving(&tenant, Verdict::Accepted, Some(key(1)));
    assert_eq!(world.record(key_is_free).await, Verdict::Accepted);
}

pub(crate) async fn a_page_says_how_far_its_scope_is(world: World) {
    let tenant = world.tenant("dev").await;
    let id = world.reconciled(&tenant, "users/u/messages", 1).await.id;
    let other = world.subscribed(&tenant, "users/v/messages").await.id;
    assert_eq!(world.store.reconcile_scopes(id).await.unwrap(), []);
    let mut expected = BTreeMap::new();
    for (name, link) in [("sent", true), ("inbox", true), ("sent", false)] {
        let scope = ReconcileScope {
            link: link.then(|| format!("https://graph.example/{name}")),
            enumerating: link,
            window: (!link).then(|| (world.now(), world.in_seconds(60))),
            ..scope(name)
        };
        expected.insert(name, scope.clone());
        let recorded = world.page(ReconcilePage {
            scope,
            ..page(id, Vec::new())
        });
        recorded.await.unwrap();
    }
    let mut found = world.store.reconcile_scopes(id).await.unwrap();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(found, expected.into_values().collect::<Vec<_>>());
    assert_eq!(world.store.reconcile_scopes(other).await.unwrap(), []);

    let state = world.reconcile_of(id).await;
    let update = ReconcileUpdate {
        subscription: id,
        due_at: state.due_at,
        answers: None,
        started_at: None,
        finished_at: None,
        finds: 0,
        failures: 0,
        last_error: None,
        gone_scopes: vec!["sent".to_owned(), "never known".to_owned()],
    };
    let lease = world.lease(Shard::FIRST);
    world.store.update_reconcile(update, lease).await.unwrap();
    let found = world.store.reconcile_scopes(id).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].name, "inbox");
}

pub(crate) async fn only_what_nobody_was_told_of_is_forgotten(world: World) {
    let tenant = world.tenant("dev").await;
    let id = world.subscribed(&tenant, "users/u/events").await.id;
    let mut known = shown("b", "", 1);
    known.told = true;
    world.show(id, vec![shown("a", "", 1), known.clone()]).await;
    let forget = ["a", "b", "c"].map(str::to_owned).to_vec();
    let recorded = world
        .page(ReconcilePage {
            forget,
            ..page(id, Vec::new())
        })
        .await;
    recorded.unwrap();
    assert_eq!(world.known(id, "a").await, None);
    assert_eq!(world.known(id, "b").await, Some(known));
}

pub(crate) async fn a_page_of_a_subscription_that_is_gone_leads_to_nothing(world: World) {
    let tenant = world.tenant("dev").await;
    let id = world.subscribed(&tenant, "users/u/events").await.id;
    world.store.delete_subscription(id).await.unwrap();
    let recorded = world
        .page(ReconcilePage {
            finds: vec![world.arriving(&tenant, Verdict::Accepted, None)],
            ..page(id, vec![shown("a", "", 1)])
        })
        .await;
    assert!(
        matches!(recorded, Err(StoreError::Missing { .. })),
        "{recorded:?}"
    );
    assert_eq!(world.queue().await, []);
    assert_eq!(world.known(id, "a").await, None);
    assert_eq!(world.store.reconcile_scopes(id).await.unwrap(), []);
    assert_eq!(world.store.health().await.queued_notifications, 0);
}

pub(crate) async fn items_that_were_not_shown_come_in_the_order_of_their_ids(world: World) {
    let tenant = world.tenant("dev").await;
    let id = world.subscribed(&tenant, "users/u/messages").await.id;
    let other = world.subscribed(&tenant, "users/v/messages").await.id;
    let all = vec![
        shown("a-", "inbox", 2),
        shown("c", "inbox", 1),
        shown("Z", "inbox", 1),
        shown("a/", "inbox", 1),
        shown("é", "inbox", 1),
        shown("b", "sent", 1),
        shown("B", "", 1),
        shown("d", "", 2),
    ];
    world.show(id, all).await;
    world.show(other, vec![shown("a0", "inbox", 1)]).await;
    world.tell(&tenant, tell(id, "C", None)).await;
    let not_shown = async |scope, enumeration, after, limit| {
        world.not_shown(id, scope, enumeration, after, limit).await
    };
    // By their bytes, whatever the language of the database.
    assert_eq!(
        not_shown("inbox", 2, "", 9).await,
        ["Z", "a/", "c", "é"].map(str::to_owned)
    );
    assert_eq!(not_shown("inbox", 2, "Z", 2).await, ["a/", "c"]);
    assert_eq!(not_shown("inbox", 1, "", 9).await, [""; 0]);
    assert_eq!(not_shown("inbox", ALL, "Z", 1).await, ["a-"]);
    assert_eq!(not_shown("sent", 2, "", 9).await, ["b"]);
    // What no enumeration has shown counts as not shown where there is but one scope.
    assert_eq!(not_shown("", 2, "", 9).await, ["B", "C"]);
    assert_eq!(not_shown("", ALL, "B", 9).await, ["C", "d"]);
}

/// That an item exists, in this version.
fn tell(subscription: SubscriptionId, item: &str, version: Option<Version>) -> Told {
    Told {
        subscription,
        item: item.to_owned(),
        present: Some(version),
    }
}

pub(crate) async fn the_end_of_a_notification_says_what_the_app_knows(world: World) {
    let tenant = world.tenant("dev").await;
    let id = world.subscribed(&tenant, "users/u/events").await.id;
    world.show(id, vec![shown("seen", "inbox", 7)]).await;
    for known in [Some(version(1)), Some(version(2)), None] {
        world.tell(&tenant, tell(id, "new", known)).await;
        assert_eq!(world.known(id, "new").await, Some(told("new", known)));
        world.tell(&tenant, tell(id, "seen", known)).await;
        // How it was shown says nothing any more: shown so again, it may have changed back.
        let expected = KnownItem {
            seen: None,
            told: true,
            version: known,
            ..shown("seen", "inbox", 7)
        };
        assert_eq!(world.known(id, "seen").await, Some(expected));
    }
    for item in ["new", "seen", "never known"] {
        let gone = Told {
            present: None,
            ..tell(id, item, None)
        };
        world.tell(&tenant, gone).await;
        assert_eq!(world.known(id, item).await, None);
    }
}

pub(crate) async fn many_that_end_together_each_say_what_the_app_knows(world: World) {
    let tenant = world.tenant("dev").await;
    let id = world.subscribed(&tenant, "users/u/events").await.id;
    let gone = world.subscribed(&tenant, "users/v/events").await.id;
    world.store.delete_subscription(gone).await.unwrap();
    let (names, versions): (Vec<String>, Vec<u8>) =
        (0..150_u8).map(|n| (format!("item {n:03}"), n)).unzip();
    world
        .show(id, names.iter().map(|name| shown(name, "", 1)).collect())
        .await;
    let post = names
        .iter()
        .map(|_| world.arriving(&tenant, Verdict::Accepted, None))
        .collect();
    world.store.record_notifications(post).await.unwrap();
    let queue = world.queue().await;
    let ends = queue.iter().zip(&versions).map(|(queued, &number)| {
        let subscription = if number % 10 == 3 { gone } else { id };
        let name = &names[usize::from(number)];
        let mut told = tell(subscription, name, Some(version(number)));
        if number % 10 == 7 {
            told.present = None;
        }
        let outcome = Outcome {
            told: Some(told),
            ..Outcome::default()
        };
        world
            .store
            .finish_notification(queued.seq, queued.lease, outcome)
    });
    for finished in futures_util::future::join_all(ends).await {
        assert!(finished.unwrap());
    }
    for (name, number) in names.iter().zip(versions) {
        let expected = match number % 10 {
            3 => Some(shown(name, "", 1)),
            7 => None,
            _ => Some(KnownItem {
                seen: None,
                told: true,
                version: Some(version(number)),
                ..shown(name, "", 1)
            }),
        };
        assert_eq!(world.known(id, name).await, expected, "{name}");
        assert_eq!(world.known(gone, name).await, None);
    }
}

pub(crate) async fn what_is_no_longer_queued_tells_nothing(world: World) {
    let tenant = world.tenant("dev").await;
    let subscription = world.reconciled(&tenant, "users/u/events", 90).await;
    let id = subscription.id;
    world
        .record(world.arriving(&tenant, Verdict::Accepted, None))
        .await;
    let queued = world.queue().await.remove(0);
    let before = world.reconcile_of(id).await;
    for first in [true, false] {
        let outcome = if first {
            Outcome::default()
        } else {
            Outcome {
                counted: None,
                events: vec![world.event(&tenant, &queued, &[tenant.webhook])],
                told: Some(tell(id, "a", None)),
                lifecycle: Some(super::subscriptions::note(&world, id)),
                reconcile: Some((id, super::reconcile::wish(&world, 1))),
            }
        };
        let finished = world
            .store
            .finish_notification(queued.seq, queued.lease, outcome)
            .await;
        assert_eq!(finished.unwrap(), first);
    }
    assert_eq!(world.known(id, "a").await, None);
    assert_eq!(world.reconcile_of(id).await, before);
    let found = world.store.subscription(id).await.unwrap();
    assert_eq!(found, Some(subscription));
    assert_eq!(world.due(tenant.webhook).await, []);
}

pub(crate) async fn the_end_of_a_notification_can_ask_for_a_round(world: World) {
    let tenant = world.tenant("dev").await;
    let id = world.reconciled(&tenant, "users/a/events", 90).await.id;
    let never = world.subscribed(&tenant, "users/b/events").await.id;
    for asked in [id, never] {
        world
            .record(world.arriving(&tenant, Verdict::Accepted, None))
            .await;
        let queued = world.queue().await.remove(0);
        let outcome = Outcome {
            reconcile: Some((asked, super::reconcile::wish(&world, 5))),
            ..Outcome::default()
        };
        let finished = world
            .store
            .finish_notification(queued.seq, queued.lease, outcome)
            .await;
        assert!(finished.unwrap());
    }
    assert_eq!(world.reconcile_of(id).await.due_at, world.in_seconds(5));
    assert_eq!(world.store.reconcile(never).await.unwrap(), None);
}

pub(crate) async fn removing_a_subscription_takes_all_that_is_known_of_it(world: World) {
    let tenant = world.tenant("dev").await;
    let id = world.reconciled(&tenant, "users/a/events", 1).await.id;
    let other = world.reconciled(&tenant, "users/b/events", 2).await.id;
    world.show(id, vec![shown("a", "", 1)]).await;
    world.show(other, vec![shown("a", "", 1)]).await;
    assert!(world.store.delete_subscription(id).await.unwrap());
    assert_eq!(world.store.reconcile(id).await.unwrap(), None);
    assert_eq!(world.store.reconcile_scopes(id).await.unwrap(), []);
    assert_eq!(world.known(id, "a").await, None);
    let next = world.store.next_due_reconcile().await.unwrap();
    assert_eq!(next, Some(world.in_seconds(2)));
    assert_eq!(world.store.reconcile_scopes(other).await.unwrap().len(), 1);
    assert_eq!(world.known(other, "a").await, Some(shown("a", "", 1)));
    // What is on its way meanwhile brings nothing back.
    world.tell(&tenant, tell(id, "a", None)).await;
    assert_eq!(world.known(id, "a").await, None);
}

pub(crate) async fn removing_many_items_ends(world: World) {
    let tenant = world.tenant("dev").await;
    let id = world.subscribed(&tenant, "users/a/events").await.id;
    for part in 0..5 {
        let items = (0..1_000)
            .map(|number| shown(&format!("{part}-{number}"), "", 1))
            .collect();
        world.show(id, items).await;
    }
    assert_eq!(world.not_shown(id, "", ALL, "", 9_999).await.len(), 5_000);
    assert!(world.store.delete_subscription(id).await.unwrap());
    // What is left goes in slices, in time; each verb of ours gives the store an occasion.
    while !world.not_shown(id, "", ALL, "", 1).await.is_empty() {
        world.clock.advance(std::time::Duration::from_secs(1));
        let lease = world.lease(Shard::FIRST);
        world
            .store
            .postpone_notification(crate::record::Seq(1), lease, Timestamp::default())
            .await
            .unwrap();
    }
    assert_eq!(world.store.check().await.unwrap(), Vec::<String>::new());
}

pub(crate) async fn an_id_that_is_too_long_to_be_one_hinders_nothing(world: World) {
    let tenant = world.tenant("dev").await;
    let id = world.subscribed(&tenant, "users/u/events").await.id;
    // Ones that no compression makes short.
    let long: String = (0..9_000_u64)
        .map(|number| char::from(b'a' + u8::try_from(number * number % 23 % 26).unwrap()))
        .collect();
    world.tell(&tenant, tell(id, &long, None)).await;
    let items = vec![shown(&long, "", 1), shown("a", &long, 1), shown("b", "", 1)];
    world.show(id, items).await;
    assert_eq!(world.known(id, &long).await, None);
    assert_eq!(world.known(id, "a").await, None);
    assert_eq!(world.known(id, "b").await, Some(shown("b", "", 1)));
}
