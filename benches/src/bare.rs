//! The baselines: what the machine does when nothing is stored, retried or checked.

use std::{net::SocketAddr, str::FromStr, sync::Arc, time::Duration};

use axum::{Json, Router, extract::State, routing::post};
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use tidings_domain::{Clock, Secret, clock::SystemClock, ids::EventId};
use tidings_egress::{AddressPolicy, Egress, OnCap, Request};
use tidings_pipeline::signature::{self, SigningKey};
use tokio::{net::TcpListener, sync::mpsc, task::JoinSet};
use url::Url;

#[derive(Deserialize)]
struct Collection {
    value: Vec<Notification>,
}

/// What a plain receiver would read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "a bare receiver parses what it then ignores")]
struct Notification {
    id: Option<String>,
    subscription_id: String,
    client_state: Option<String>,
    change_type: String,
    resource: String,
    tenant_id: String,
    resource_data: Option<ResourceData>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "a bare receiver parses what it then ignores")]
struct ResourceData {
    #[serde(rename = "@odata.etag")]
    etag: Option<String>,
    id: String,
}

/// A server that parses a notification POST into structs and answers 202.
pub(crate) async fn server() -> anyhow::Result<()> {
    serve(Router::new().route(
        "/",
        post(|Json(_): Json<Collection>| async { StatusCode::ACCEPTED }),
    ))
    .await
}

/// The same, and a signed delivery of each notification from memory.
pub(crate) async fn pipeline(sink: SocketAddr) -> anyhow::Result<()> {
    let (sender, receiver) = mpsc::unbounded_channel::<Bytes>();
    let sending = Arc::new(tokio::sync::Mutex::new(receiver));
    let mut workers = JoinSet::new();
    let client = Client::new(sink)?;
    for _ in 0..WORKERS {
        let (client, sending) = (client.clone(), Arc::clone(&sending));
        workers.spawn(async move {
            loop {
                let next = sending.lock().await.recv().await;
                let Some(body) = next else { return };
                // A lost delivery shows in the sink's count.
                let _ = client.send(body).await;
            }
        });
    }
    let receive = |State(sender): State<mpsc::UnboundedSender<Bytes>>,
                   Json(collection): Json<Collection>| async move {
        for notification in collection.value {
            let body = format!(
                concat!(
                    r#"{{"specversion":"1.0","id":"evt_01K0000000000000000000000","type":"event.deleted","#,
                    r#""source":"/environments/6f0c1a52-7d0e-4c55-9b5e-0a4c7a1d2e3f/connections/conn_01K0000000000000000000000","#,
                    r#""subject":"{subject}","time":"2026-11-22T10:00:00.000Z","datacontenttype":"application/json","#,
                    r#""data":{{"tenant_id":"{tenant}","change_type":"{change}","object":null,"object_state":"deleted"}}}}"#
                ),
                subject = notification.resource,
                tenant = notification.tenant_id,
                change = notification.change_type,
            );
            // The receiver lives as long as the server.
            let _ = sender.send(Bytes::from(body));
        }
        StatusCode::ACCEPTED
    };
    serve(Router::new().route("/", post(receive)).with_state(sender)).await
}

/// As many as the gateway sends to one webhook at one time by default.
const WORKERS: usize = 8;

/// Signs and sends `count` bodies, `concurrency` at a time, and prints how long it took.
pub(crate) async fn client(sink: SocketAddr, count: u64, concurrency: usize) -> anyhow::Result<()> {
    let clock = SystemClock::new();
    let client = Client::new(sink)?;
    let body = Bytes::from(vec![b'x'; 900]);
    let started = clock.monotonic();
    let left = Arc::new(std::sync::atomic::AtomicU64::new(count));
    let mut workers = JoinSet::new();
    for _ in 0..concurrency {
        let (client, left, body) = (client.clone(), Arc::clone(&left), body.clone());
        workers.spawn(async move {
            use std::sync::atomic::Ordering::Relaxed;
            while left
                .fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1))
                .is_ok()
            {
                client.send(body.clone()).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker??;
    }
    print_line(
        &serde_json::json!({ "seconds": clock.monotonic().saturating_sub(started).as_secs_f64() }),
    );
    Ok(())
}

/// The same signing client as the gateway's, with nothing around it.
#[derive(Clone)]
struct Client {
    egress: Egress,
    url: Url,
    key: Arc<SigningKey>,
    clock: Arc<SystemClock>,
}

impl Client {
    fn new(sink: SocketAddr) -> anyhow::Result<Self> {
        let clock = Arc::new(SystemClock::new());
        let egress = Egress::new(
            AddressPolicy::new(vec!["127.0.0.0/8".parse()?]),
            Arc::clone(&clock) as Arc<dyn Clock>,
        )?;
        let key = SigningKey::new(&Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))?;
        Ok(Self {
            egress,
            url: Url::parse(&format!("http://{sink}/hook"))?,
            key: Arc::new(key),
            clock,
        })
    }

    async fn send(&self, body: Bytes) -> anyhow::Result<()> {
        let mut headers = http::HeaderMap::new();
        headers.insert(
            http::header::CONTENT_TYPE,
            http::HeaderValue::from_static("application/json"),
        );
        let event = EventId::from_str("evt_01K00000000000000000000000")?;
        let signatures = self.key.sign(event, self.clock.now(), &body);
        headers.insert(signature::ID, signatures.id);
        headers.insert(signature::TIMESTAMP, signatures.timestamp);
        headers.insert(signature::STANDARD_SIGNATURE, signatures.standard);
        headers.insert(signature::PLAIN_SIGNATURE, signatures.plain);
        let request = Request {
            method: http::Method::POST,
            url: self.url.clone(),
            headers,
            body,
            deadline: Duration::from_secs(15),
            answer_cap: 16 * 1_024,
            on_cap: OnCap::Cut,
        };
        self.egress.send(request).await?;
        Ok(())
    }
}

async fn serve(router: Router) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    print_line(&serde_json::json!({ "listening": listener.local_addr()?.to_string() }));
    let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
        // Without it the measurement would be one of Nagle's algorithm.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router).await?;
    Ok(())
}

#[expect(
    clippy::print_stdout,
    reason = "the line that the starting process reads"
)]
fn print_line(line: &serde_json::Value) {
    println!("{line}");
}
