//! A gateway to measure: the real binary, connected to an emulated tenant, with a subscription.

use std::{net::SocketAddr, process::Stdio, sync::Arc, time::Duration};

use anyhow::Context;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::{Value, json};
use tempfile::TempDir;
use tidings_domain::{Clock, clock::SystemClock, shard::Shard};
use tidings_egress::{AddressPolicy, Egress, OnCap, Request};
use tokio::process::Command;
use url::Url;

use crate::{
    Settings,
    bodies::{Event, Subject},
    load::Target,
    nodes::Nodes,
    process::Process,
    sink::Sink,
};

/// A gateway and the emulator it is connected to.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) nodes: Nodes,
    emulator: Process,
    folder: TempDir,
    tidings: std::path::PathBuf,
    addresses: Vec<SocketAddr>,
    api_key: String,
    client: Egress,
    subscription: Value,
    notification_path: String,
    client_state: String,
    connection: String,
}

impl Gateway {
    /// Starts both, connects the first tenant and subscribes to its first user's events.
    pub(crate) async fn start(
        settings: &Settings,
        environment: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let folder = match &settings.data_dir {
            Some(parent) => tempfile::tempdir_in(parent)?,
            None => tempfile::tempdir()?,
        };
        let data_dir = folder.path().join("data");
        let emulator = Process::start(
            &settings.tidings,
            &["emulator", "--listen", "127.0.0.1:0", "--json"],
            &[],
        )
        .await?;
        let data = data_dir.to_str().context("a folder with a readable name")?;
        let (nodes, api_key) = Nodes::start(settings, data, variables(environment)).await?;
        let clock = Arc::new(SystemClock::new());
        let policy = AddressPolicy::new(vec!["127.0.0.0/8".parse()?]);
        let client = Egress::new(policy, Arc::clone(&clock) as Arc<dyn Clock>)?;
        let mut gateway = Self {
            addresses: nodes.addresses()?,
            nodes,
            emulator,
            folder,
            tidings: settings.tidings.clone(),
            api_key,
            client,
            subscription: Value::Null,
            notification_path: String::new(),
            client_state: String::new(),
            connection: String::new(),
        };
        gateway.wait_until_shared(&clock).await?;
        gateway.connect().await?;
        gateway.wait_until_all_know(&clock).await;
        Ok(gateway)
    }

    async fn connect(&mut self) -> anyhow::Result<()> {
        let emulator = self.emulator.hello.clone();
        let (url, tenant) = (text(&emulator, "url")?, text(&emulator, "tenant_id")?);
        let secret_file = self.folder.path().join("secret");
        std::fs::write(&secret_file, text(&emulator, "client_secret")?)?;
        let secret_file = secret_file
            .to_str()
            .context("a folder with a readable name")?;
        let integration = self
            .tidings(&[
                "integration",
                "create",
                "--key",
                "bench",
                "--client-id",
                text(&emulator, "client_id")?,
                "--client-secret-file",
                secret_file,
                "--login-url",
                url,
                "--graph-url",
                url,
            ])
            .await?;
        let connection = self
            .tidings(&[
                "connection",
                "create",
                "--integration",
                "bench",
                "--tenant-id",
                tenant,
            ])
            .await?;
        let resource = format!("users/{}/events", self.user()?);
        text(&connection, "id")?.clone_into(&mut self.connection);
        self.subscription = self
            .tidings(&[
                "subscription",
                "create",
                "--connection",
                &self.connection,
                "--resource",
                &resource,
                "--change-types",
                "created,updated,deleted",
            ])
            .await?;
        Url::parse(text(&integration, "notification_url")?)?
            .path()
            .clone_into(&mut self.notification_path);
        self.client_state = self.read_client_state().await?;
        Ok(())
    }

    /// Runs a command of the binary against this gateway and reads its answer.
    pub(crate) async fn tidings(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let output = Command::new(&self.tidings)
            .args(arguments)
            .arg("--json")
            .env("TIDINGS_URL", format!("http://{}", self.addresses[0]))
            .env("TIDINGS_API_KEY", &self.api_key)
            .stdin(Stdio::null())
            .output()
            .await?;
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        anyhow::ensure!(
            output.status.success(),
            "tidings {}: {out}{err}",
            arguments.join(" ")
        );
        Ok(serde_json::from_str(out.trim())?)
    }

