//! A receiver of deliveries: what an app would run, for `tidings webhook server` and `tidings demo`.
//!
//! It verifies each delivery by both signatures ([`verify`]) before anybody sees it, and answers 401 where one is wrong.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;
use tidings_domain::{Clock, Secret, Timestamp};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::sync::CancellationToken;

mod print;
pub mod verify;

pub use print::print;

use verify::{Scheme, Wrong};

/// Larger than any event that the gateway makes by default.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;
/// Arrivals that wait to be printed; when it is full, senders wait for their answer.
const QUEUE: usize = 1024;

/// One delivery as it arrived.
#[derive(Debug)]
pub struct Arrival {
    /// When it had been read.
    pub received_at: Timestamp,
    /// Whether it is signed with our secret; if not, nothing in it is to be believed.
    pub verdict: Result<Vec<Scheme>, Wrong>,
    /// The event's id, from the header `webhook-id`.
    pub id: Option<String>,
    /// Which attempt it says it is.
    pub attempt: Option<u32>,
    /// The event, if the delivery is verified and its body is JSON.
    pub event: Option<Box<RawValue>>,
    /// The event's type, such as `event.created`.
    pub kind: Option<String>,
    /// How long the body was.
    pub bytes: usize,
}

/// A receiver that listens.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    listener: TcpListener,
    app: Arc<App>,
}

#[derive(Debug)]
struct App {
    clock: Arc<dyn Clock>,
    secret: OnceLock<Secret>,
    status: StatusCode,
    arrivals: mpsc::Sender<Arrival>,
}

impl Receiver {
    /// Listens at `address`. Verified deliveries are answered with `status`; all arrive at the channel.
    pub async fn bind(
        address: SocketAddr,
        status: StatusCode,
        clock: Arc<dyn Clock>,
    ) -> std::io::Result<(Self, mpsc::Receiver<Arrival>)> {
        let listener = TcpListener::bind(address).await?;
        let (arrivals, queue) = mpsc::channel(QUEUE);
        let receiver = Self {
            address: listener.local_addr()?,
            listener,
            app: Arc::new(App {
                clock,
                secret: OnceLock::new(),
                status,
                arrivals,
            }),
        };
        Ok((receiver, queue))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A way to set the secret, which may be known only after the webhook was registered. Until then every delivery is
    /// answered 503, so that it comes again.
    pub fn secret_slot(&self) -> SecretSlot {
        SecretSlot(Arc::clone(&self.app))
    }

    /// Receives until `stop`.
    pub async fn run(self, stop: CancellationToken) -> std::io::Result<()> {
        let router = Router::new()
            .fallback(receive)
            .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
            .with_state(self.app);
        axum::serve(self.listener, router)
            .with_graceful_shutdown(async move { stop.cancelled().await })
            .await
    }
}

/// Sets a receiver's secret, once.
#[derive(Clone, Debug)]
pub struct SecretSlot(Arc<App>);

impl SecretSlot {
    /// Verifies with `secret` from now on; a second call changes nothing.
    pub fn set(&self, secret: Secret) {
        // The only error is that it was set before.
        let _ = self.0.secret.set(secret);
    }
}

async fn receive(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let Some(secret) = app.secret.get() else {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "not ready yet\n".to_owned(),
        );
    };
    let received_at = app.clock.now();
    let verdict = verify::verify(secret, &headers, &body, Some(received_at));
    let answer = match &verdict {
        Ok(_) => (app.status, String::new()),
        Err(wrong) => (StatusCode::UNAUTHORIZED, format!("{wrong}\n")),
    };
    let arrival = arrival(received_at, verdict, &headers, &body);
    if app.arrivals.send(arrival).await.is_err() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n".to_owned());
    }
    answer
}

fn arrival(
    received_at: Timestamp,
    verdict: Result<Vec<Scheme>, Wrong>,
    headers: &HeaderMap,
    body: &Bytes,
) -> Arrival {
    #[derive(Deserialize)]
    struct Head {
        r#type: String,
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let event = match &verdict {
        Ok(_) => serde_json::from_slice::<Box<RawValue>>(body).ok(),
        Err(_) => None,
    };
    let kind = event
        .as_deref()
        .and_then(|event| serde_json::from_str::<Head>(event.get()).ok())
        .map(|head| head.r#type);
    Arrival {
        received_at,
        verdict,
        id: text("webhook-id").map(str::to_owned),
        attempt: text("x-tidings-attempt").and_then(|number| number.parse().ok()),
        event,
        kind,
        bytes: body.len(),
    }
}
