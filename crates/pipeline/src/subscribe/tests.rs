use std::{
    collections::HashMap,
    future::{Future, ready},
    sync::{Arc, Mutex},
    time::Duration,
};

use tidings_domain::{Clock as _, subscription::SubscriptionState};
use tidings_storage::record::SubscriptionUpdate;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::testing::{Graph, Reply, Seen, World, reply};

mod batches;
mod lifecycle;
mod moving;
mod nodes;
mod pacing;
mod rest;
mod told;

const RESOURCE: &str = "users/u/events";

/// The subscriptions that a Graph has, and what it is told to answer instead.
#[derive(Debug, Default)]
struct Kept {
    made: HashMap<String, serde_json::Value>,
    count: usize,
    /// The next answers, whatever is asked.
    instead: Vec<Reply>,
    /// Does what is asked, and answers this.
    after: Vec<Reply>,
    /// The next answer to whatever is asked about this one.
    about: HashMap<String, Reply>,
}

type Shared = Arc<Mutex<Kept>>;

struct Stage {
    world: World,
    graph: Graph,
    kept: Shared,
    subscribe: Subscribe,
}

impl Stage {
    async fn new() -> Self {
        let kept = Shared::default();
        let at = Arc::clone(&kept);
        let graph = Graph::start(move |seen| ready(answer(&at, &seen))).await;
        let world = World::new(&graph.url).await;
        let subscribe = subscribe(&world, "https://tidings.example/base", false);
        Self {
            world,
            graph,
            kept,
            subscribe,
        }
    }

    /// A stage that is configured otherwise.
    async fn with(change: impl FnOnce(&mut SubscribeConfig)) -> Self {
        let mut stage = Self::new().await;
        change(&mut stage.world.config.subscribe);
        stage.subscribe = subscribe(&stage.world, "https://tidings.example/base", false);
        stage
    }

    async fn request(&self, resource: &str, changes: &str) -> Result<Subscription, ManageError> {
        let new = NewSubscription {
            environment: Some(self.world.environment),
            connection: self.world.connection,
            resource: resource.to_owned(),
            change_types: changes.parse().unwrap(),
            deliver_existing: false,
        };
        self.subscribe.request(new).await
    }

    fn instead(&self, reply: Reply) {
        self.kept.lock().unwrap().instead.push(reply);
    }

    async fn row(&self, id: SubscriptionId) -> Subscription {
        self.world.store.subscription(id).await.unwrap().unwrap()
    }

    /// Runs the loop while `test` runs.
    async fn run<T>(&self, test: impl Future<Output = T>) -> T {
        let stop = CancellationToken::new();
        tokio::select! {
            () = self.subscribe.run(&stop) => panic!("the stage has ended"),
            done = test => done,
        }
    }

    /// Lets time pass until the row looks as wanted.
    async fn until(
        &self,
        id: SubscriptionId,
        wanted: impl Fn(&Subscription) -> bool + Send + Sync,
    ) {
        let rests = || self.world.metrics.subscribe.in_flight.get() == 0;
        loop {
            // What ended before is seen in the row.
            let rested = rests();
            if wanted(&self.row(id).await) {
                return;
            }
            if rested
                && rests()
                && let Some(wait) = self.world.clock.next_wake()
            {
                self.world.clock.advance(wait.max(Duration::from_secs(1)));
            }
            tokio::task::yield_now().await;
        }
    }

    /// Lets time pass while `test` runs, no more than `step` at once, and leaves time for what it leads to.
    async fn patiently<T>(&self, step: Duration, test: impl Future<Output = T>) -> T {
        let clock = &self.world.clock;
        let passing = async {
            loop {
                for _ in 0..3_000 {
                    tokio::task::yield_now().await;
                }
                if let Some(wait) = clock.next_wake() {
                    clock.advance(wait.min(step));
                }
            }
        };
        tokio::select! {
            () = passing => unreachable!(),
            done = test => done,
        }
    }

    /// Waits until the row looks as wanted, while somebody else lets time pass.
    async fn sees(&self, id: SubscriptionId, wanted: impl Fn(&Subscription) -> bool + Sync) {
        while !wanted(&self.row(id).await) {
            tokio::task::yield_now().await;
        }
    }

    fn methods(&self) -> Vec<String> {
        self.graph
            .calls()
            .iter()
            .map(|one| one.method.to_string())
            .collect()
    }

    fn forget_at_graph(&self) {
        self.kept.lock().unwrap().made.clear();
    }

    /// Puts a subscription there that we did not make.
    fn put(&self, id: &str, notification_url: &str, client_state: &str) {
        let made = serde_json::json!({
            "id": id, "resource": RESOURCE, "changeType": "created", "notificationUrl": notification_url,
            "expirationDateTime": "2026-01-09T00:00:00Z", "clientState": client_state,
        });
        self.kept.lock().unwrap().made.insert(id.to_owned(), made);
    }

