//! What apps are told of subscriptions.

use tidings_domain::connection::ConnectionState;

use super::*;

impl Stage {
    /// The operational events so far, oldest first.
    pub(super) async fn told(&self) -> Vec<String> {
        let events = self.world.events().await;
        let names = events.iter().map(|event| event.trigger.to_string());
        names.collect()
    }
}

const REFUSED: &str = r#"{"error":{"code":"ExtensionError","message":"No."}}"#;

#[tokio::test]
async fn a_refusal_is_told_once_and_so_is_its_end() {
    let stage = Stage::new().await;
    for _ in 0..2 {
        stage.instead(reply(400, REFUSED));
    }
    let row = stage.request(RESOURCE, "created").await.unwrap();
    assert_eq!(stage.told().await, ["subscription.failed"]);
    stage
        .run(stage.until(row.id, |now| now.failures == 2))
        .await;
    assert_eq!(stage.told().await, ["subscription.failed"]);
    stage
        .run(stage.until(row.id, |now| now.state == SubscriptionState::Active))
        .await;
    assert_eq!(
        stage.told().await,
        ["subscription.failed", "subscription.recovered"]
    );
    let first = stage.world.events().await[0].id;
    let first = stage.world.store.event(first).await.unwrap().unwrap();
    let body: serde_json::Value = serde_json::from_slice(&first.body).unwrap();
    assert_eq!(body["data"]["subscription_id"], row.id.to_string());
    assert!(body["data"]["reason"].as_str().unwrap().contains("No."));
}

#[tokio::test]
async fn what_graph_lost_is_told_as_removed_and_recovered() {
    let stage = Stage::new().await;
    let row = stage.request(RESOURCE, "created").await.unwrap();
    assert_eq!(stage.told().await, [""; 0]);
    stage.forget_at_graph();
    stage
        .run(stage.until(row.id, |now| now.graph_id != row.graph_id))
        .await;
    assert_eq!(
        stage.told().await,
        ["subscription.removed", "subscription.recovered"]
    );
}

#[tokio::test]
async fn what_lapses_while_graph_is_away_is_told_once() {
    let stage = Stage::new().await;
    let row = stage.request(RESOURCE, "created").await.unwrap();
    let end = row.expires_at.unwrap();
    stage
        .world
        .clock
        .advance(stage.world.clock.now().until(end));
    stage.forget_at_graph();
    for _ in 0..3 {
        stage.instead(reply(503, ""));
    }
    stage
        .run(stage.until(row.id, |now| {
            now.state == SubscriptionState::Active && now.graph_id != row.graph_id
        }))
        .await;
    assert_eq!(stage.methods(), ["POST", "PATCH", "POST", "POST", "POST"]);
    assert_eq!(
        stage.told().await,
        ["subscription.removed", "subscription.recovered"]
    );
}

#[tokio::test]
async fn a_conflict_is_told_once_and_ends_when_the_other_has_gone() {
    let stage = Stage::new().await;
    stage.put(OTHER_ID, "https://elsewhere.example/hook", "theirs");
    let row = stage.request(RESOURCE, "created").await.unwrap();
    stage
        .run(stage.until(row.id, |now| now.failures == 2))
        .await;
    assert_eq!(stage.told().await, ["subscription.conflict"]);
    stage.forget_at_graph();
    stage
        .run(stage.until(row.id, |now| now.state == SubscriptionState::Active))
        .await;
    assert_eq!(
        stage.told().await,
        ["subscription.conflict", "subscription.recovered"]
    );
}

#[tokio::test]
async fn whoever_takes_over_removes_what_another_installation_has() {
    let stage = Stage::new().await;
    stage.put(OTHER_ID, "https://elsewhere.example/hook", "theirs");
    let taking = subscribe(&stage.world, "https://tidings.example/base", true);
    let new = NewSubscription {
        environment: None,
        connection: stage.world.connection,
        resource: RESOURCE.to_owned(),
        change_types: "created".parse().unwrap(),
        deliver_existing: false,
    };
    let row = taking.request(new).await.unwrap();
    assert_eq!(row.state, SubscriptionState::Active);
    assert_eq!(stage.methods(), ["POST", "GET", "DELETE", "POST"]);
    assert_eq!(stage.kept.lock().unwrap().made.len(), 1);
    // What serves a row of ours is never taken from it.
    let new = NewSubscription {
        environment: None,
        connection: stage.world.other,
        resource: RESOURCE.to_owned(),
        change_types: "created".parse().unwrap(),
        deliver_existing: false,
    };
    let second = taking.request(new).await.unwrap();
    assert_eq!(second.state, SubscriptionState::Conflict);
    assert_eq!(stage.row(row.id).await.state, SubscriptionState::Active);
}

