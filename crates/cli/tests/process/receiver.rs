//! `tidings webhook server`.

use std::process::Stdio;

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use tidings_domain::Clock;
use tidings_domain::clock::SystemClock;
use tidings_egress::{AddressPolicy, Egress, OnCap, Request};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout},
};

use crate::run::tidings;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

struct Server {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    url: String,
}

impl Server {
    async fn start(words: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut all = vec!["webhook", "server", "--port", "0", "--json"];
        all.extend(words);
        let mut command = tidings(folder.path(), &all, &[("TIDINGS_WEBHOOK_SECRET", SECRET)]);
        command.stderr(Stdio::inherit());
        let mut child = tokio::process::Command::from(command)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first: Value =
            serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
        let url = format!("http://{}/hook", first["listening"].as_str().unwrap());
        Self { child, lines, url }
    }

    async fn next(&mut self) -> Value {
        serde_json::from_str(&self.lines.next_line().await.unwrap().unwrap()).unwrap()
    }

    async fn post(&self, body: &'static str, signature: Option<&str>) -> StatusCode {
        let now = SystemClock::new().now().as_seconds();
        let right = format!(
            "v1,{}",
            STANDARD.encode(tag(&format!("evt_1.{now}.{body}")))
        );
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("webhook-id", "evt_1"),
            ("webhook-timestamp", &now.to_string()),
            ("webhook-signature", signature.unwrap_or(&right)),
            ("x-tidings-attempt", "2"),
        ] {
            headers.insert(
                http::HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        let loopback = vec!["127.0.0.0/8".parse().unwrap()];
        let clock = std::sync::Arc::new(SystemClock::new());
        Egress::new(AddressPolicy::new(loopback), clock)
            .unwrap()
            .send(Request {
                method: Method::POST,
                url: self.url.parse().unwrap(),
                headers,
                body: body.into(),
                deadline: std::time::Duration::from_mins(1),
                answer_cap: 1024,
                on_cap: OnCap::Cut,
            })
            .await
            .unwrap()
            .status
    }
}

fn tag(text: &str) -> Vec<u8> {
    let key = STANDARD
        .decode(SECRET.strip_prefix("whsec_").unwrap())
        .unwrap();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &key);
    aws_lc_rs::hmac::sign(&key, text.as_bytes())
        .as_ref()
        .to_vec()
}

#[tokio::test]
async fn a_verified_delivery_is_printed_with_its_event() {
    let mut server = Server::start(&[]).await;
    let body = r#"{"type":"event.created","data":{"z":1,"a":2}}"#;
    assert_eq!(server.post(body, None).await, 200);
    let line = server.next().await;
    assert_eq!(line["verified"], true);
    assert_eq!(line["reason"], json!(null));
    assert_eq!(line["id"], "evt_1");
    assert_eq!(line["type"], "event.created");
    assert_eq!(line["attempt"], 2);
    assert_eq!(line["event"]["data"]["a"], 2);
}

#[tokio::test]
async fn a_wrong_signature_is_refused_and_nothing_of_the_body_is_shown() {
    let mut server = Server::start(&[]).await;
    let status = server
        .post(r#"{"type":"event.created"}"#, Some("v1,AAAA"))
        .await;
    assert_eq!(status, 401);
    let line = server.next().await;
    assert_eq!(line["verified"], false);
    assert!(
        line["reason"].to_string().contains("`webhook-signature`"),
        "{line}"
    );
    assert_eq!(
        (&line["event"], &line["type"]),
        (&json!(null), &json!(null))
    );
}

#[tokio::test]
async fn the_answer_can_be_another_status() {
    let mut server = Server::start(&["--status", "503"]).await;
    assert_eq!(server.post("{}", None).await, 503);
    assert_eq!(server.next().await["verified"], true);
}

#[tokio::test]
async fn it_stops_when_asked_to() {
    let mut server = Server::start(&[]).await;
    let pid = server.child.id().unwrap().to_string();
    let asked = tokio::process::Command::new("kill")
        .args(["-TERM", &pid])
        .status()
        .await
        .unwrap();
    assert!(asked.success());
    assert_eq!(server.child.wait().await.unwrap().code(), Some(0));
}