    fn our_url(&self) -> String {
        format!(
            "https://tidings.example/base/webhook/{}/mail",
            self.world.environment
        )
    }
}

fn subscribe(world: &World, public_url: &str, take_over: bool) -> Subscribe {
    Subscribe::new(SubscribeParts {
        store: Arc::clone(&world.store),
        directory: Arc::clone(&world.directory),
        graph: world.graph.clone(),
        clock: Arc::new(world.clock.clone()),
        entropy: Arc::clone(&world.entropy),
        ids: Arc::clone(&world.ids),
        metrics: world.metrics.subscribe.clone(),
        config: SubscribeConfig {
            take_over,
            ..world.config.subscribe.clone()
        },
        public_url: public_url.parse().unwrap(),
        wake: Wake::new(),
        fence: Fence::new(world.store.holdings(), world.metrics.nodes.clone()),
        credentials: world.credentials(),
        deliver: Hint::new(),
        reconcile: Wake::new(),
    })
}

const OTHER_ID: &str = "3e1f7a52-90aa-4c0b-8c55-7d3d1c6a4f10";

fn answer(kept: &Shared, seen: &Seen) -> Reply {
    let mut kept = kept.lock().unwrap();
    if !kept.instead.is_empty() {
        return kept.instead.remove(0);
    }
    let done = serve(&mut kept, seen);
    if kept.after.is_empty() {
        done
    } else {
        kept.after.remove(0)
    }
}

