use std::{
    collections::{BTreeMap, VecDeque},
    sync::Mutex,
};

use tidings_domain::{
    ids::SubscriptionId,
    page::{Page, PageLimit},
    policy::Policy,
    subscription::{Subscription, SubscriptionState},
};

use super::*;
use crate::testing::{Graph, Reply, Seen, World, reply};

/// What Graph answers, one after the other, to what begins so.
type Script = Arc<Mutex<BTreeMap<String, VecDeque<Reply>>>>;

struct Stage {
    world: World,
    graph: Graph,
    script: Script,
    policies: Policies,
}

fn stage_of(
    world: &World,
    store: Arc<dyn Store>,
    directory: Arc<Directory>,
    fence: Fence,
) -> Policies {
    Policies::new(PolicyParts {
        store,
        directory,
        graph: world.graph.clone(),
        clock: Arc::new(world.clock.clone()),
        entropy: Arc::clone(&world.entropy),
        ids: Arc::clone(&world.ids),
        config: world.config.policy.clone(),
        wake: Wake::new(),
        subscribe: Wake::new(),
        fence,
        credentials: world.credentials(),
    })
}

impl Stage {
    async fn new() -> Self {
        let script = Script::default();
        let answers = Arc::clone(&script);
        let graph = Graph::start(move |seen: Seen| {
            let mut answers = answers.lock().unwrap();
            let mut all = answers.iter_mut().rev();
            let next = all.find_map(|(path, replies)| {
                seen.path
                    .starts_with(path.as_str())
                    .then(|| replies.pop_front())
                    .flatten()
            });
            async move { next.unwrap_or_else(|| reply(503, r#"{"error":{"code":"NotScripted"}}"#)) }
        })
        .await;
        let world = World::new(&graph.url).await;
        let fence = Fence::new(world.store.holdings(), world.metrics.nodes.clone());
        let policies = stage_of(
            &world,
            Arc::clone(&world.store),
            Arc::clone(&world.directory),
            fence,
        );
        Self {
            world,
            graph,
            script,
            policies,
        }
    }

    /// Graph's next answer to what begins with `path`.
    fn answers(&self, path: &str, status: u16, body: &serde_json::Value) {
        let mut script = self.script.lock().unwrap();
        let replies = script.entry(path.to_owned()).or_default();
        replies.push_back(reply(status, body.to_string()));
    }

    /// Graph's next answer to a delta query of the users at `at`: these, and where it goes on.
    fn users(&self, at: &str, users: &serde_json::Value, next: (&str, &str)) {
        let (member, token) = next;
        let link = format!("{}v1.0/users/delta?{token}", self.graph.url);
        let mut body = serde_json::json!({ "value": users });
        body[member] = link.into();
        self.answers(&format!("/v1.0/users/delta?{at}"), 200, &body);
    }

    async fn policy(&self, resource: &str, connection: Option<ConnectionId>) -> PolicyId {
        let policy = Policy {
            id: self.world.ids.next(),
            environment: self.world.environment,
            integration: self.world.integration,
            connection,
            resource: resource.to_owned(),
            change_types: "created".parse().unwrap(),
            deliver_existing: false,
            deleting: false,
            created_at: self.world.clock.now(),
        };
        let id = policy.id;
        self.world.store.create_policy(policy).await.unwrap();
        id
    }

    /// Expands what is due, once.
    async fn step(&self) {
        let parts = &self.policies.parts;
        let now = self.world.clock.now();
        parts.store.make_expansions(now).await.unwrap();
        for due in parts.store.due_expansions(now, 10).await.unwrap() {
            expand::turn(parts, due).await.unwrap();
        }
    }

    async fn rows(&self) -> Vec<Subscription> {
        let page = Page::first(PageLimit::new(500).unwrap());
        let listed = self.world.store.subscriptions(None, None, page).await;
        let mut rows = listed.unwrap().items;
        rows.sort_by(|a, b| a.resource.cmp(&b.resource));
        rows
    }

    /// The rows that are there to stay.
    async fn kept(&self) -> Vec<String> {
        let rows = self.rows().await;
        let kept = rows.into_iter();
        kept.filter(|row| row.state != SubscriptionState::Deleting)
            .map(|row| row.resource)
            .collect()
    }

    /// Goes on until these rows are there to stay.
    async fn until_kept(&self, wanted: &[&str]) {
        self.until(|| async { self.kept().await == wanted }).await;
    }

    /// Goes on, from one due time to the next, until `ready`.
    async fn until<F: Future<Output = bool>>(&self, ready: impl Fn() -> F) {
        for _ in 0..50 {
            if ready().await {
                return;
            }
            self.step().await;
            if ready().await {
                return;
            }
            if let Some(due_at) = self.world.store.next_due_expansion().await.unwrap() {
                let wait = self.world.clock.now().until(due_at);
                self.world.clock.advance(wait);
            }
        }
        panic!("it is not so yet: {:?}", self.kept().await);
    }

    async fn expansion(&self, policy: PolicyId) -> tidings_domain::policy::Expansion {
        let progress = self.world.store.policy_progress(policy).await.unwrap();
        progress.expansions.into_iter().next().unwrap()
    }
}

const ANNA: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const BERT: &str = "bbbbbbbb-0000-4000-8000-000000000002";
const CARL: &str = "cccccccc-0000-4000-8000-000000000003";

fn user(id: &str, name: &str) -> serde_json::Value {
    serde_json::json!({"id": id, "userPrincipalName": name, "mail": name, "userType": "Member"})
}

fn events(id: &str) -> String {
    format!("users/{id}/events")
}

#[tokio::test]
async fn every_mailbox_gets_a_row_and_who_comes_and_goes_is_followed() {
    let stage = Stage::new().await;
    let guest = serde_json::json!({"id": CARL, "userPrincipalName": "c#EXT#@x", "mail": "c@y"});
    stage.users(
        "$select",
        &serde_json::json!([user(ANNA, "anna@x"), guest]),
        ("@odata.nextLink", "p2"),
    );
    stage.users(
        "p2",
        &serde_json::json!([user(BERT, "bert@x")]),
        ("@odata.deltaLink", "d1"),
    );
    let new = "dddddddd-0000-4000-8000-000000000004";
    let came =
        serde_json::json!([user(new, "new@x"), {"id": BERT, "@removed": {"reason": "changed"}}]);
    stage.users("d1", &came, ("@odata.deltaLink", "d2"));
    let policy = stage
        .policy("users/{user}/events", Some(stage.world.connection))
        .await;
    let test = async {
        stage.until_kept(&[&events(ANNA), &events(BERT)]).await;
        let rows = stage.rows().await;
        assert!(rows.iter().all(|row| row.policy == Some(policy)));
        assert!(rows.iter().all(|row| row.due_at <= stage.world.clock.now()));
        stage
            .until(|| async { stage.expansion(policy).await.finished_at.is_some() })
            .await;
        assert_eq!(stage.expansion(policy).await.passed_over, 1);
        let before = stage.world.clock.now();
        stage.until_kept(&[&events(ANNA), &events(new)]).await;
        // The promised span, and what this test lets pass beyond it.
        let took = before.until(stage.world.clock.now());
        assert!(took < Duration::from_mins(6), "{took:?}");
    };
    test.await;
}

#[tokio::test]
async fn a_change_that_tells_only_in_part_is_asked_for() {
    let stage = Stage::new().await;
    stage.users(
        "$select",
        &serde_json::json!([]),
        ("@odata.deltaLink", "d1"),
    );
    stage.users(
        "d1",
        &serde_json::json!([{"id": ANNA, "accountEnabled": true}]),
        ("@odata.deltaLink", "d2"),
    );
    stage.answers(&format!("/v1.0/users/{ANNA}"), 200, &user(ANNA, "anna@x"));
    stage
        .policy("users/{user}/events", Some(stage.world.connection))
        .await;
    stage.until_kept(&[&events(ANNA)]).await;
}

#[tokio::test]
async fn a_row_that_somebody_asked_for_serves_both() {
    let stage = Stage::new().await;
    let by_hand: SubscriptionId = stage.world.ids.next();
    let row = Subscription {
        id: by_hand,
        environment: stage.world.environment,
        integration: stage.world.integration,
        connection: stage.world.connection,
        policy: None,
        resource: "users/anna@x/events".to_owned(),
        kind: tidings_domain::resource::ResourceKind::Event,
        change_types: "created".parse().unwrap(),
        state: SubscriptionState::Pending,
        client_state: crate::subscribe::client_state(&*stage.world.entropy),
        graph_id: None,
        expires_at: None,
        due_at: stage.world.clock.now(),
        failures: 0,
        last_error: None,
        created_at: stage.world.clock.now(),
        renewed_at: None,
        deliver_existing: false,
        lifecycle: None,
        patched_at: None,
        notification_url: None,
        lifecycle_url: None,
        former: None,
    };
    let shard = tidings_domain::shard::Shard::FIRST;
    stage
        .world
        .store
        .create_subscription(row, shard)
        .await
        .unwrap();
    stage.users(
        "$select",
        &serde_json::json!([user(ANNA, "Anna@X"), user(BERT, "bert@x")]),
        ("@odata.deltaLink", "d1"),
    );
    let policy = stage
        .policy("users/{user}/events", Some(stage.world.connection))
        .await;
    let store = &stage.world.store;
    let test = async {
        stage
            .until_kept(&["users/anna@x/events", &events(BERT)])
            .await;
        stage
            .until(|| async { stage.expansion(policy).await.finished_at.is_some() })
            .await;
        store
            .delete_policy(policy, stage.world.clock.now())
            .await
            .unwrap();
        stage.until_kept(&["users/anna@x/events"]).await;
        stage
            .until(|| async { store.policy(policy).await.unwrap().is_none() })
            .await;
    };
    test.await;
}

#[tokio::test]
async fn what_graph_has_forgotten_is_enumerated_again() {
    let stage = Stage::new().await;
    let both = serde_json::json!([user(ANNA, "anna@x"), user(BERT, "bert@x")]);
    stage.users("$select", &both, ("@odata.deltaLink", "d1"));
    let gone = serde_json::json!({"error": {"code": "syncStateNotFound"}});
    stage.answers("/v1.0/users/delta?d1", 410, &gone);
    stage.users(
        "$select",
        &serde_json::json!([user(BERT, "bert@x")]),
        ("@odata.deltaLink", "d2"),
    );
    stage
        .policy("users/{user}/events", Some(stage.world.connection))
        .await;
    let test = async {
        stage.until_kept(&[&events(ANNA), &events(BERT)]).await;
        stage.until_kept(&[&events(BERT)]).await;
    };
    test.await;
}

#[tokio::test]
async fn a_pass_that_was_cut_off_goes_on_where_it_was_and_says_why() {
    let stage = Stage::new().await;
    stage.users(
        "$select",
        &serde_json::json!([user(ANNA, "anna@x")]),
        ("@odata.nextLink", "p2"),
    );
    let refused = serde_json::json!({"error": {
        "code": "Authorization_RequestDenied", "message": "Insufficient privileges to complete the operation.",
    }});
    stage.answers("/v1.0/users/delta?p2", 403, &refused);
    stage.users(
        "p2",
        &serde_json::json!([user(BERT, "bert@x")]),
        ("@odata.deltaLink", "d1"),
    );
    let policy = stage
        .policy("users/{user}/events", Some(stage.world.connection))
        .await;
    let test = async {
        stage
            .until(|| async {
                let progress = stage.world.store.policy_progress(policy).await.unwrap();
                progress.expansions.iter().any(|one| one.failures == 1)
            })
            .await;
        let told = stage.expansion(policy).await.last_error.unwrap();
        assert!(told.contains("User.Read.All"), "{told}");
        assert_eq!(stage.kept().await, [events(ANNA)]);
        stage.until_kept(&[&events(ANNA), &events(BERT)]).await;
        stage
            .until(|| async { stage.expansion(policy).await.finished_at.is_some() })
            .await;
        assert_eq!(stage.expansion(policy).await.last_error, None);
    };
    test.await;
    let first = stage
        .graph
        .calls()
        .into_iter()
        .filter(|one| one.path.contains("$select"));
    assert_eq!(first.count(), 1);
}

#[tokio::test]
async fn teams_are_listed_and_those_that_have_gone_lose_their_rows() {
    let stage = Stage::new().await;
    let [one, two] = [ANNA, BERT];
    stage.answers(
        "/v1.0/teams",
        200,
        &serde_json::json!({"value": [{"id": one}, {"id": two}]}),
    );
    stage.answers(
        "/v1.0/teams",
        200,
        &serde_json::json!({"value": [{"id": two}]}),
    );
    stage
        .policy("teams/{team}/channels", Some(stage.world.connection))
        .await;
    let of = |id: &str| format!("teams/{id}/channels");
    let test = async {
        stage.until_kept(&[&of(one), &of(two)]).await;
        stage.until_kept(&[&of(two)]).await;
    };
    test.await;
}

#[tokio::test]
async fn one_resource_of_each_tenant_needs_no_call() {
    let stage = Stage::new().await;
    stage.policy("users", None).await;
    let test = stage.until(|| async { stage.rows().await.len() == 2 });
    test.await;
    let mut connections: Vec<ConnectionId> = stage
        .rows()
        .await
        .iter()
        .map(|row| row.connection)
        .collect();
    connections.sort();
    let mut expected = [stage.world.connection, stage.world.other];
    expected.sort();
    assert_eq!(connections, expected);
    assert!(stage.graph.calls().is_empty());
}
