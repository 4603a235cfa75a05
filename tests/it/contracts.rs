//! What others script against: commands, their first lines, their JSON, their exit codes.

use std::fs;

use serde_json::{Value, json};
use testkit::{
    binary,
    cli::{Cli, Ended},
    collection::{Subscribed, collection},
    emulator::Emulator,
    gateway::{Gateway, Settings},
    process::Process,
    store::Store,
    wait,
};
use tokio::process::Command;

testkit::on_both_stores!(
    the_commands_of_the_main_path_answer_as_promised,
    a_subscription_can_be_asked_for_and_deleted_at_graph_too,
    exit_codes_tell_what_happened,
    keys_open_what_their_scope_says,
);

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    let text = value[member].as_str();
    text.unwrap_or_else(|| panic!("no {member}: {value}"))
}

fn is_guid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
}

/// A gateway and an emulator with an integration, made as a shell user makes it.
struct Shell {
    gateway: Gateway,
    emulator: Emulator,
    cli: Cli,
    integration: Value,
}

impl Shell {
    async fn start(store: Store) -> Self {
        let emulator = Emulator::start().await;
        let gateway = Gateway::start(&store.settings()).await;
        let cli = gateway.cli();
        let arguments = [
            "integration",
            "create",
            "--key",
            "microsoft-oauth2-cc",
            "--client-id",
            &emulator.client_id,
            "--client-secret-file",
            "-",
            "--login-url",
            emulator.url.as_str(),
            "--graph-url",
            emulator.url.as_str(),
            "--json",
        ];
        let made = cli
            .run_with_input(&arguments, &emulator.client_secret)
            .await;
        Self {
            integration: made.json(),
            gateway,
            emulator,
            cli,
        }
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        self.cli
            .run(&[arguments, &["--json"]].concat())
            .await
            .json()
    }

    /// Without a terminal nobody can be asked, so the command wants to hear it beforehand.
    async fn delete(&self, noun: &str, id: &str) -> Ended {
        let unasked = self.cli.run(&[noun, "delete", id]).await;
        assert_eq!(unasked.code, 2, "{unasked:?}");
        self.cli.run(&[noun, "delete", id, "--yes", "--json"]).await
    }

    async fn connection(&self, tenant: usize) -> Value {
        let tenant = &self.emulator.tenants[tenant].id;
        let arguments = [
            "connection",
            "create",
            "--integration",
            "microsoft-oauth2-cc",
            "--tenant-id",
            tenant,
        ];
        self.json(&arguments).await
    }

    async fn subscription(&self, connection: &Value) -> Value {
        let resource = format!("users/{}/events", self.emulator.tenants[0].users[0]);
        let arguments = [
            "subscription",
            "create",
            "--connection",
            text(connection, "id"),
            "--resource",
            &resource,
            "--change-types",
            "created,updated,deleted",
        ];
        self.json(&arguments).await
    }
}

#[tokio::test]
async fn the_first_line_of_the_emulator_says_how_to_use_it() {
    let emulator = Emulator::start().await;
    let line = &emulator.line;
    assert!(text(line, "url").starts_with("http://127.0.0.1:"), "{line}");
    assert!(
        is_guid(text(line, "tenant_id")) && is_guid(text(line, "client_id")),
        "{line}"
    );
    assert!(!text(line, "client_secret").is_empty());
    for tenant in [line, &line["other_tenants"][0]] {
        assert!(is_guid(text(tenant, "tenant_id")), "{line}");
        let users = tenant["users"].as_array().expect("users");
        assert!(!users.is_empty(), "{line}");
        for user in users {
            assert!(!text(user, "id").is_empty());
            assert!(text(user, "mail").contains('@'), "{line}");
        }
    }
    // The same app is consented in both tenants.
    for tenant in &emulator.tenants {
        emulator.token(tenant).await;
    }
}

