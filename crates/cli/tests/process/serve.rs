//! `tidings serve` and `tidings emulator`: the first line, the files beside it, the end.

use std::{fs, path::Path};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::{fake_api::finish, run::tidings};

/// A program that serves, killed with the test.
struct Serving {
    child: Child,
    first: Value,
}

impl Serving {
    async fn start(folder: &Path, words: &[&str]) -> Self {
        let mut child = Command::from(tidings(folder, words, &[]))
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next_line().await.unwrap().unwrap();
        let first = serde_json::from_str(&first).unwrap();
        Self { child, first }
    }

    /// SIGTERM; the exit code.
    async fn terminate(mut self) -> Option<i32> {
        let pid = self.child.id().unwrap().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status().await;
        assert!(asked.unwrap().success());
        self.child.wait().await.unwrap().code()
    }
}

#[tokio::test]
async fn a_gateway_tells_where_it_is_and_its_client_finds_it_and_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let words = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        "data",
        "--json",
    ];
    let gateway = Serving::start(folder.path(), &words).await;
    let listening = gateway.first["listening"].as_str().unwrap();
    let environment = gateway.first["environment_id"].as_str().unwrap();
    let key_file = gateway.first["admin_key_file"].as_str().unwrap();
    assert!(Path::new(key_file).is_absolute());
    assert!(fs::read_to_string(key_file).unwrap().starts_with("tdk_"));

    let url = format!("http://{listening}");
    let client = |data_dir| {
        let words = [
            "environment",
            "list",
            "--json",
            "--url",
            &url,
            "--data-dir",
            data_dir,
        ];
        finish(tidings(folder.path(), &words, &[]))
    };
    let list = client("data").await;
    assert_eq!(list.code, 0, "{list:?}");
    assert_eq!(list.json()["data"][0]["id"], environment);
    let elsewhere = client("elsewhere").await;
    assert_eq!(elsewhere.code, 4, "{elsewhere:?}");

    assert_eq!(gateway.terminate().await, Some(0));
    let address = folder.path().join("data/server.addr");
    assert!(!address.exists(), "who listens there next gets no key");
}

#[tokio::test]
async fn an_address_in_use_is_told_before_the_first_line() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let words = ["serve", "--listen", &address, "--json"];
    let ran = finish(tidings(folder.path(), &words, &[])).await;
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.is_empty(), "{ran:?}");
    assert!(ran.error()["message"].to_string().contains(&address));
}

#[tokio::test]
async fn an_emulator_tells_two_tenants_with_one_app() {
    let folder = tempfile::tempdir().unwrap();
    let words = [
        "emulator",
        "--listen",
        "127.0.0.1:0",
        "--json",
        "--seed",
        "7",
    ];
    let emulator = Serving::start(folder.path(), &words).await;
    let first = &emulator.first;
    let other = &first["other_tenants"][0];
    for member in ["url", "client_id", "client_secret"] {
        assert!(first[member].is_string(), "{member}");
        assert_eq!(first[member], other[member], "{member}");
    }
    assert_ne!(first["tenant_id"], other["tenant_id"]);
    for tenant in [first, other] {
        assert!(tenant["users"][0]["id"].is_string());
        assert!(tenant["users"][0]["mail"].to_string().contains('@'));
    }
    assert_eq!(first["ca_file"], Value::Null);
    assert_eq!(emulator.terminate().await, Some(0));
}

#[tokio::test]
async fn an_emulator_plays_a_scenario_in_tenants_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scenario.json");
    let scenario = r#"{"tenants": 2, "mailboxes": 3, "daily": {"events": {"create": 24}}}"#;
    fs::write(&file, scenario).unwrap();
    let path = file.to_str().unwrap();
    let words = [
        "emulator",
        "--listen",
        "127.0.0.1:0",
        "--json",
        "--scenario",
    ];
    let words: Vec<&str> = words.into_iter().chain([path]).collect();
    let emulator = Serving::start(folder.path(), &words).await;
    let others = emulator.first["other_tenants"].as_array().unwrap();
    assert_eq!(others.len(), 3);
    assert_eq!(others[2]["users"].as_array().unwrap().len(), 3);
    assert_eq!(emulator.terminate().await, Some(0));

    fs::write(&file, r#"{"tenants": "many"}"#).unwrap();
    let ran = finish(tidings(folder.path(), &words, &[])).await;
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.error()["message"].to_string().contains(path));
}

#[tokio::test]
async fn an_emulator_over_tls_tells_its_authority() {
    let folder = tempfile::tempdir().unwrap();
    let words = ["emulator", "--listen", "127.0.0.1:0", "--json", "--tls"];
    let emulator = Serving::start(folder.path(), &words).await;
    assert!(
        emulator.first["url"]
            .as_str()
            .unwrap()
            .starts_with("https://127.0.0.1:")
    );
    let authority = fs::read_to_string(emulator.first["ca_file"].as_str().unwrap()).unwrap();
    assert!(authority.starts_with("-----BEGIN CERTIFICATE-----"));
}
