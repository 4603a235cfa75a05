//! The client commands against an API.

use serde_json::json;

use crate::{
    fake_api::{FakeApi, finish},
    run::{run, tidings},
};

fn problem(code: &str) -> String {
    json!({"type": "about:blank", "title": "Title", "status": 0, "code": code, "detail": "What is wrong."})
        .to_string()
}

#[tokio::test]
async fn exit_codes_follow_the_answer() {
    for (status, code) in [
        (400, 1),
        (401, 4),
        (403, 4),
        (404, 3),
        (409, 1),
        (500, 1),
        (503, 1),
    ] {
        let api = FakeApi::answering(status, &problem("some_code")).await;
        let ran = api.run(&["webhook", "show", "whk_1", "--json"]).await;
        assert_eq!(ran.code, code, "{status} {ran:?}");
        assert_eq!(ran.error()["code"], "some_code");
        assert_eq!(ran.error()["message"], "What is wrong.");
        assert!(ran.stdout.is_empty(), "{ran:?}");
    }
}

#[tokio::test]
async fn for_people_an_error_is_a_line_and_a_hint() {
    let api = FakeApi::answering(401, &problem("unauthorized")).await;
    let ran = api.run(&["event", "list"]).await;
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{ran:?}");
    assert_eq!(lines[0], "error: What is wrong.");
    assert!(lines[1].starts_with("hint: check the API key"), "{ran:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_5() {
    // Bound and closed again, so that nobody listens there.
    let address = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("http://{address}");
    let ran = run(
        &["event", "list", "--json"],
        &[("TIDINGS_URL", &url), ("TIDINGS_API_KEY", "tdk_test")],
    );
    assert_eq!(ran.code, 5, "{ran:?}");
    assert_eq!(ran.error()["code"], "unreachable");
    // Also where no key is found: a server that was stopped leaves no address beside its key.
    let ran = run(&["event", "list", "--json"], &[("TIDINGS_URL", &url)]);
    assert_eq!(ran.code, 5, "{ran:?}");
}

#[tokio::test]
async fn without_a_key_nothing_is_asked_but_whether_a_server_is_there() {
    let api = FakeApi::answering(200, "{}").await;
    let folder = tempfile::tempdir().unwrap();
    let url = api.url();
    let ran = finish(tidings(
        folder.path(),
        &["event", "list"],
        &[("TIDINGS_URL", &url)],
    ))
    .await;
    assert_eq!(ran.code, 4, "{ran:?}");
    let asked = api.only_request();
    assert_eq!(asked.target, "/healthz");
    assert_eq!(asked.header("authorization"), None);
}

#[tokio::test]
async fn the_key_of_a_server_on_this_machine_is_found_in_its_folder() {
    let api = FakeApi::answering(200, r#"{"data":[],"next_cursor":null}"#).await;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("tidings-data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("admin.key"), "tdk_beside\n").unwrap();
    std::fs::write(data.join("server.addr"), api.address.to_string()).unwrap();

    let url = api.url();
    let ran = finish(tidings(
        folder.path(),
        &["event", "list", "--url", &url],
        &[],
    ))
    .await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(
        api.only_request().header("authorization"),
        Some("Bearer tdk_beside")
    );
}

#[tokio::test]
async fn lists_pass_json_on_as_it_came() {
    let body = r#"{"data":[{"verdict":"accepted","id":"ntf_1"}],"next_cursor":"abc"}"#;
    let api = FakeApi::answering(200, body).await;
    let ran = api
        .run(&[
            "notification",
            "list",
            "--limit",
            "7",
            "--cursor",
            "a b",
            "--verdict",
            "accepted",
            "--json",
        ])
        .await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.stdout, format!("{body}\n"));
    let asked = api.only_request();
    assert_eq!(asked.method, "GET");
    assert_eq!(
        asked.target,
        "/v1/notifications?verdict=accepted&limit=7&cursor=a+b"
    );
}

#[tokio::test]
async fn lists_are_tables_for_people() {
    let body = r#"{"data":[{"id":"ntf_1","received_at":"2026-11-22T10:00:00.123Z","verdict":"wrong_tenant",
        "change_type":null,"resource":"users/\u001b[2Jx"}],"next_cursor":"abc"}"#;
    let api = FakeApi::answering(200, body).await;
    let ran = api.run(&["notification", "list"]).await;
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{ran:?}");
    assert!(
        lines[0].starts_with("ID    RECEIVED (UTC)      VERDICT"),
        "{ran:?}"
    );
    assert!(
        lines[1].starts_with("ntf_1 2026-11-22T10:00:00 wrong_tenant -"),
        "{ran:?}"
    );
    assert!(!ran.stdout.contains('\u{1b}'), "{ran:?}");
    assert!(ran.stderr.contains("--cursor abc"), "{ran:?}");
}