#[tokio::test]
async fn the_first_line_of_the_gateway_says_where_it_is_and_where_its_key_is() {
    let gateway = Gateway::start(&Settings::new()).await;
    let line = &gateway.line;
    let listening = text(line, "listening");
    assert!(
        listening.ends_with(&gateway.address().to_string()),
        "{line}"
    );
    assert!(is_guid(gateway.environment()), "{line}");
    let key_file = text(line, "admin_key_file");
    assert!(gateway.admin_key().starts_with("tdk_"));
    assert_eq!(mode(key_file), "600");
    let sealing = gateway.data_dir().join("tidings.key");
    assert_eq!(mode(&sealing.to_string_lossy()), "600");
    for path in ["healthz", "readyz", "metrics"] {
        let url = gateway.url().join(path).expect("a URL");
        let answer = testkit::api::Http::new()
            .send("GET", url, &[], Vec::new())
            .await;
        assert_eq!(answer.status, 200, "/{path}");
    }
}

fn mode(path: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path)
        .expect("the file is there")
        .permissions()
        .mode();
    format!("{:o}", mode & 0o777)
}

async fn the_commands_of_the_main_path_answer_as_promised(store: Store) {
    let shell = Shell::start(store).await;
    let integration = &shell.integration;
    assert_eq!(text(integration, "key"), "microsoft-oauth2-cc");
    let url = format!(
        "{}webhook/{}/microsoft-oauth2-cc",
        shell.gateway.url(),
        shell.gateway.environment()
    );
    assert_eq!(text(integration, "notification_url"), url);
    let secret = text(integration, "webhook_secret");
    assert!((16..=128).contains(&secret.len()), "{secret}");
    assert!(
        integration["client_secret"].is_null(),
        "a client secret never comes back"
    );

    let connection = shell.connection(0).await;
    assert!(text(&connection, "id").starts_with("conn_"));
    assert!(text(&connection, "tenant_id").eq_ignore_ascii_case(&shell.emulator.tenants[0].id));

    let subscription = shell.subscription(&connection).await;
    assert!(text(&subscription, "id").starts_with("sub_"));
    assert_eq!(text(&subscription, "state"), "active", "{subscription}");
    assert!(is_guid(text(&subscription, "graph_id")));
    let expires_at = text(&subscription, "expires_at");
    let expires_at: tidings_domain::Timestamp = expires_at.parse().expect("RFC 3339");
    assert!(expires_at > wait::clock().now());

    let url = "https://app.example.com/hooks?token=not-to-be-shown";
    let arguments = [
        "webhook",
        "create",
        "--url",
        url,
        "--triggers",
        "event.created,event.updated,event.deleted",
        "--connection",
        text(&connection, "id"),
        "--description",
        "Calendar sync",
    ];
    let webhook = shell.json(&arguments).await;
    assert!(text(&webhook, "secret").starts_with("whsec_"));
    let shown = shell.json(&["webhook", "show", text(&webhook, "id")]).await;
    assert!(
        shown["secret"].is_null(),
        "a webhook's secret is shown once"
    );
    assert_eq!(shown["connections"], json!([text(&connection, "id")]));
    assert!(!shown.to_string().contains("not-to-be-shown"), "{shown}");

    let listed = shell.json(&["notification", "list", "--limit", "5"]).await;
    assert_eq!(listed, json!({"data": [], "next_cursor": null}));

    for noun in [
        "integration",
        "connection",
        "subscription",
        "webhook",
        "event",
        "delivery",
        "notification",
    ] {
        let listed = shell.json(&[noun, "list"]).await;
        assert!(
            listed["data"].is_array() && listed.get("next_cursor").is_some(),
            "{noun}: {listed}"
        );
        let for_people = shell.cli.run(&[noun, "list"]).await.ok();
        assert!(
            !for_people.contains('\u{1b}'),
            "colours only reach a terminal: {for_people:?}"
        );
    }
}

