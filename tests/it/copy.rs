//! `tidings copy`: a gateway on SQLite becomes one on PostgreSQL, with everything that it had.

use std::sync::Arc;

use testkit::{
    api::Http,
    cli::Cli,
    collection::collection,
    database::Database,
    gateway::{Gateway, Settings},
    receiver::Receiver,
    wait,
    world::World,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_copied_and_the_new_node_goes_on_with_it() {
    let settings = Settings::new().with_quick_retries();
    let mut world = World::start_with(&settings).await;
    let mut receiver = Receiver::start().await;
    let connected = world.connect_calendar(&world.emulator.tenants[0]).await;
    let (_, secret) = world.webhook(&receiver.url(), &[]).await;
    let before = collection([connected.subscribed.deleted("before")]);
    assert_eq!(world.notify(before.clone()).await.status, 202);
    receiver.wait_for(1).await;
    wait::until("its delivery to be on record", || async {
        let done = world.api.list("/v1/deliveries?state=delivered").await;
        (done.len() == 1).then_some(())
    })
    .await;
    // One that is still to be delivered when the gateway ends.
    receiver.down().await;
    let waiting = collection([connected.subscribed.deleted("waiting")]);
    assert_eq!(world.notify(waiting).await.status, 202);
    wait::until("a failed attempt", || async {
        let pending = world.api.list("/v1/deliveries?state=pending").await;
        (pending.first()?["attempts"].as_u64()? >= 1).then_some(())
    })
    .await;

    let database = Database::empty().opened_by(world.gateway.admin_key());
    let database = Arc::new(database);
    let key_file = database.sealing_key_file();
    let from = format!("sqlite:{}", world.gateway.data_dir().display());
    let arguments = [
        "copy",
        "--json",
        "--from",
        &from,
        "--to",
        database.url(),
        "--sealing-key-file",
        key_file.to_str().expect("UTF-8"),
    ];
    let cli = Cli::new();
    let running = cli.run(&arguments).await;
    assert_eq!(running.code, 1, "its gateway runs: {running:?}");

    let paths = [
        "/v1/environments",
        "/v1/integrations",
        "/v1/connections",
        "/v1/webhooks",
        "/v1/keys",
        "/v1/events",
        "/v1/notifications",
    ];
    let mut lists = Vec::new();
    for path in paths {
        lists.push(world.api.list(path).await);
    }
    let path = world.notification_url.path().to_owned();
    assert_eq!(world.gateway.terminate().await.code(), Some(0));
    let copied = cli.run(&arguments).await.json();
    let rows = |table: &str| {
        let tables = copied["tables"].as_array().expect("tables");
        let found = tables.iter().find(|one| one["table"] == table);
        found.and_then(|one| one["rows"].as_u64())
    };
    assert_eq!(rows("notifications"), Some(2), "{copied}");
    assert_eq!(rows("deliveries"), Some(2), "{copied}");
    assert!(!copied.to_string().contains(database.server().password()));

    let settings = Settings::new()
        .with_quick_retries()
        .behind(world.gateway.url())
        .on_database(&database);
    let node = Gateway::start(&settings).await;
    let api = node.api();
    for (path, was) in paths.into_iter().zip(lists) {
        assert_eq!(api.list(path).await, was, "{path}");
    }
    receiver.up().await;
    let deliveries = receiver.wait_for(2).await;
    assert_eq!(deliveries[1].item(), "waiting");
    for delivery in deliveries {
        assert_eq!(testkit::signature::check(&delivery, &secret), Ok(()));
    }

    // Its subscription is believed, and what came before the copy is known.
    let url = node.url().join(&path).expect("a path");
    let headers = [("content-type", "application/json")];
    let after = collection([connected.subscribed.deleted("after")]);
    for body in [before, after] {
        let answer = Http::new().send("POST", url.clone(), &headers, body).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
    }
    let third = receiver.wait_for(3).await.swap_remove(2);
    assert_eq!(third.item(), "after");
    let duplicates = api.list("/v1/notifications?verdict=duplicate").await;
    assert_eq!(duplicates.len(), 1, "{duplicates:?}");

    let in_use = cli.run(&arguments).await;
    assert_eq!(in_use.code, 1, "{in_use:?}");
}
