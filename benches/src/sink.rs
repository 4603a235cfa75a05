//! The receiver of deliveries: answers 200 and notes when which event came.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tidings_domain::{Clock, clock::SystemClock};
use tokio::{io::AsyncWriteExt, net::TcpListener, sync::Notify};
use tokio_util::task::TaskTracker;

use crate::http1::{Connection, find};

/// A receiver on a free port.
#[derive(Clone, Debug)]
pub(crate) struct Sink {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    clock: Arc<SystemClock>,
    count: AtomicU64,
    changed: Notify,
    /// When each subject arrived, if anybody wants to know.
    arrivals: Mutex<Option<HashMap<Vec<u8>, Duration>>>,
}

impl Sink {
    pub(crate) async fn start(clock: Arc<SystemClock>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            clock,
            count: AtomicU64::new(0),
            changed: Notify::new(),
            arrivals: Mutex::new(None),
        });
        let (tracker, shared) = (TaskTracker::new(), Arc::clone(&state));
        tracker.clone().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                tracker.spawn(async move {
                    let Ok(mut connection) = Connection::new(stream) else {
                        return;
                    };
                    while let Ok(Some(message)) = connection.read().await {
                        state.arrived(connection.body(&message));
                        connection.consume(&message);
                        if connection
                            .stream
                            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                            .await
                            .is_err()
                        {
                            return;
                        }
                    }
                });
            }
        });
        Ok(Self { address, state })
    }

    /// How many deliveries have come.
    pub(crate) fn count(&self) -> u64 {
        self.state.count.load(Ordering::Relaxed)
    }

    /// Waits until `count` deliveries have come, for at most `span`; how many there are then.
    pub(crate) async fn wait_for(&self, count: u64, span: Duration) -> u64 {
        let waiting = async {
            loop {
                let changed = self.state.changed.notified();
                if self.count() >= count {
                    return;
                }
                changed.await;
            }
        };
        // Running out of time shows in the count.
        let _ = tidings_domain::clock::within(self.state.clock.as_ref(), span, waiting).await;
        self.count()
    }

    /// Notes from now on when each event's subject arrives.
    pub(crate) fn note_arrivals(&self) {
        *self
            .state
            .arrivals
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(HashMap::new());
    }

    /// What was noted.
    pub(crate) fn arrivals(&self) -> HashMap<Vec<u8>, Duration> {
        self.state
            .arrivals
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .unwrap_or_default()
    }
}

impl State {
    fn arrived(&self, body: &[u8]) {
        if let Some(arrivals) = self
            .arrivals
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_mut()
            && let Some(subject) = subject(body)
        {
            arrivals
                .entry(subject.to_vec())
                .or_insert_with(|| self.clock.monotonic());
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_waiters();
    }
}

/// The event's id at the end of a body's `subject`.
fn subject(body: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = br#""subject":""#;
    let rest = &body[find(body, NAME)? + NAME.len()..];
    let subject = &rest[..rest.iter().position(|&byte| byte == b'"')?];
    subject.rsplit(|&byte| byte == b'/').next()
}