fn serve(kept: &mut Kept, seen: &Seen) -> Reply {
    let id = seen.path.rsplit('/').next().unwrap_or_default().to_owned();
    if let Some(reply) = kept.about.remove(&id) {
        return reply;
    }
    match seen.method.as_str() {
        "POST" => {
            let mut new: serde_json::Value = serde_json::from_str(&seen.body).unwrap();
            let same = kept.made.iter().find(|(_, one)| {
                one["resource"] == new["resource"] && one["changeType"] == new["changeType"]
            });
            if let Some((id, _)) = same {
                let message =
                    format!("Subscription Id {id} already exists for the requested combination");
                return reply(
                    409,
                    format!(
                        r#"{{"error":{{"code":"ObjectIdentifierInUse","message":"{message}"}}}}"#
                    ),
                );
            }
            kept.count += 1;
            let id = format!("{:08x}-0000-4000-8000-000000000000", kept.count);
            new["id"] = id.clone().into();
            kept.made.insert(id, new.clone());
            reply(201, new.to_string())
        }
        "GET" if id == "subscriptions" => {
            let mut value: Vec<serde_json::Value> = kept.made.values().cloned().collect();
            for one in &mut value {
                one["clientState"] = serde_json::Value::Null;
            }
            reply(200, serde_json::json!({ "value": value }).to_string())
        }
        "GET" => kept
            .made
            .get(&id)
            .map_or_else(|| reply(404, ""), |one| reply(200, one.to_string())),
        "PATCH" => match kept.made.get_mut(&id) {
            None => reply(404, ""),
            Some(one) => {
                let patch: serde_json::Value = serde_json::from_str(&seen.body).unwrap();
                for (member, value) in patch.as_object().unwrap() {
                    one[member] = value.clone();
                }
                reply(200, one.to_string())
            }
        },
        "DELETE" => match kept.made.remove(&id) {
            None => reply(404, ""),
            Some(_) => reply(204, ""),
        },
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_wish_is_asked_for_at_once_and_known_to_the_directory() {
    let stage = Stage::new().await;
    let row = stage
        .request("/Users/u/Events", "created,deleted")
        .await
        .unwrap();
    assert_eq!(
        (row.state, row.resource.as_str()),
        (SubscriptionState::Active, RESOURCE)
    );
    let graph_id = row.graph_id.clone().unwrap();
    assert_eq!(
        stage
            .world
            .directory
            .subscription_by_graph_id(&graph_id)
            .unwrap()
            .id,
        row.id
    );

    let sent: serde_json::Value = serde_json::from_str(&stage.graph.calls()[0].body).unwrap();
    assert_eq!(sent["notificationUrl"], stage.our_url());
    assert_eq!(
        sent["lifecycleNotificationUrl"],
        format!("{}/lifecycle", stage.our_url())
    );
    assert_eq!(sent["clientState"], row.client_state.expose());
    let life = stage.world.clock.now().until(row.expires_at.unwrap());
    assert_eq!(life, Duration::from_mins(10_000));
    let wait = stage.world.clock.now().until(row.due_at);
    assert!((life.mul_f64(0.4)..life * 2 / 3).contains(&wait));
}

#[tokio::test]
async fn what_the_table_of_resources_refuses_is_refused_before_anything_is_written() {
    let stage = Stage::new().await;
    for (resource, changes, pointer) in [
        ("users/u/calendar", "created", "/resource"),
        ("users", "created", "/change_types"),
        ("me/events", "created", "/resource"),
        ("communications/presences/u", "updated", "/resource"),
        ("groups/g/conversations", "created", "/resource"),
    ] {
        let error = stage.request(resource, changes).await.unwrap_err();
        assert!(
            matches!(error, ManageError::Invalid { pointer: told, .. } if told == pointer),
            "{resource}: {error}"
        );
    }
    assert!(stage.graph.calls().is_empty());
    stage.request(RESOURCE, "created").await.unwrap();
    assert!(matches!(
        stage.request(RESOURCE, "created").await,
        Err(ManageError::Conflict { .. })
    ));
}

#[tokio::test]
async fn a_subscription_is_renewed_again_and_again() {
    let stage = Stage::new().await;
    let row = stage.request(RESOURCE, "created").await.unwrap();
    let mut last = row.expires_at.unwrap();
    stage
        .run(async {
            for _ in 0..3 {
                stage
                    .until(row.id, |now| now.expires_at.unwrap() > last)
                    .await;
                let renewed = stage.row(row.id).await;
                assert!(stage.world.clock.now() < last);
                last = renewed.expires_at.unwrap();
            }
        })
        .await;
    assert_eq!(stage.methods(), ["POST", "PATCH", "PATCH", "PATCH"]);
}

#[tokio::test]
async fn what_graph_has_lost_is_made_anew_with_the_same_client_state() {
    let stage = Stage::new().await;
    let row = stage.request(RESOURCE, "created").await.unwrap();
    stage.forget_at_graph();
    stage
        .run(stage.until(row.id, |now| now.graph_id != row.graph_id))
        .await;
    let anew = stage.row(row.id).await;
    assert_eq!(anew.state, SubscriptionState::Active);
    assert_eq!(anew.client_state, row.client_state);
    assert_eq!(stage.methods(), ["POST", "PATCH", "POST"]);
}

#[tokio::test]
async fn an_outage_leaves_it_pending_and_it_is_tried_again() {
    let stage = Stage::new().await;
    stage.instead(reply(503, ""));
    stage.instead(reply(429, ""));
    let row = stage.request(RESOURCE, "created").await.unwrap();
    assert_eq!((row.state, row.failures), (SubscriptionState::Pending, 1));
    assert!(row.last_error.is_some());
    stage
        .run(stage.until(row.id, |now| now.state == SubscriptionState::Active))
        .await;
    assert_eq!(stage.row(row.id).await.last_error, None);
}

#[tokio::test]
async fn a_handshake_that_failed_is_tried_again_and_says_what_graph_has_to_reach() {
    let stage = Stage::new().await;
    stage.instead(reply(400, r#"{"error":{"code":"ValidationError","message":"Subscription validation request timed out."}}"#));
    let row = stage.request(RESOURCE, "created").await.unwrap();
    assert_eq!(row.state, SubscriptionState::Pending);
    assert!(row.last_error.unwrap().contains(&stage.our_url()));
}

#[tokio::test]
async fn a_refusal_says_what_to_do() {
    for (status, body, told) in [
        (
            403,
            r#"{"error":{"code":"ExtensionError","message":"Insufficient privileges to complete the operation."}}"#,
            "Calendars.Read",
        ),
        (
            403,
            r#"{"error":{"code":"ExtensionError","message":"Reason: Maximum number of subscriptions has been reached"}}"#,
            "1000 per mailbox",
        ),
        (
            400,
            r#"{"error":{"code":"ExtensionError","message":"No."}}"#,
            "No.",
        ),
    ] {
        let stage = Stage::new().await;
        stage.instead(reply(status, body));
        let row = stage.request(RESOURCE, "created").await.unwrap();
        assert_eq!(row.state, SubscriptionState::Failed);
        assert!(
            row.last_error.clone().unwrap().contains(told),
            "{:?}",
            row.last_error
        );
    }
}

#[tokio::test]
async fn what_was_made_before_a_crash_is_taken_over() {
    let stage = Stage::new().await;
    // Graph makes it, and we do not hear of it.
    stage.kept.lock().unwrap().after.push(reply(502, ""));
    let row = stage.request(RESOURCE, "created").await.unwrap();
    assert_eq!(
        (row.state, row.graph_id.clone()),
        (SubscriptionState::Pending, None)
    );
    stage
        .run(stage.until(row.id, |now| now.state == SubscriptionState::Active))
        .await;
    assert_eq!(stage.methods(), ["POST", "POST", "GET"]);
    let kept = stage.kept.lock().unwrap();
    assert_eq!(kept.made.len(), 1);
}

#[tokio::test]
async fn one_of_ours_that_is_forgotten_makes_way() {
    let stage = Stage::new().await;
    stage.put(OTHER_ID, &stage.our_url(), "nobody-knows-this");
    let row = stage.request(RESOURCE, "created").await.unwrap();
    assert_eq!(row.state, SubscriptionState::Active);
    assert_eq!(stage.methods(), ["POST", "GET", "DELETE", "POST"]);
}

#[tokio::test]
async fn one_of_another_installation_is_left_alone() {
    let stage = Stage::new().await;
    stage.put(
        OTHER_ID,
        "https://elsewhere.example/hook?code=s3cret",
        "theirs",
    );
    let row = stage.request(RESOURCE, "created").await.unwrap();
    assert_eq!(row.state, SubscriptionState::Conflict);
    let told = row.last_error.unwrap();
    assert!(
        told.contains("elsewhere.example") && !told.contains("s3cret"),
        "{told}"
    );
    assert_eq!(stage.kept.lock().unwrap().made.len(), 1);
}

#[tokio::test]
async fn one_that_serves_another_row_of_ours_is_left_alone() {
    let stage = Stage::new().await;
    let first = stage.request(RESOURCE, "created").await.unwrap();
    // Graph's rule does not look at our connections: the emulated one does not tell tenants apart.
    let new = NewSubscription {
        environment: None,
        connection: stage.world.other,
        resource: RESOURCE.to_owned(),
        change_types: "created".parse().unwrap(),
        deliver_existing: false,
    };
    let second = stage.subscribe.request(new).await.unwrap();
    assert_eq!(second.state, SubscriptionState::Conflict);
    assert!(second.last_error.unwrap().contains(&first.id.to_string()));
    assert_eq!(stage.row(first.id).await.state, SubscriptionState::Active);
}

#[tokio::test]
async fn a_deletion_removes_it_at_graph_and_here() {
    let stage = Stage::new().await;
    let row = stage.request(RESOURCE, "created").await.unwrap();
    assert!(stage.subscribe.delete(row.id).await.unwrap());
    assert!(stage.kept.lock().unwrap().made.is_empty());
    assert_eq!(stage.world.store.subscription(row.id).await.unwrap(), None);
    assert!(stage.world.directory.subscription(row.id).is_none());
    assert!(!stage.subscribe.delete(row.id).await.unwrap());
}

#[tokio::test]
async fn a_deletion_that_graph_does_not_hear_is_done_later() {
    let stage = Stage::new().await;
    let row = stage.request(RESOURCE, "created").await.unwrap();
    stage.instead(reply(503, ""));
    assert!(stage.subscribe.delete(row.id).await.unwrap());
    assert_eq!(stage.row(row.id).await.state, SubscriptionState::Deleting);
    stage
        .run(async {
            while stage
                .world
                .store
                .subscription(row.id)
                .await
                .unwrap()
                .is_some()
            {
                if stage.world.metrics.subscribe.in_flight.get() == 0
                    && let Some(wait) = stage.world.clock.next_wake()
                {
                    stage.world.clock.advance(wait);
                }
                tokio::task::yield_now().await;
            }
        })
        .await;
    assert!(stage.kept.lock().unwrap().made.is_empty());
}

#[tokio::test]
async fn a_deletion_also_finds_what_was_made_before_a_crash() {
    let stage = Stage::new().await;
    stage.kept.lock().unwrap().after.push(reply(502, ""));
    let row = stage.request(RESOURCE, "created").await.unwrap();
    assert_eq!(row.graph_id, None);
    assert!(stage.subscribe.delete(row.id).await.unwrap());
    assert!(stage.kept.lock().unwrap().made.is_empty());
    assert_eq!(stage.world.store.subscription(row.id).await.unwrap(), None);
}

#[tokio::test]
async fn a_row_that_is_left_over_from_the_last_run_is_taken_up() {
    let stage = Stage::new().await;
    let row = stage.request(RESOURCE, "created").await.unwrap();
    let update = SubscriptionUpdate {
        state: SubscriptionState::Pending,
        due_at: stage.world.clock.now(),
        graph_id: None,
        ..unchanged(&row)
    };
    stage
        .world
        .store
        .update_subscription(update, None)
        .await
        .unwrap();
    stage
        .run(stage.until(row.id, |now| now.state == SubscriptionState::Active))
        .await;
    assert_eq!(stage.row(row.id).await.graph_id, row.graph_id);
}