async fn a_subscription_can_be_asked_for_and_deleted_at_graph_too(store: Store) {
    let shell = Shell::start(store).await;
    let connection = shell.connection(0).await;
    let subscription = shell.subscription(&connection).await;
    let tenant = &shell.emulator.tenants[0];
    let at_graph = || {
        shell
            .emulator
            .graph(tenant, "GET", "/v1.0/subscriptions", Value::Null)
    };
    let listed = at_graph().await;
    assert_eq!(listed["value"][0]["id"], subscription["graph_id"]);

    // What still has something below it is not deleted.
    let refused = shell.delete("connection", text(&connection, "id")).await;
    assert_eq!(refused.code, 1, "{refused:?}");

    shell
        .delete("subscription", text(&subscription, "id"))
        .await
        .ok();
    wait::until("the deletion at Graph", || async {
        let listed = at_graph().await;
        listed["value"]
            .as_array()
            .is_some_and(Vec::is_empty)
            .then_some(())
    })
    .await;
    shell
        .delete("connection", text(&connection, "id"))
        .await
        .ok();
    shell
        .delete("integration", "microsoft-oauth2-cc")
        .await
        .ok();
}

#[tokio::test]
async fn a_secret_comes_from_a_flag_a_file_or_a_variable_and_the_help_warns_of_the_flag() {
    let shell = Shell::start(Store::Sqlite).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("secret.txt");
    fs::write(&file, "from-a-file\n").expect("a file");
    let file = file.to_str().expect("UTF-8");
    let create = |key: &'static str, rest: &[&'static str]| -> Vec<String> {
        let mut arguments = vec![
            "integration",
            "create",
            "--key",
            key,
            "--client-id",
            "an-app",
        ];
        arguments.extend(rest);
        arguments.push("--json");
        arguments.into_iter().map(str::to_owned).collect()
    };
    let run = async |cli: &Cli, arguments: Vec<String>| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        cli.run(&arguments).await
    };
    run(
        &shell.cli,
        create("by-flag", &["--client-secret", "from-a-flag"]),
    )
    .await
    .ok();
    let mut by_file = create("by-file", &["--client-secret-file"]);
    by_file.insert(by_file.len() - 1, file.to_owned());
    run(&shell.cli, by_file).await.ok();
    let with_variable = shell
        .cli
        .clone()
        .with("TIDINGS_CLIENT_SECRET", "from-a-variable");
    run(&with_variable, create("by-variable", &[])).await.ok();
    let without = run(&shell.cli, create("without", &[])).await;
    assert_eq!(without.code, 2, "{without:?}");
    let help = shell
        .cli
        .run(&["integration", "create", "--help"])
        .await
        .ok();
    assert!(
        help.contains("process"),
        "the help says who can see a flag: {help}"
    );
}

async fn exit_codes_tell_what_happened(store: Store) {
    let shell = Shell::start(store).await;
    let code = async |arguments: &[&str]| shell.cli.run(arguments).await.code;
    assert_eq!(code(&["webhook", "list"]).await, 0);
    assert_eq!(code(&["webhook", "no-such-verb"]).await, 2);
    assert_eq!(
        code(&["webhook", "create", "--url", "https://a.example"]).await,
        2
    );
    let missing = ["webhook", "show", "wh_01ARZ3NDEKTSV4RRFFQ69G5FAV", "--json"];
    let missing = shell.cli.run(&missing).await;
    assert_eq!(missing.code, 3, "{missing:?}");
    let error: Value = serde_json::from_str(&missing.stderr).expect("errors are JSON under --json");
    assert!(error["error"]["code"].is_string(), "{error}");

    let refused = shell.cli.clone().with("TIDINGS_API_KEY", "tdk_not_one");
    assert_eq!(refused.run(&["webhook", "list"]).await.code, 4);
    let keyless = Cli::new()
        .with("TIDINGS_URL", shell.gateway.url().as_str())
        .with("TIDINGS_DATA_DIR", "/nowhere/at/all");
    assert_eq!(keyless.run(&["webhook", "list"]).await.code, 4);

    let nobody = format!("http://127.0.0.1:{}", testkit::gateway::free_port());
    let nobody = Cli::new()
        .with("TIDINGS_URL", nobody)
        .with("TIDINGS_API_KEY", "tdk_any");
    assert_eq!(nobody.run(&["webhook", "list"]).await.code, 5);

    let wrong = [
        "webhook",
        "verify",
        "--payload-file",
        "-",
        "--secret",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    ];
    let wrong = [&wrong[..], &["--signature", "0000"]].concat();
    assert_eq!(shell.cli.run_with_input(&wrong, "{}").await.code, 1);
}

