use std::{
    collections::{HashMap, VecDeque},
    sync::Mutex,
};

use tidings_domain::{
    Secret,
    completeness::{Counted, How},
    notification::Origin,
    reconcile::ReconcileReason,
    resource::ChangeType,
    shard::Shard,
    subscription::{Subscription, SubscriptionState},
};
use tidings_storage::record::{KnownItem, SubscriptionUpdate, Told};

use super::*;
use crate::{
    testing::{Graph, Reply, World, reply},
    version,
};

/// What Graph answers: a list of replies for each path, without its host and query.
type Script = Arc<Mutex<HashMap<String, VecDeque<Reply>>>>;

struct Stage {
    world: World,
    graph: Graph,
    script: Script,
    reconcile: Reconcile,
    subscription: SubscriptionId,
}

/// A reconcile stage and a subscription to `resource` that Graph has just begun to serve.
async fn stage(resource: &str, changes: &str) -> Stage {
    let script = Script::default();
    let answers = Arc::clone(&script);
    let graph = Graph::start(move |seen| {
        let path = seen.path.split('?').next().unwrap_or_default().to_owned();
        let next = answers
            .lock()
            .unwrap()
            .get_mut(&path)
            .and_then(VecDeque::pop_front);
        async move { next.unwrap_or_else(|| reply(404, r#"{"error":{"code":"NotScripted"}}"#)) }
    })
    .await;
    let world = World::new(&graph.url).await;
    let reconcile = Reconcile::new(ReconcileParts {
        store: Arc::clone(&world.store),
        directory: Arc::clone(&world.directory),
        graph: world.graph.clone(),
        clock: Arc::new(world.clock.clone()),
        entropy: Arc::clone(&world.entropy),
        ids: Arc::clone(&world.ids),
        metrics: world.metrics.reconcile.clone(),
        config: world.config.reconcile.clone(),
        wake: Wake::new(),
        enrich: Wake::new(),
        fence: Fence::new(world.store.holdings(), world.metrics.nodes.clone()),
        credentials: world.credentials(),
        answers: Answers::default(),
        deliver: Hint::new(),
    });
    let path = SubscriptionPath::parse(resource).unwrap();
    let now = world.clock.now();
    let subscription = Subscription {
        id: world.ids.next(),
        environment: world.environment,
        integration: world.integration,
        connection: world.connection,
        policy: None,
        resource: path.canonical().to_owned(),
        kind: path.kind(),
        change_types: changes.parse().unwrap(),
        state: SubscriptionState::Active,
        client_state: Secret::new("state"),
        graph_id: Some("6f2b1c33-8a0e-4d6b-9b57-0a4f5c6d7e8f".to_owned()),
        expires_at: None,
        due_at: now,
        failures: 0,
        last_error: None,
        created_at: now,
        renewed_at: None,
        deliver_existing: false,
        lifecycle: None,
        patched_at: None,
        notification_url: None,
        lifecycle_url: None,
        former: None,
    };
    let id = subscription.id;
    let update = SubscriptionUpdate {
        id,
        state: subscription.state,
        graph_id: subscription.graph_id.clone(),
        expires_at: None,
        due_at: now,
        failures: 0,
        last_error: None,
        renewed_at: None,
        patched_at: None,
        notification_url: None,
        lifecycle_url: None,
        former: None,
        attended: None,
        reconcile: Some(AskReconcile {
            reason: ReconcileReason::Created,
            asked_at: now,
            due_at: now,
            deliver_existing: false,
        }),
        events: Vec::new(),
    };
    let store = &world.store;
    store
        .create_subscription(subscription, Shard::FIRST)
        .await
        .unwrap();
    store.update_subscription(update, None).await.unwrap();
    world.directory.reload().await.unwrap();
    Stage {
        world,
        graph,
        script,
        reconcile,
        subscription: id,
    }
}

impl Stage {
    /// Has Graph answer the next request of `path` with a page: its items, and whether it is the last.
    fn page(&self, path: &str, items: &[&str], link: &str, last: bool) {
        let rel = if last { "deltaLink" } else { "nextLink" };
        let url = self.graph.url.as_str().trim_end_matches('/');
        let body = format!(
            r#"{{"value":[{}],"@odata.{rel}":"{url}{link}"}}"#,
            items.join(",")
        );
        self.answer(path, reply(200, body));
    }

    fn answer(&self, path: &str, answer: Reply) {
        let mut script = self.script.lock().unwrap();
        script.entry(path.to_owned()).or_default().push_back(answer);
    }

    /// Lets time pass until the subscription is due, and takes its turn. Gives where it stands then.
    async fn turn(&self) -> State {
        let store = &self.world.store;
        let due_at = store.next_due_reconcile().await.unwrap().unwrap();
        self.world
            .clock
            .advance(self.world.clock.now().until(due_at));
        let due = store
            .due_reconciles(self.world.clock.now(), 10)
            .await
            .unwrap();
        assert_eq!(due.len(), 1);
        for DueReconcile { reconcile, lease } in due {
            self.reconcile.take_turn(reconcile, lease).await.unwrap();
        }
        self.state().await
    }

    async fn state(&self) -> State {
        let state = self.world.store.reconcile(self.subscription).await.unwrap();
        state.unwrap()
    }

    async fn ask(&self) {
        // Later than whatever was asked for before.
        self.world.clock.advance(Duration::from_secs(1));
        let one = SubscriptionFilter::One(self.subscription);
        assert_eq!(
            self.reconcile
                .ask(one, ReconcileReason::Asked)
                .await
                .unwrap(),
            1
        );
    }

    /// What went to enrich so far: ends of the paths, changes and origin.
    async fn finds(&self) -> Vec<(String, ChangeType)> {
        let queue = self.world.queue().await;
        queue
            .into_iter()
            .map(|queued| {
                let notification = queued.notification;
                assert_eq!(notification.origin, Origin::Reconcile);
                assert_eq!(notification.subscription, Some(self.subscription));
                let (_, item) = notification.resource.rsplit_once('/').unwrap();
                (item.to_owned(), notification.change_type.unwrap())
            })
            .collect()
    }

    async fn known(&self, items: &[&str]) -> Vec<KnownItem> {
        let items = items.iter().map(|&item| item.to_owned()).collect();
        self.world
            .store
            .known_items(self.subscription, items)
            .await
            .unwrap()
    }
}

fn item(id: &str, version: u32) -> String {
    format!(r#"{{"@odata.etag":"W/\"{version}\"","id":"{id}"}}"#)
}

fn removed(id: &str) -> String {
    format!(r#"{{"id":"{id}","@removed":{{"reason":"deleted"}}}}"#)
}

const CONTACTS: &str = "/v1.0/users/u/contacts/delta";
const ALL: &str = "created,updated,deleted";

#[tokio::test]
async fn what_is_there_is_recorded_and_what_changes_then_is_found() {
    let stage = stage("users/u/contacts", ALL).await;
    stage.page(
        CONTACTS,
        &[&item("a", 1), &item("b", 1)],
        "/next?p=2",
        false,
    );
    stage.page("/next", &[&item("c", 1)], "/delta?t=1", true);
    let state = stage.turn().await;
    assert_eq!((stage.finds().await.len(), state.finds), (0, 0));
    assert!(state.finished_at.is_some() && state.started_at.is_none());
    assert_eq!(stage.known(&["a", "b", "c", "d"]).await.len(), 3);

    let changed = [&*item("a", 2), &item("b", 1), &removed("c"), &item("d", 1)];
    stage.page("/delta", &changed, "/delta?t=2", true);
    let state = stage.turn().await;
    let expected = [
        ("a".to_owned(), ChangeType::Updated),
        ("c".to_owned(), ChangeType::Deleted),
        ("d".to_owned(), ChangeType::Created),
    ];
    assert_eq!(stage.finds().await, expected);
    assert_eq!(state.finds, 3);
}

#[tokio::test]
async fn what_a_notification_has_brought_is_not_found_again() {
    let stage = stage("users/u/contacts", ALL).await;
    stage.page(CONTACTS, &[&item("a", 1)], "/delta?t=1", true);
    stage.turn().await;
    stage.page("/delta", &[&item("a", 2)], "/delta?t=2", true);
    stage.turn().await;
    let queued = stage.world.queue().await.pop().unwrap();
    let told = Told {
        subscription: stage.subscription,
        item: "a".to_owned(),
        present: Some(Some(version::named("2"))),
    };
    let outcome = tidings_storage::record::Outcome {
        told: Some(told),
        ..Default::default()
    };
    let store = &stage.world.store;
    store
        .finish_notification(queued.seq, queued.lease, outcome)
        .await
        .unwrap();
    stage.page("/delta", &[&item("a", 2)], "/delta?t=3", true);
    stage.turn().await;
    assert_eq!(stage.finds().await, []);
}

#[tokio::test]
async fn a_round_that_is_cut_short_goes_on_where_it_was() {
    let stage = stage("users/u/contacts", ALL).await;
    stage.page(CONTACTS, &[&item("a", 1)], "/next?p=2", false);
    stage.answer("/next", reply(503, ""));
    let state = stage.turn().await;
    assert!(state.finished_at.is_none() && state.started_at.is_some());
    assert!(state.failures == 1 && state.last_error.is_some());
    assert!(state.due_at > stage.world.clock.now());
    stage.page("/next", &[&item("b", 1)], "/delta?t=1", true);
    let state = stage.turn().await;
    assert!(state.finished_at.is_some() && state.failures == 0);
    assert_eq!(stage.known(&["a", "b"]).await.len(), 2);
    let asked: Vec<String> = stage
        .graph
        .calls()
        .into_iter()
        .map(|call| call.path)
        .collect();
    assert_eq!(asked[1..], ["/next?p=2", "/next?p=2"], "not from the start");
}

#[tokio::test]
async fn when_graph_has_forgotten_how_far_it_was_everything_is_compared() {
    let stage = stage("users/u/contacts", ALL).await;
    let before = [&*item("a", 1), &item("b", 1), &item("c", 1)];
    stage.page(CONTACTS, &before, "/delta?t=1", true);
    stage.turn().await;
    stage.answer(
        "/delta",
        reply(410, r#"{"error":{"code":"syncStateNotFound"}}"#),
    );
    stage.page(
        CONTACTS,
        &[&item("a", 1), &item("b", 2)],
        "/next?p=2",
        false,
    );
    stage.page("/next", &[&item("d", 1)], "/delta?t=2", true);
    let state = stage.turn().await;
    assert!(state.finished_at.is_some() && state.last_error.is_none());
    let mut finds = stage.finds().await;
    finds.sort();
    let expected = [
        ("b".to_owned(), ChangeType::Updated),
        ("c".to_owned(), ChangeType::Deleted),
        ("d".to_owned(), ChangeType::Created),
    ];
    assert_eq!(finds, expected);
}

#[tokio::test]
async fn mail_is_compared_folder_by_folder_and_a_folder_that_is_gone_takes_its_mail_along() {
    const FOLDERS: &str = "/v1.0/users/u/mailFolders/delta";
    let messages = |folder: &str| format!("/v1.0/users/u/mailFolders/{folder}/messages/delta");
    let folder = |id: &str| format!(r#"{{"id":"{id}","displayName":"{id}"}}"#);
    let stage = stage("users/u/messages", ALL).await;
    stage.page(
        FOLDERS,
        &[&folder("in"), &folder("old")],
        "/folders?t=1",
        true,
    );
    stage.page(&messages("in"), &[&item("a", 1)], "/in?t=1", true);
    stage.page(&messages("old"), &[&item("b", 1)], "/old?t=1", true);
    stage.turn().await;
    assert_eq!(stage.finds().await, []);

    stage.page(
        FOLDERS,
        &[&folder("in"), &folder("new")],
        "/folders?t=2",
        true,
    );
    stage.page("/in", &[], "/in?t=2", true);
    stage.page(&messages("new"), &[&item("c", 1)], "/new?t=1", true);
    stage.turn().await;
    let mut finds = stage.finds().await;
    finds.sort();
    let expected = [
        ("b".to_owned(), ChangeType::Deleted),
        ("c".to_owned(), ChangeType::Created),
    ];
    assert_eq!(finds, expected);
    let scopes = stage
        .world
        .store
        .reconcile_scopes(stage.subscription)
        .await
        .unwrap();
    let mut names: Vec<String> = scopes.into_iter().map(|scope| scope.name).collect();
    names.sort();
    assert_eq!(names, ["in", "new"]);
}

#[tokio::test]
async fn channels_are_listed_and_compared() {
    const CHANNELS: &str = "/v1.0/teams/7f8fad5b-d9cb-469f-a165-70867728950e/channels";
    let stage = stage("teams/7f8fad5b-d9cb-469f-a165-70867728950e/channels", ALL).await;
    let channel = |id: &str, name: &str| format!(r#"{{"id":"{id}","displayName":"{name}"}}"#);
    let list = |items: &[String]| reply(200, format!(r#"{{"value":[{}]}}"#, items.join(",")));
    stage.answer(
        CHANNELS,
        list(&[channel("19:a", "A"), channel("19:b", "B")]),
    );
    stage.turn().await;
    stage.answer(
        CHANNELS,
        list(&[channel("19:a", "renamed"), channel("19:c", "C")]),
    );
    stage.turn().await;
    let mut finds = stage.finds().await;
    finds.sort();
    let expected = [
        ("19:a".to_owned(), ChangeType::Updated),
        ("19:b".to_owned(), ChangeType::Deleted),
        ("19:c".to_owned(), ChangeType::Created),
    ];
    assert_eq!(finds, expected);
}

#[tokio::test]
async fn a_link_to_another_host_is_not_followed() {
    let stage = stage("users/u/contacts", ALL).await;
    let body = r#"{"value":[],"@odata.nextLink":"https://evil.example/next"}"#;
    stage.answer(CONTACTS, reply(200, body));
    let state = stage.turn().await;
    assert!(state.finished_at.is_none() && state.failures == 1);
    assert_eq!(stage.graph.calls().len(), 1);
}

#[tokio::test]
async fn a_wish_that_comes_during_a_round_is_answered_by_another_one() {
    let stage = stage("users/u/contacts", ALL).await;
    stage.page(CONTACTS, &[], "/next?p=2", false);
    stage.answer("/next", reply(503, ""));
    stage.turn().await;
    stage.ask().await;
    stage.page("/next", &[], "/delta?t=1", true);
    let state = stage.turn().await;
    let now = stage.world.clock.now();
    assert!(
        state.finished_at == Some(now) && state.due_at <= now,
        "{state:?}"
    );
    stage.page("/delta", &[], "/delta?t=2", true);
    let state = stage.turn().await;
    assert!(state.due_at > now);
}

#[tokio::test]
async fn after_a_long_absence_everything_is_compared_and_after_a_short_one_nothing() {
    let stage = stage("users/u/contacts", ALL).await;
    stage.page(CONTACTS, &[], "/delta?t=1", true);
    stage.turn().await;
    stage.page("/delta", &[], "/delta?t=2", true);
    let planned = stage.turn().await.due_at;
    stage.reconcile.beat().await;
    stage.world.clock.advance(Duration::from_mins(9));
    stage.reconcile.beat().await;
    assert_eq!(stage.state().await.due_at, planned);
    stage.world.clock.advance(Duration::from_mins(11));
    stage.reconcile.beat().await;
    let state = stage.state().await;
    assert_eq!(state.reason, ReconcileReason::Outage);
    assert!(state.due_at <= stage.world.clock.now());
}

#[tokio::test]
async fn an_absence_is_not_forgotten_though_we_end_before_it_is_asked_for() {
    let stage = stage("users/u/contacts", ALL).await;
    stage.page(CONTACTS, &[], "/delta?t=1", true);
    stage.turn().await;
    stage.reconcile.beat().await;
    stage.world.clock.advance(Duration::from_mins(11));
    // It was noted, and nothing followed.
    let (now, long) = (stage.world.clock.now(), Duration::from_mins(10));
    stage.world.store.note_alive(now, long).await.unwrap();
    assert_eq!(stage.state().await.reason, ReconcileReason::Created);
    stage.reconcile.beat().await;
    assert_eq!(stage.state().await.reason, ReconcileReason::Outage);
    let since = stage.world.store.note_alive(now, long).await.unwrap();
    assert_eq!(since, None, "it is answered");
}

#[tokio::test]
async fn when_answers_were_slow_everything_is_compared_once_that_is_over() {
    let stage = stage("users/u/contacts", ALL).await;
    stage.page(CONTACTS, &[], "/delta?t=1", true);
    stage.turn().await;
    stage.page("/delta", &[], "/delta?t=2", true);
    stage.turn().await;
    let mut slow = absence::SlowAnswers::default();
    let mut state = stage.state().await;
    let planned = state.due_at;
    stage.reconcile.look_at_answers(&mut slow).await;
    for (seconds, expected) in [
        (0, None),
        // Should we end before it is over.
        (4, Some(Duration::from_hours(1))),
        (4, None),
        (0, Some(Duration::ZERO)),
        (0, None),
    ] {
        stage
            .reconcile
            .parts
            .answers
            .note(Duration::from_secs(seconds));
        stage.world.clock.advance(Duration::from_mins(10));
        stage.reconcile.look_at_answers(&mut slow).await;
        let before = std::mem::replace(&mut state, stage.state().await);
        let now = stage.world.clock.now();
        match expected {
            Some(wait) => assert_eq!(state.due_at, now + wait),
            None => assert_eq!(state.due_at, before.due_at),
        }
    }
    assert!(planned > state.due_at && state.reason == ReconcileReason::Outage);
}

#[tokio::test]
async fn a_calendar_is_compared_in_a_window_that_moves_along() {
    const CALENDAR: &str = "/v1.0/users/u/calendarView/delta";
    let stage = stage("users/u/events", ALL).await;
    stage.page(CALENDAR, &[&item("a", 1)], "/delta?t=1", true);
    stage.turn().await;
    let first = stage.graph.calls().pop().unwrap().path;
    let start = stage.world.clock.now() - stage.world.config.reconcile.calendar_past.0;
    assert!(first.contains(&format!("startDateTime={start}")), "{first}");
    stage.world.clock.advance(Duration::from_hours(8 * 24));
    stage.page(CALENDAR, &[&item("a", 1)], "/delta?t=2", true);
    stage.turn().await;
    assert_eq!(stage.finds().await, [], "a new window is no news");
    let scopes = stage
        .world
        .store
        .reconcile_scopes(stage.subscription)
        .await
        .unwrap();
    assert!(scopes[0].window.unwrap().0 > start);
}

#[tokio::test]
async fn a_subscription_that_falls_silent_is_compared_and_told_of_once() {
    let stage = stage("users/u/contacts", ALL).await;
    let (store, clock) = (&stage.world.store, &stage.world.clock);
    stage.page(CONTACTS, &[&item("a", 1)], "/delta?t=1", true);
    stage.turn().await;
    // A change in each hour of three weeks.
    let first = clock.now();
    let mut counted = Vec::new();
    for hour in 0..3 * 7 * 24 {
        counted.push(Counted {
            subscription: stage.subscription,
            at: first + Duration::from_hours(hour),
            how: How::OnTime,
            count: 1,
        });
    }
    store.count_changes(counted).await.unwrap();
    let mut walk = silence::Walk::default();
    stage.reconcile.look_for_silence(&mut walk).await;
    clock.advance(Duration::from_hours(3 * 7 * 24 + 5));
    stage.reconcile.look_for_silence(&mut walk).await;
    assert_eq!(stage.state().await.silence, None, "five hours may pass");
    let mut told = 0;
    for (hours, finds, patience) in [(2, 1, 0), (9, 0, 6)] {
        for _ in 0..hours {
            clock.advance(Duration::from_hours(1));
            stage.reconcile.look_for_silence(&mut walk).await;
        }
        let state = stage.state().await;
        assert!(state.silence.is_some_and(|silence| !silence.told));
        assert_eq!(state.reason, ReconcileReason::Silent);
        let shown = item("a", 2);
        let items: &[&str] = if finds > 0 { &[&shown] } else { &[] };
        stage.page("/delta", items, "/delta?t=2", true);
        let state = stage.turn().await;
        assert_eq!((state.finds, state.patience), (finds, patience));
        let events = stage.world.events().await;
        told += 1;
        assert_eq!(events.len(), told);
        let event = &events[told - 1];
        let event = store.event(event.id).await.unwrap().unwrap();
        assert_eq!(event.trigger.to_string(), "subscription.silent");
        let body: serde_json::Value = serde_json::from_slice(&event.body).unwrap();
        assert_eq!(body["data"]["found"], finds);
        assert!(body["data"]["since"].is_string());
        // It goes on, and is not told again.
        clock.advance(Duration::from_hours(24));
        stage.reconcile.look_for_silence(&mut walk).await;
        stage.page("/delta", &[], "/delta?t=3", true);
        stage.turn().await;
        assert_eq!(stage.world.events().await.len(), told);
        // A change ends it.
        let counted = Counted {
            subscription: stage.subscription,
            at: clock.now(),
            how: How::OnTime,
            count: 1,
        };
        store.count_changes(vec![counted]).await.unwrap();
        clock.advance(Duration::from_hours(1));
        stage.reconcile.look_for_silence(&mut walk).await;
        assert_eq!(stage.state().await.silence, None);
    }
}