#[tokio::test]
async fn an_integration_is_created_with_the_secret_of_a_file() {
    let api = FakeApi::answering(201, r#"{"key":"ms","webhook_secret":"shh"}"#).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret.txt");
    std::fs::write(&file, "s3cret\n").unwrap();
    let ran = api
        .run(&[
            "integration",
            "create",
            "--key",
            "ms",
            "--client-id",
            "app",
            "--client-secret-file",
            file.to_str().unwrap(),
            "--login-url",
            "http://127.0.0.1:9/",
            "--graph-url",
            "http://127.0.0.1:9/",
            "--json",
        ])
        .await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.json()["webhook_secret"], "shh");
    let asked = api.only_request();
    assert_eq!(asked.target, "/v1/integrations");
    assert_eq!(
        asked.json(),
        json!({"key": "ms", "client_id": "app", "client_secret": "s3cret",
               "login_url": "http://127.0.0.1:9/", "graph_url": "http://127.0.0.1:9/"})
    );
}

#[tokio::test]
async fn a_webhook_is_created_at_its_own_url() {
    let api = FakeApi::answering(201, r#"{"id":"whk_1","secret":"whsec_x"}"#).await;
    let ran = api
        .run(&[
            "webhook",
            "create",
            "--url",
            "https://app.example/hook",
            "--triggers",
            "event.created,event.deleted",
            "--triggers",
            "message.created",
            "--connection",
            "conn_1",
            "--connection",
            "conn_2",
            "--description",
            "D",
            "--json",
        ])
        .await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(
        api.only_request().json(),
        json!({"url": "https://app.example/hook", "description": "D",
               "triggers": ["event.created", "event.deleted", "message.created"],
               "connections": ["conn_1", "conn_2"]})
    );
}

#[tokio::test]
async fn updates_send_only_what_changes() {
    let api = FakeApi::answering(200, r#"{"id":"whk_1"}"#).await;
    let ran = api
        .run(&[
            "webhook",
            "update",
            "whk_1",
            "--all-connections",
            "--description",
            "",
        ])
        .await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let asked = api.only_request();
    assert_eq!(
        (asked.method.as_str(), asked.target.as_str()),
        ("PATCH", "/v1/webhooks/whk_1")
    );
    assert_eq!(asked.json(), json!({"connections": [], "description": ""}));
}

#[tokio::test]
async fn a_subscription_that_graph_refuses_is_shown_and_fails() {
    let api = FakeApi::answering(
        201,
        r#"{"id":"sub_1","state":"failed","last_error":"permission missing"}"#,
    )
    .await;
    let ran = api
        .run(&[
            "subscription",
            "create",
            "--connection",
            "conn_1",
            "--resource",
            "users/1/events",
            "--change-types",
            "deleted,created",
            "--json",
        ])
        .await;
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(ran.json()["id"], "sub_1");
    assert_eq!(ran.error()["code"], "subscription_failed");
    assert_eq!(
        api.only_request().json(),
        json!({"connection_id": "conn_1", "resource": "users/1/events", "change_types": ["created", "deleted"]})
    );
}

#[tokio::test]
async fn deleting_says_what_went() {
    let api = FakeApi::answering(204, "").await;
    let ran = api
        .run(&["connection", "delete", "conn_1", "--yes", "--json"])
        .await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.json(), json!({"id": "conn_1", "deleted": true}));
    assert_eq!(api.only_request().method, "DELETE");
}

#[tokio::test]
async fn an_id_cannot_lead_to_another_path() {
    let api = FakeApi::answering(200, "{}").await;
    assert_eq!(api.run(&["webhook", "show", ".."]).await.code, 2);
    assert!(!api.was_asked());
    api.run(&["webhook", "show", "a/../b?c"]).await;
    assert_eq!(api.only_request().target, "/v1/webhooks/a%2F..%2Fb%3Fc");
}

#[tokio::test]
async fn the_environment_is_chosen_by_a_header() {
    let api = FakeApi::answering(200, r#"{"data":[],"next_cursor":null}"#).await;
    api.run(&["webhook", "list", "--environment", "6f0c"]).await;
    assert_eq!(
        api.only_request().header("tidings-environment"),
        Some("6f0c")
    );
}
