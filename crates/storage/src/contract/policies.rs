//! Policies, and how far they have come.

use tidings_domain::{
    connection::Connection,
    policy::{Expansion, Policy},
    shard::Shard,
    subscription::{Subscription, SubscriptionState},
};

use super::{World, make::all};
use crate::{
    Lease, StoreError,
    record::{DueExpansion, Expanded, ExpansionUpdate, PolicyProgress, Wish},
};

impl World {
    fn policy_of(&self, connection: &Connection, resource: &str) -> Policy {
        Policy {
            id: self.ids.next(),
            environment: connection.environment,
            integration: connection.integration,
            connection: None,
            resource: resource.to_owned(),
            change_types: "created,updated".parse().unwrap(),
            deliver_existing: true,
            deleting: false,
            created_at: self.now(),
        }
    }

    fn wish(&self, policy: &Policy, connection: &Connection, resource: &str) -> Wish {
        Wish {
            subscription: Subscription {
                policy: Some(policy.id),
                deliver_existing: policy.deliver_existing,
                ..self.subscription(connection, resource)
            },
            shard: Shard::FIRST,
            aliases: Vec::new(),
        }
    }

    fn update(&self, expansion: &Expansion, wishes: Vec<Wish>) -> ExpansionUpdate {
        ExpansionUpdate {
            expansion: expansion.clone(),
            wishes,
            gone: Vec::new(),
            now: self.now(),
        }
    }

    /// A connection, a policy for its integration, and the expansion that is due.
    async fn expansion(&self) -> (Connection, DueExpansion) {
        let tenant = self.tenant("dev").await;
        let connection = self.store.connection(tenant.connection).await.unwrap();
        let connection = connection.unwrap();
        let policy = self.policy_of(&connection, "users/{user}/events");
        self.store.create_policy(policy).await.unwrap();
        assert_eq!(self.store.make_expansions(self.now()).await.unwrap(), 1);
        let mut due = self.store.due_expansions(self.now(), 10).await.unwrap();
        assert_eq!(due.len(), 1);
        (connection, due.remove(0))
    }

    async fn expand(&self, update: ExpansionUpdate, lease: Lease) -> Expanded {
        self.store.record_expansion(update, lease).await.unwrap()
    }

    /// Each resource of a connection with its state, in the order of the resources.
    async fn states(&self, connection: &Connection) -> Vec<(String, SubscriptionState)> {
        let listed = self
            .store
            .subscriptions(None, Some(connection.id), all())
            .await
            .unwrap();
        let mut states: Vec<_> = listed
            .items
            .into_iter()
            .map(|one| (one.resource, one.state))
            .collect();
        states.sort_by(|a, b| a.0.cmp(&b.0));
        states
    }
}

fn state(resource: &str, state: SubscriptionState) -> (String, SubscriptionState) {
    (resource.to_owned(), state)
}

pub(crate) async fn a_policy_reads_back_and_is_taken_once(world: World) {
    let tenant = world.tenant("dev").await;
    let connection = world.store.connection(tenant.connection).await.unwrap();
    let connection = connection.unwrap();
    let one = world.policy_of(&connection, "users/{user}/events");
    world.store.create_policy(one.clone()).await.unwrap();
    assert_eq!(world.store.policy(one.id).await.unwrap(), Some(one.clone()));
    let own = Policy {
        id: world.ids.next(),
        connection: Some(connection.id),
        ..one.clone()
    };
    let again = world.store.create_policy(own.clone()).await;
    assert!(
        matches!(again, Err(StoreError::Conflict { .. })),
        "{again:?}"
    );
    let other = Policy {
        resource: "users/{user}/messages".to_owned(),
        ..own.clone()
    };
    world.store.create_policy(other.clone()).await.unwrap();
    let listed = world.store.policies(Some(tenant.environment), all()).await;
    assert_eq!(listed.unwrap().items, [other, one]);
    let elsewhere = world
        .store
        .policies(Some(world.ids.environment()), all())
        .await;
    assert_eq!(elsewhere.unwrap().items, []);
    let nowhere = Policy {
        id: world.ids.next(),
        connection: Some(world.ids.next()),
        resource: "users/{user}/contacts".to_owned(),
        ..own
    };
    let missing = world.store.create_policy(nowhere).await;
    assert!(
        matches!(missing, Err(StoreError::Missing { .. })),
        "{missing:?}"
    );
}