#[tokio::test]
async fn broken_credentials_wait_and_show_at_the_connection() {
    let graph = Graph::start_with_sign_in(|_| {
        ready(reply(
            401,
            r#"{"error":"invalid_client","error_description":"AADSTS7000215: No."}"#,
        ))
    })
    .await;
    let stage = Stage::new().await;
    let mut integration = (*stage
        .world
        .directory
        .integration_by_id(stage.world.integration)
        .unwrap())
    .clone();
    integration.login_url = graph.url.clone();
    // Integrations cannot be changed yet: a second one, whose sign-in refuses.
    integration.id = stage.world.ids.next();
    integration.key = "broken".parse().unwrap();
    stage
        .world
        .store
        .create_integration(integration.clone())
        .await
        .unwrap();
    let mut connection = (*stage
        .world
        .directory
        .connection(stage.world.connection)
        .unwrap())
    .clone();
    connection.id = stage.world.ids.next();
    connection.integration = integration.id;
    stage
        .world
        .store
        .create_connection(connection.clone())
        .await
        .unwrap();
    stage
        .world
        .directory
        .refresh(Change::Integration(integration.id))
        .await
        .unwrap();
    stage
        .world
        .directory
        .refresh(Change::Connection(connection.id))
        .await
        .unwrap();
    let new = NewSubscription {
        environment: None,
        connection: connection.id,
        resource: RESOURCE.to_owned(),
        change_types: "created".parse().unwrap(),
        deliver_existing: false,
    };
    let row = stage.subscribe.request(new).await.unwrap();
    assert_eq!(row.state, SubscriptionState::Pending);
    assert!(stage.world.clock.now().until(row.due_at) >= Duration::from_secs(48));
    let connection = stage
        .world
        .store
        .connection(connection.id)
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(connection.state, ConnectionState::Broken { .. }));
    assert_eq!(stage.told().await, ["connection.expired"]);
    assert!(stage.graph.calls().is_empty());
}

#[tokio::test]
async fn whoever_wants_what_exists_is_given_it_also_if_graph_takes_a_while() {
    let stage = Stage::new().await;
    let wanted = |resource: &str, changes: &str| NewSubscription {
        environment: None,
        connection: stage.world.connection,
        resource: resource.to_owned(),
        change_types: changes.parse().unwrap(),
        deliver_existing: true,
    };
    stage.instead(reply(503, ""));
    let asked = wanted(RESOURCE, "created");
    let row = stage.subscribe.request(asked).await.unwrap();
    assert!(row.deliver_existing && row.state == SubscriptionState::Pending);
    stage
        .run(stage.until(row.id, |now| now.state == SubscriptionState::Active))
        .await;
    let state = stage.world.store.reconcile(row.id).await.unwrap().unwrap();
    assert!(state.deliver_existing);
    for (resource, changes, why) in [
        ("users/u/messages", "updated", "ask for that change type"),
        ("chats/c/messages", "created", "cannot be found out"),
    ] {
        let refused = stage.subscribe.request(wanted(resource, changes)).await;
        let Err(ManageError::Invalid { pointer, detail }) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(pointer, "/deliver_existing");
        assert!(detail.contains(why), "{detail}");
    }
}

#[tokio::test]
async fn what_waits_for_credentials_goes_on_when_they_work_again() {
    let stage = Stage::new().await;
    let row = stage.request(RESOURCE, "created").await.unwrap();
    let store = &stage.world.store;
    let connection = stage.world.directory.connection(row.connection).unwrap();
    let broken = ConnectionState::Broken {
        reason: "the secret has expired".to_owned(),
        since: stage.world.clock.now(),
    };
    let now = stage.world.clock.now();
    let set = store.set_connection_state(connection.id, broken, now, Vec::new());
    set.await.unwrap();
    stage.world.directory.reload().await.unwrap();
    let failed = SubscriptionUpdate {
        failures: 7,
        due_at: now + Duration::from_hours(1),
        ..unchanged(&row)
    };
    store.update_subscription(failed, None).await.unwrap();
    let connection = stage.world.directory.connection(row.connection).unwrap();
    stage.world.credentials().note(&connection, None).await;
    assert_eq!(stage.row(row.id).await.due_at, now);
    stage
        .run(stage.until(row.id, |now| now.failures == 0))
        .await;
}