    /// Registers a webhook for all calendar events; its id.
    pub(crate) async fn webhook(&self, sink: &Sink) -> anyhow::Result<String> {
        let url = format!("http://{}/hook", sink.address);
        let triggers = "event.created,event.updated,event.deleted";
        let webhook = self
            .tidings(&[
                "webhook",
                "create",
                "--url",
                &url,
                "--triggers",
                triggers,
                "--description",
                "bench",
            ])
            .await?;
        Ok(text(&webhook, "id")?.to_owned())
    }

    /// Where to send notifications of `change`, about events that exist nowhere.
    pub(crate) fn target(&self, change: &'static str, size: u64) -> anyhow::Result<Target> {
        let subject = Subject {
            subscription: text(&self.subscription, "graph_id")?.to_owned(),
            client_state: self.client_state.clone(),
            tenant: text(&self.emulator.hello, "tenant_id")?.to_owned(),
            user: self.user()?.to_owned(),
            change,
            events: Vec::new(),
        };
        Ok(Target {
            addresses: self.addresses.clone(),
            path: self.notification_path.clone(),
            subject,
            size,
        })
    }

    /// Creates `count` events in the watched calendar, before any webhook exists.
    pub(crate) async fn create_events(&self, count: usize) -> anyhow::Result<Vec<Event>> {
        let path = format!("v1.0/users/{}/events", self.user()?);
        let mut events = Vec::with_capacity(count);
        for number in 0..count {
            let body = json!({
                "subject": format!("Meeting {number}"),
                "start": { "dateTime": "2026-11-23T09:00:00.0000000", "timeZone": "UTC" },
                "end": { "dateTime": "2026-11-23T10:00:00.0000000", "timeZone": "UTC" },
                "body": { "contentType": "text", "content": "An agenda of some length. ".repeat(20) },
            });
            let answer = self.graph(Method::POST, &path, Some(&body)).await?;
            events.push(Event {
                id: text(&answer, "id")?.to_owned(),
                etag: text(&answer, "@odata.etag")?.to_owned(),
            });
        }
        Ok(events)
    }

    async fn read_client_state(&self) -> anyhow::Result<String> {
        let path = format!(
            "v1.0/subscriptions/{}",
            text(&self.subscription, "graph_id")?
        );
        Ok(text(&self.graph(Method::GET, &path, None).await?, "clientState")?.to_owned())
    }

    async fn graph(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let token = self.token().await?;
        let url = Url::parse(text(&self.emulator.hello, "url")?)?.join(path)?;
        let mut headers = HeaderMap::new();
        headers.insert(
            header::AUTHORIZATION,
            HeaderValue::from_str(&format!("Bearer {token}"))?,
        );
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        let body = body
            .map(|body| Bytes::from(body.to_string()))
            .unwrap_or_default();
        self.send(method, url, headers, body).await
    }

    async fn token(&self) -> anyhow::Result<String> {
        let hello = &self.emulator.hello;
        let url = Url::parse(text(hello, "url")?)?
            .join(&format!("{}/oauth2/v2.0/token", text(hello, "tenant_id")?))?;
        let form: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", text(hello, "client_id")?)
            .append_pair("client_secret", text(hello, "client_secret")?)
            .append_pair("scope", "https://graph.microsoft.com/.default")
            .append_pair("grant_type", "client_credentials")
            .finish();
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        let answer = self
            .send(Method::POST, url, headers, Bytes::from(form))
            .await?;
        Ok(text(&answer, "access_token")?.to_owned())
    }