pub(crate) async fn each_policy_comes_to_each_connection_that_it_holds_for(world: World) {
    let (connection, first) = world.expansion().await;
    assert_eq!(first.expansion.connection, connection.id);
    assert_eq!(world.store.make_expansions(world.now()).await.unwrap(), 0);
    // A connection that comes later.
    let later = Connection {
        id: world.ids.next(),
        tenant_id: world.ids.environment().0,
        ..connection.clone()
    };
    world.store.create_connection(later.clone()).await.unwrap();
    let at = world.in_seconds(5);
    assert_eq!(world.store.make_expansions(at).await.unwrap(), 1);
    // And a policy for one only.
    let own = Policy {
        connection: Some(later.id),
        ..world.policy_of(&connection, "users/{user}/messages")
    };
    world.store.create_policy(own.clone()).await.unwrap();
    assert_eq!(world.store.make_expansions(at).await.unwrap(), 1);
    let due = world.store.due_expansions(world.now(), 10).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(
        world.store.next_due_expansion().await.unwrap(),
        Some(world.now())
    );
    let due = world.store.due_expansions(at, 10).await.unwrap();
    let due: Vec<_> = due
        .iter()
        .map(|one| (one.policy.id, one.expansion.connection))
        .collect();
    let of_all = first.policy.id;
    assert_eq!(
        due,
        [
            (of_all, connection.id),
            (of_all, later.id),
            (own.id, later.id)
        ]
    );
}

pub(crate) async fn an_expansion_makes_rows_and_removes_only_its_own(world: World) {
    let (connection, due) = world.expansion().await;
    let by_hand = world.subscription(&connection, "users/b/events");
    let named = world.subscription(&connection, "users/dora@x.example/events");
    for row in [by_hand.clone(), named] {
        world
            .store
            .create_subscription(row, Shard::FIRST)
            .await
            .unwrap();
    }
    let mut expansion = due.expansion.clone();
    expansion.enumeration = 1;
    expansion.enumerating = true;
    expansion.link = Some("https://graph.example/next".to_owned());
    expansion.due_at = world.in_seconds(60);
    expansion.checked_at = Some(world.now());
    expansion.passed_over = 3;
    expansion.failures = 2;
    expansion.last_error = Some("was busy".to_owned());
    let mut wishes: Vec<Wish> = ["users/a/events", "users/b/events", "users/d/events"]
        .map(|resource| world.wish(&due.policy, &connection, resource))
        .into();
    wishes[2].aliases = vec![
        "users/Dora@x.example/events".to_owned(),
        "users/dora@x.example/events".to_owned(),
    ];
    let made = world
        .expand(world.update(&expansion, wishes.clone()), due.lease)
        .await;
    assert_eq!(made, Expanded { made: 1, going: 0 });
    // The same again makes nothing.
    let made = world
        .expand(world.update(&expansion, wishes.clone()), due.lease)
        .await;
    assert_eq!(made, Expanded::default());
    let row = wishes[0].subscription.clone();
    assert_eq!(world.store.subscription(row.id).await.unwrap(), Some(row));
    let progress = world.store.policy_progress(due.policy.id).await.unwrap();
    assert_eq!(
        progress,
        PolicyProgress {
            expansions: vec![expansion.clone()],
            subscriptions: vec![(connection.id, SubscriptionState::Pending, 1)],
            refusal: None,
        }
    );
    // Nobody is there any more.
    let gone = ExpansionUpdate {
        gone: ["a", "b", "d", "x"]
            .map(|user| format!("users/{user}/events"))
            .into(),
        ..world.update(&expansion, Vec::new())
    };
    world.expand(gone, due.lease).await;
    assert_eq!(
        world.states(&connection).await,
        [
            state("users/a/events", SubscriptionState::Deleting),
            state("users/b/events", SubscriptionState::Pending),
            state("users/dora@x.example/events", SubscriptionState::Pending),
        ]
    );
    // What is being removed cannot be made anew yet.
    let made = world
        .expand(world.update(&expansion, wishes), due.lease)
        .await;
    assert_eq!(made, Expanded { made: 0, going: 1 });
}