async fn keys_open_what_their_scope_says(store: Store) {
    let shell = Shell::start(store).await;
    let key = shell
        .json(&["key", "create", "--name", "reader", "--scope", "read"])
        .await;
    let reader = shell.cli.clone().with("TIDINGS_API_KEY", text(&key, "key"));
    reader.run(&["webhook", "list"]).await.ok();
    let create = [
        "webhook",
        "create",
        "--url",
        "https://a.example/",
        "--triggers",
        "event.created",
        "--description",
        "x",
    ];
    assert_eq!(
        reader.run(&create).await.code,
        4,
        "managing webhooks needs the scope admin"
    );
    let listed = shell.json(&["key", "list"]).await;
    assert!(
        !listed.to_string().contains(text(&key, "key")),
        "a key is shown once"
    );
    shell.delete("key", text(&key, "id")).await.ok();
    assert_eq!(
        reader.run(&["webhook", "list"]).await.code,
        4,
        "a deleted key opens nothing"
    );
}

#[tokio::test]
async fn a_configuration_that_is_wrong_is_refused_with_its_place() {
    let settings = Settings::new().with("TIDINGS__EGRESS__ALOW", "[]");
    let mut gateway = Gateway::start_unready(&settings);
    assert!(gateway.line_or_end().await.is_none());
    assert_eq!(gateway.ended().await.code(), Some(2));
    let log = gateway.log();
    assert!(log.contains("TIDINGS__EGRESS__ALOW"), "{log}");
    assert!(
        log.contains("egress.allow"),
        "it says what was meant: {log}"
    );
}

#[tokio::test]
async fn a_local_receiver_verifies_before_it_prints() {
    let shell = Shell::start(Store::Sqlite).await;
    let connection = shell.connection(0).await;
    let subscription = shell.subscription(&connection).await;
    let port = testkit::gateway::free_port();
    let url = format!("http://127.0.0.1:{port}/");
    let create = [
        "webhook",
        "create",
        "--url",
        &url,
        "--triggers",
        "event.deleted",
        "--description",
        "here",
    ];
    let webhook = shell.json(&create).await;

    let mut command = Command::new(binary::tidings());
    command
        .args(["webhook", "server", "--port", &port.to_string(), "--json"])
        .args(["--secret", text(&webhook, "secret")]);
    let mut server = Process::start("the local receiver", command);
    let listening = server.json_line().await;
    assert_eq!(text(&listening, "url"), url);

    let tenant = &shell.emulator.tenants[0];
    let graph_id = text(&subscription, "graph_id");
    let subscribed = Subscribed {
        graph_id: graph_id.to_owned(),
        client_state: shell.emulator.client_state(tenant, graph_id).await,
        tenant_id: tenant.id.clone(),
        user_id: tenant.users[0].clone(),
    };
    let http = testkit::api::Http::new();
    let post = async |url: &str, body: Vec<u8>| {
        let headers = [("content-type", "application/json")];
        http.send("POST", url.parse().expect("a URL"), &headers, body)
            .await
            .status
    };
    let notification_url = text(&shell.integration, "notification_url");
    assert_eq!(
        post(
            notification_url,
            collection([subscribed.deleted("printed")])
        )
        .await,
        202
    );
    let line = server.json_line().await;
    assert_eq!(line["verified"], true, "{line}");
    assert_eq!(text(&line, "type"), "event.deleted");
    assert!(
        text(&line["event"], "subject").ends_with("/printed"),
        "{line}"
    );

    // What nobody signed is refused, and said to be.
    assert_eq!(post(&url, b"{}".to_vec()).await, 401);
    let line = server.json_line().await;
    assert_eq!(line["verified"], false, "{line}");
    assert_eq!(server.terminate().await.code(), Some(0));
}
