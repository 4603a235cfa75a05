//! The signatures of a delivery, by the verdict of others.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
    sync::Arc,
};

use serde_json::json;
use testkit::{
    cli::Cli,
    receiver::{Delivery, Receiver},
    signature,
    store::Store,
    tool,
    world::World,
};

testkit::on_both_stores!(a_delivery_has_the_promised_headers_and_body,);

/// A real delivery with what it was signed with, and its body in a file.
struct Signed {
    delivery: Arc<Delivery>,
    secret: String,
    folder: tempfile::TempDir,
}

impl Signed {
    /// Of an event with text beyond ASCII, fetched from the emulator.
    async fn new(store: Store) -> Self {
        let world = World::start_on(store).await;
        let mut receiver = Receiver::start().await;
        let tenant = world.emulator.tenants[0].clone();
        world.connect_calendar(&tenant).await;
        let (_, secret) = world.webhook(&receiver.url(), &[]).await;
        let path = format!("/v1.0/users/{}/events", tenant.users[0]);
        let event = json!({
            "subject": "Größe & \"Maß\" \u{1f4c5} \\ 日本",
            "start": {"dateTime": "2036-01-15T09:00:00", "timeZone": "UTC"},
            "end": {"dateTime": "2036-01-15T09:30:00", "timeZone": "UTC"},
        });
        world.emulator.graph(&tenant, "POST", &path, event).await;
        let delivery = receiver.next().await;
        assert_eq!(
            delivery.event()["data"]["object"]["subject"],
            "Größe & \"Maß\" \u{1f4c5} \\ 日本"
        );
        let folder = tempfile::tempdir().expect("a temporary folder");
        let signed = Self {
            delivery,
            secret,
            folder,
        };
        fs::write(signed.body(), &signed.delivery.body).expect("a file");
        signed
    }

    fn body(&self) -> std::path::PathBuf {
        self.folder.path().join("body.json")
    }

    fn header(&self, name: &str) -> &str {
        let value = self.delivery.header(name);
        value.unwrap_or_else(|| panic!("no {name}"))
    }
}

fn said(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

async fn a_delivery_has_the_promised_headers_and_body(store: Store) {
    let signed = Signed::new(store).await;
    assert_eq!(signature::check(&signed.delivery, &signed.secret), Ok(()));
    assert_eq!(signed.header("content-type"), "application/json");
    assert!(signed.header("user-agent").starts_with("tidings/"));
    assert!(signed.header("webhook-id").starts_with("evt_"));
    assert_eq!(signed.delivery.attempt(), 1);

    let event = signed.delivery.event();
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["id"], signed.header("webhook-id"));
    assert_eq!(event["type"], "event.created");
    assert_eq!(event["datacontenttype"], "application/json");
    let data = &event["data"];
    let connection = data["connection_id"].as_str().expect("connection_id");
    let source = event["source"].as_str().expect("source");
    assert!(
        source.starts_with("/environments/")
            && source.ends_with(&format!("/connections/{connection}")),
        "{source}"
    );
    assert_eq!(data["change_type"], "created");
    assert_eq!(data["origin"], "notification");
    assert_eq!(data["object_state"], "fetched");
    let text = String::from_utf8_lossy(&signed.delivery.body).to_lowercase();
    assert!(!text.contains("clientstate"), "clientState never leaves");
}

#[tokio::test]
async fn openssl_agrees_with_the_plain_signature() {
    let Some(openssl) = tool::find("openssl") else {
        tool::skip("signatures", "openssl is missing");
        return;
    };
    let signed = Signed::new(Store::Sqlite).await;
    let output = Command::new(openssl)
        .args(["dgst", "-sha256", "-r", "-hmac", &signed.secret])
        .arg(signed.body())
        .output()
        .expect("openssl can be started");
    let said = said(&output);
    let digest = said.split_whitespace().next();
    assert_eq!(digest, Some(signed.header("x-tidings-signature")));
}

#[tokio::test]
async fn the_official_library_of_another_language_agrees() {
    let Some(python) = tool::python_with_standard_webhooks() else {
        tool::skip(
            "signatures",
            "the official Standard Webhooks library for Python is missing; `cargo xtask test` fetches it",
        );
        return;
    };
    let signed = Signed::new(Store::Sqlite).await;
    let verdict = |secret: &str, body: &Path, id: &str| {
        let script = "\
import sys
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
secret, body, id, timestamp, signature = sys.argv[1:]
headers = {'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature}
try:
    event = Webhook(secret).verify(open(body, 'rb').read(), headers)
    print('verified', event['type'])
except WebhookVerificationError as error:
    print('refused', error)
";
        let output = Command::new(&python)
            .args(["-c", script, secret])
            .arg(body)
            .args([
                id,
                signed.header("webhook-timestamp"),
                signed.header("webhook-signature"),
            ])
            .output()
            .expect("python can be started");
        said(&output).trim().to_owned()
    };
    let id = signed.header("webhook-id");
    assert_eq!(
        verdict(&signed.secret, &signed.body(), id),
        "verified event.created"
    );

    let changed = signed.folder.path().join("changed.json");
    let text = fs::read_to_string(signed.body()).expect("the body");
    fs::write(&changed, text.replace("event.created", "event.deleted")).expect("a file");
    assert!(verdict(&signed.secret, &changed, id).starts_with("refused"));
    assert!(verdict(&signed.secret, &signed.body(), "evt_other").starts_with("refused"));
    let other = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    assert!(verdict(other, &signed.body(), id).starts_with("refused"));
}

#[tokio::test]
async fn the_verify_command_agrees_and_says_what_is_wrong() {
    let signed = Signed::new(Store::Sqlite).await;
    let cli = Cli::new();
    let body = signed.body();
    let body = body.to_str().expect("UTF-8");
    let plain = signed.header("x-tidings-signature");
    let standard = [
        "--id",
        signed.header("webhook-id"),
        "--timestamp",
        signed.header("webhook-timestamp"),
        "--signature",
        signed.header("webhook-signature"),
    ];
    let verify = [
        "webhook",
        "verify",
        "--secret",
        &signed.secret,
        "--payload-file",
    ];

    let by_plain = [&verify[..], &[body, "--signature", plain]].concat();
    cli.run(&by_plain).await.ok();
    let by_standard = [&verify[..], &[body], &standard].concat();
    cli.run(&by_standard).await.ok();
    let text = String::from_utf8(signed.delivery.body.to_vec()).expect("JSON is UTF-8");
    let from_stdin = [&verify[..], &["-", "--signature", plain, "--json"]].concat();
    let said = cli.run_with_input(&from_stdin, &text).await.json();
    assert_eq!(said["verified"], true, "{said}");

    let reason = async |arguments: &[&str], input: &str| {
        let ended = cli.run_with_input(arguments, input).await;
        assert_eq!(ended.code, 1, "{ended:?}");
        format!("{}{}", ended.stdout, ended.stderr)
    };
    // A body that was parsed and written anew is the usual mistake.
    let again: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let pretty = serde_json::to_string_pretty(&again).expect("JSON");
    let why = reason(
        &[&verify[..], &["-", "--signature", plain]].concat(),
        &pretty,
    )
    .await;
    assert!(why.contains("body"), "{why}");
    let other = [
        "webhook",
        "verify",
        "--secret",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "--payload-file",
    ];
    let why = reason(&[&other[..], &[body, "--signature", plain]].concat(), "").await;
    assert!(why.contains("secret"), "{why}");
}