pub(crate) async fn what_a_whole_pass_does_not_show_is_retired(world: World) {
    let (connection, due) = world.expansion().await;
    let resources = ["users/a/events", "users/b/events", "users/c/events"];
    let mut expansion = due.expansion.clone();
    expansion.enumeration = 1;
    let wishes = resources.map(|resource| world.wish(&due.policy, &connection, resource));
    world
        .expand(world.update(&expansion, wishes.into()), due.lease)
        .await;
    expansion.enumeration = 2;
    let shown = vec![world.wish(&due.policy, &connection, resources[1])];
    world
        .expand(world.update(&expansion, shown), due.lease)
        .await;
    let retire = |limit| {
        let (policy, connection) = (due.policy.id, connection.id);
        world
            .store
            .retire_expanded(policy, connection, 2, world.now(), limit, due.lease)
    };
    assert_eq!(retire(1).await.unwrap(), 1);
    assert_eq!(retire(5).await.unwrap(), 1);
    assert_eq!(retire(5).await.unwrap(), 0);
    assert_eq!(
        world.states(&connection).await,
        [
            state(resources[0], SubscriptionState::Deleting),
            state(resources[1], SubscriptionState::Pending),
            state(resources[2], SubscriptionState::Deleting),
        ]
    );
    let rows = world
        .store
        .due_subscriptions(world.now(), 10)
        .await
        .unwrap();
    assert_eq!(rows.len(), 3);
}

pub(crate) async fn a_policy_goes_with_what_it_made(world: World) {
    let (connection, due) = world.expansion().await;
    let (policy, lease) = (due.policy.id, due.lease);
    let by_hand = world.subscription(&connection, "users/b/events");
    world
        .store
        .create_subscription(by_hand, Shard::FIRST)
        .await
        .unwrap();
    let mut expansion = due.expansion.clone();
    expansion.due_at = world.in_seconds(3_600);
    let wishes = vec![world.wish(&due.policy, &connection, "users/a/events")];
    world
        .expand(world.update(&expansion, wishes.clone()), lease)
        .await;

    let now = world.now();
    assert!(world.store.delete_policy(policy, now).await.unwrap());
    assert!(world.store.policy(policy).await.unwrap().unwrap().deleting);
    let refused = world
        .store
        .record_expansion(world.update(&expansion, wishes), lease)
        .await;
    assert!(
        matches!(refused, Err(StoreError::Missing { .. })),
        "{refused:?}"
    );
    let due = world.store.due_expansions(now, 10).await.unwrap();
    assert!(due[0].policy.deleting);
    let store = &world.store;
    // Not while there is a row of it.
    store
        .end_expansion(policy, connection.id, lease)
        .await
        .unwrap();
    assert!(store.policy(policy).await.unwrap().is_some());
    let retired = store
        .retire_expanded(policy, connection.id, u64::MAX, now, 10, lease)
        .await;
    assert_eq!(retired.unwrap(), 1);
    store
        .end_expansion(policy, connection.id, lease)
        .await
        .unwrap();
    assert_eq!(store.policy(policy).await.unwrap(), None);
    assert!(!store.delete_policy(policy, now).await.unwrap());
    assert_eq!(
        world.states(&connection).await,
        [
            state("users/a/events", SubscriptionState::Deleting),
            state("users/b/events", SubscriptionState::Pending)
        ]
    );
    // The same can be asked for again at once; and one that came to nobody goes at once.
    let again = world.policy_of(&connection, "users/{user}/events");
    store.create_policy(again.clone()).await.unwrap();
    assert!(store.delete_policy(again.id, now).await.unwrap());
    assert_eq!(store.policy(again.id).await.unwrap(), None);
}
