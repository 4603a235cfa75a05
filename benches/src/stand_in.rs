//! What stands in for Graph where only renewals are asked for: it grants every token, and says yes to every PATCH.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::{patch, post},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tidings_domain::{Clock, clock::SystemClock};
use tokio::{net::TcpListener, sync::Notify};
use tokio_util::task::TaskTracker;

/// A stand-in on a free port.
#[derive(Clone, Debug)]
pub(crate) struct StandIn {
    pub(crate) address: SocketAddr,
    counts: Arc<Counts>,
}

#[derive(Debug)]
struct Counts {
    clock: Arc<SystemClock>,
    renewed: AtomicU64,
    calls: AtomicU64,
    changed: Notify,
    /// When the first renewal came, and the last.
    span: Mutex<Option<(Duration, Duration)>>,
}

#[derive(Deserialize)]
struct Batch {
    requests: Vec<Request>,
}

#[derive(Deserialize)]
struct Request {
    id: String,
    url: String,
    body: Value,
}

impl StandIn {
    pub(crate) async fn start(clock: Arc<SystemClock>) -> anyhow::Result<Self> {
        let counts = Arc::new(Counts {
            clock,
            renewed: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            changed: Notify::new(),
            span: Mutex::new(None),
        });
        let token = || async {
            Json(json!({ "token_type": "Bearer", "expires_in": 3_600, "access_token": "t" }))
        };
        let router = Router::new()
            .route("/{tenant}/oauth2/v2.0/token", post(token))
            .route("/v1.0/subscriptions/{id}", patch(renew))
            .route("/v1.0/$batch", post(renew_all))
            .with_state(Arc::clone(&counts));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
            // Without it the measurement would be one of Nagle's algorithm.
            let _ = stream.set_nodelay(true);
        });
        TaskTracker::new().spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, counts })
    }

    /// How many renewals there were.
    pub(crate) fn renewed(&self) -> u64 {
        self.counts.renewed.load(Ordering::Relaxed)
    }

    /// In how many calls.
    pub(crate) fn calls(&self) -> u64 {
        self.counts.calls.load(Ordering::Relaxed)
    }

    /// Waits until there were so many renewals, for at most `span`; how many there were then.
    pub(crate) async fn wait_for(&self, count: u64, span: Duration) -> u64 {
        let waiting = async {
            loop {
                let changed = self.counts.changed.notified();
                if self.renewed() >= count {
                    return;
                }
                changed.await;
            }
        };
        // Running out of time shows in the count.
        let _ = tidings_domain::clock::within(self.counts.clock.as_ref(), span, waiting).await;
        self.renewed()
    }

    /// The time from the first renewal to the last.
    pub(crate) fn took(&self) -> Duration {
        let span = self.counts.span.lock();
        let span = *span.unwrap_or_else(PoisonError::into_inner);
        span.map_or(Duration::ZERO, |(first, last)| last.saturating_sub(first))
    }
}

impl Counts {
    fn note(&self, renewed: u64) {
        let now = self.clock.monotonic();
        let mut span = self.span.lock().unwrap_or_else(PoisonError::into_inner);
        *span = Some((span.map_or(now, |(first, _)| first), now));
        drop(span);
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.renewed.fetch_add(renewed, Ordering::Relaxed);
        self.changed.notify_waiters();
    }
}

async fn renew(
    State(counts): State<Arc<Counts>>,
    Path(id): Path<String>,
    Json(body): Json<Value>,
) -> Json<Value> {
    counts.note(1);
    Json(renewed(&id, &body))
}

async fn renew_all(State(counts): State<Arc<Counts>>, Json(batch): Json<Batch>) -> Json<Value> {
    counts.note(batch.requests.len() as u64);
    let answer = |request: &Request| {
        let id = request.url.rsplit('/').next().unwrap_or_default();
        let headers = json!({ "Content-Type": "application/json" });
        json!({ "id": request.id, "status": 200, "headers": headers, "body": renewed(id, &request.body) })
    };
    let responses: Vec<Value> = batch.requests.iter().map(answer).collect();
    Json(json!({ "responses": responses }))
}

fn renewed(id: &str, body: &Value) -> Value {
    json!({
        "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#subscriptions/$entity",
        "id": id, "resource": "users/5f1b/events", "changeType": "created,updated,deleted",
        "applicationId": "8f3c3a5e-0001-4000-8000-000000000001",
        "expirationDateTime": body["expirationDateTime"],
    })
}
