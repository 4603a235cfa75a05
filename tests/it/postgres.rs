//! A store on PostgreSQL as an operator meets it: prepared by a command, refused with what to do.

use std::{fs, sync::Arc};

use serde_json::Value;
use testkit::{
    cli::{Cli, Ended},
    collection::collection,
    database::Database,
    gateway::{Gateway, Settings, folder_contains},
    store::Store,
    wait,
    world::World,
};
use tidings_test_postgres::Server;

/// A shell in which a database is set.
fn shell(database: &Database) -> Cli {
    let variables = database.variables().into_iter();
    variables.fold(Cli::new(), |cli, (name, value)| cli.with(name, value))
}

/// What went wrong, as programs read it; it must not tell the password.
fn error(ended: &Ended, database: &Database) -> Value {
    let password = database.server().password().to_owned();
    assert!(!ended.stderr.contains(&password), "{}", ended.stderr);
    assert!(!ended.stdout.contains(&password), "{}", ended.stdout);
    let error: Value = serde_json::from_str(ended.stderr.trim())
        .unwrap_or_else(|error| panic!("no JSON ({error}): {}", ended.stderr));
    error["error"].clone()
}

const SERVE: [&str; 4] = ["serve", "--json", "--listen", "127.0.0.1:0"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_is_prepared_by_a_command_which_shows_the_admin_key_once() {
    let database = Database::empty();
    let cli = shell(&database);
    let refused = cli.run(&SERVE).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    let error = error(&refused, &database);
    assert_eq!(error["code"], "database_not_migrated");
    assert!(error.to_string().contains("tidings migrate apply"));

    let planned = cli.run(&["migrate", "plan", "--json"]).await.json();
    let steps = planned["steps"].as_array().expect("steps").len();
    assert!(steps > 0, "{planned}");
    assert_eq!(planned["steps"][0]["applied_at"], Value::Null);
    let applied = cli.run(&["migrate", "apply", "--json"]).await.json();
    assert_eq!(applied["applied"].as_array().map(Vec::len), Some(steps));
    let key = applied["admin_key"].as_str().expect("a key is shown");
    assert!(key.starts_with("tdk_"), "{key}");
    assert!(!applied.to_string().contains(database.server().password()));

    let again = cli.run(&["migrate", "apply", "--json"]).await.json();
    assert_eq!(again["applied"], serde_json::json!([]));
    assert_eq!(again["admin_key"], Value::Null);
    assert_eq!(again["environment_id"], applied["environment_id"]);
    let status = cli.run(&["migrate", "status", "--json"]).await.json();
    assert!(
        status["steps"][0]["applied_at"].is_string(),
        "{status}: when it was applied"
    );
    let planned = cli.run(&["migrate", "plan", "--json"]).await.json();
    assert_eq!(planned["steps"], serde_json::json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_line_of_a_node_names_its_environment_and_no_key_file() {
    let settings = Settings::new().on_database(&Database::start());
    let gateway = Gateway::start(&settings).await;
    let line = &gateway.line;
    assert_eq!(line["listening"], gateway.address().to_string());
    assert_eq!(line["admin_key_file"], Value::Null);
    let listed = gateway.api().get("/v1/environments").await;
    assert_eq!(listed["data"][0]["id"], line["environment_id"]);
    assert!(
        !settings.data_dir().exists(),
        "it needs no folder of its own"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_the_database_is_said_without_its_password() {
    let database = Database::start();
    let cli = shell(&database);

    let elsewhere = database.url().replace(
        &format!(":{}/", database.server().port()),
        &format!(":{}/", testkit::gateway::free_port()),
    );
    let unreachable = cli.clone().with("TIDINGS_DATABASE_URL", elsewhere);
    let ended = unreachable.run(&SERVE).await;
    assert_eq!(ended.code, 5, "{ended:?}");
    let said = error(&ended, &database);
    assert_eq!(said["code"], "database_unreachable");
    assert!(said["message"].to_string().contains("127.0.0.1"), "{said}");

    let url = database
        .url()
        .replace(database.server().password(), "wrong");
    let ended = cli
        .clone()
        .with("TIDINGS_DATABASE_URL", url)
        .run(&SERVE)
        .await;
    assert_eq!(ended.code, 5, "{ended:?}");
    let said = error(&ended, &database);
    assert!(said["message"].to_string().contains("password"), "{said}");

    let other = tempfile::tempdir().expect("a folder");
    let other = other.path().join("other.key");
    let other = other.to_str().expect("UTF-8");
    let made = cli.run(&["sealing-key", "create", other, "--json"]).await;
    let made = made.json()["id"].as_str().expect("an id").to_owned();
    let again = cli.run(&["sealing-key", "create", other]).await;
    assert_eq!(again.code, 1, "a key is never overwritten: {again:?}");
    let ended = cli
        .clone()
        .with("TIDINGS_SEALING_KEY_FILE", other)
        .run(&SERVE)
        .await;
    assert_eq!(ended.code, 1, "{ended:?}");
    let said = error(&ended, &database);
    assert_eq!(said["code"], "sealing_key");
    assert!(said["message"].to_string().contains(&made), "{said}");

    let without = Cli::new().with("TIDINGS_DATABASE_URL", database.url());
    let ended = without.run(&SERVE).await;
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(
        error(&ended, &database)
            .to_string()
            .contains("sealing-key create")
    );

    let wrong = database.url().replace("postgres://", "mysql://");
    let ended = cli.with("TIDINGS_DATABASE_URL", wrong).run(&SERVE).await;
    assert_eq!(ended.code, 2, "{ended:?}");
    assert_eq!(error(&ended, &database)["code"], "configuration");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_way_to_the_database_is_protected_where_its_url_says_so() {
    let made = || rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]);
    let (own, other) = (made().expect("a certificate"), made().expect("another"));
    let folder = tempfile::tempdir().expect("a folder");
    let root = |name: &str, certificate: &rcgen::Certificate| {
        let path = folder.path().join(name);
        fs::write(&path, certificate.pem()).expect("a file");
        format!("?sslmode=verify-full&sslrootcert={}", path.display())
    };
    let (right, wrong) = (root("own", &own.cert), root("other", &other.cert));
    let server = Server::start_with_tls(&own.cert.pem(), &own.signing_key.serialize_pem());
    let database = Database::on(server, &right);
    let cli = shell(&database);
    cli.run(&["migrate", "apply", "--json"]).await.ok();
    let gateway = Gateway::start(&Settings::new().on_database(&Arc::new(database))).await;
    let database = gateway.database().expect("it is on one");
    let protected = database.query(
        "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name LIKE 'tidings%'",
    );
    assert_eq!(protected, "t");

    let url = database.url().replace(&right, &wrong);
    let stranger = cli.with("TIDINGS_DATABASE_URL", url).run(&SERVE).await;
    assert_eq!(stranger.code, 5, "{stranger:?}");
    let said = error(&stranger, database)["message"].to_string();
    assert!(said.to_lowercase().contains("certificate"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sealed_cannot_be_found_in_the_database() {
    let world = World::start_on(Store::Postgres).await;
    let connected = world.connect_calendar(&world.emulator.tenants[0]).await;
    let url = "https://app.example.com/hook?token=a-query-that-is-secret";
    let (_, secret) = world.webhook(&url.parse().expect("a URL"), &[]).await;
    let body = collection([connected.subscribed.deleted("one")]);
    assert_eq!(world.notify(body).await.status, 202);
    let mut wrong = connected.subscribed.deleted("two");
    wrong["clientState"] = "a-guess-that-is-kept-nowhere".into();
    assert_eq!(world.notify(collection([wrong])).await.status, 202);
    wait::until("both verdicts", || async {
        let listed = world.api.list("/v1/notifications").await;
        (listed.len() == 2).then_some(())
    })
    .await;

    // Into its files, and the log, which holds every row as it was written.
    world.database().query("CHECKPOINT");
    let folder = world.database().server().data_folder();
    assert!(
        folder_contains(&folder, &connected.subscribed.graph_id),
        "what is no secret is found, so that the search finds anything"
    );
    for (what, text) in [
        ("the client secret", world.emulator.client_secret.as_str()),
        ("a clientState", &connected.subscribed.client_state),
        ("a wrong clientState", "a-guess-that-is-kept-nowhere"),
        ("the integration's webhook secret", &world.webhook_secret),
        ("a webhook's secret", &secret),
        ("the query of a URL", "a-query-that-is-secret"),
        ("the admin key", world.database().admin_key()),
    ] {
        assert!(
            !folder_contains(&folder, text),
            "{what} lies open in the database"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_killed_starts_again_and_works_on() {
    let database: Arc<Database> = Database::start();
    let settings = Settings::new().on_database(&database).with_quick_retries();
    let mut world = World::start_with(&settings).await;
    let receiver = testkit::receiver::Receiver::start().await;
    let connected = world.connect_calendar(&world.emulator.tenants[0]).await;
    world.webhook(&receiver.url(), &[]).await;
    world.gateway.kill().await;
    let took = world.gateway.restart().await;
    println!("a node starts within {took:?}");
    let body = collection([connected.subscribed.deleted("after")]);
    assert_eq!(world.notify(body).await.status, 202);
    // The dead one's leases have to run out first.
    receiver.wait_for(1).await;
    assert_eq!(world.gateway.terminate().await.code(), Some(0));
}