    async fn send(
        &self,
        method: Method,
        url: Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> anyhow::Result<Value> {
        let deadline = Duration::from_secs(10);
        let request = Request {
            method,
            url,
            headers,
            body,
            deadline,
            answer_cap: 1 << 20,
            on_cap: OnCap::Fail,
        };
        let answer = self.client.send(request).await?;
        let text = String::from_utf8_lossy(&answer.body);
        anyhow::ensure!(
            answer.status.is_success(),
            "the emulator answered {}: {text}",
            answer.status
        );
        Ok(serde_json::from_slice(&answer.body)?)
    }

    fn user(&self) -> anyhow::Result<&str> {
        text(&self.emulator.hello["users"][0], "id")
    }

    /// Waits until every node has heard of what was changed through the first.
    pub(crate) async fn wait_until_all_know(&self, clock: &SystemClock) {
        if self.addresses.len() > 1 {
            // No node says what it knows; docs/operating.md promises that it is all after a second.
            clock.sleep(Duration::from_millis(1_500)).await;
        }
    }

    /// Waits until no accepted notification waits for enrich.
    pub(crate) async fn wait_until_enriched(&self, clock: &SystemClock) -> anyhow::Result<()> {
        for _ in 0..600 {
            if self.queued_notifications().await? == 0 {
                return Ok(());
            }
            clock.sleep(Duration::from_millis(500)).await;
        }
        anyhow::bail!("the notifications were not enriched within five minutes")
    }

    /// How many accepted notifications wait for enrich, on all nodes together.
    async fn queued_notifications(&self) -> anyhow::Result<u64> {
        self.metric(self.addresses[0], "tidings_store_queued_notifications ")
            .await
    }

    /// Waits until each node holds a share of the work, and all of it is held.
    async fn wait_until_shared(&self, clock: &SystemClock) -> anyhow::Result<()> {
        for _ in 0..600 {
            let mut held = Vec::new();
            for &address in &self.addresses {
                held.push(self.metric(address, "tidings_nodes_shards_held ").await?);
            }
            if held.iter().sum::<u64>() == u64::from(Shard::COUNT) && !held.contains(&0) {
                return Ok(());
            }
            clock.sleep(Duration::from_millis(100)).await;
        }
        anyhow::bail!("the nodes did not share the work within a minute")
    }

    /// What a node counts under a name, with its blank behind it.
    async fn metric(&self, address: SocketAddr, name: &str) -> anyhow::Result<u64> {
        let url = Url::parse(&format!("http://{address}/metrics"))?;
        let request = Request {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            deadline: Duration::from_secs(10),
            answer_cap: 1 << 20,
            on_cap: OnCap::Fail,
        };
        let answer = self.client.send(request).await?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        Ok(line
            .with_context(|| format!("{address} counts no {name}"))?
            .trim()
            .parse()?)
    }

    /// Where its SQLite store is.
    pub(crate) fn data_dir(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    /// Kills the gateways. Their store and the emulator stay.
    pub(crate) async fn kill(&mut self) -> anyhow::Result<()> {
        std::mem::take(&mut self.nodes).kill().await
    }

    /// Starts a gateway on the store of one that was killed.
    pub(crate) async fn start_again(
        &mut self,
        settings: &Settings,
        environment: &[(&str, &str)],
    ) -> anyhow::Result<()> {
        let data_dir = self.data_dir();
        let data = data_dir.to_str().context("a folder with a readable name")?;
        (self.nodes, self.api_key) = Nodes::start(settings, data, variables(environment)).await?;
        self.addresses = self.nodes.addresses()?;
        Ok(())
    }

    /// Ends both.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.nodes.kill().await?;
        self.emulator.kill().await
    }
}

/// The variables that a gateway on this machine needs, and others.
pub(crate) fn variables<'a>(others: &[(&'a str, &str)]) -> Vec<(&'a str, String)> {
    let loopback = r#"["127.0.0.0/8"]"#.to_owned();
    let mut variables = vec![
        ("TIDINGS__EGRESS__ALLOW", loopback.clone()),
        ("TIDINGS__EGRESS__ALLOW_GRAPH", loopback),
        ("TIDINGS__LOG__LEVEL", "warn".to_owned()),
        // Each notification is to lead to a delivery: they are counted.
        ("TIDINGS__ENRICH__COALESCE", "[]".to_owned()),
    ];
    variables.extend(
        others
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned())),
    );
    variables
}

fn text<'a>(value: &'a Value, name: &str) -> anyhow::Result<&'a str> {
    value[name]
        .as_str()
        .with_context(|| format!("no `{name}` in {value}"))
}
