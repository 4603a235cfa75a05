//! Connections between two exchanges.

use std::{
    collections::{HashMap, VecDeque},
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tidings_domain::Clock;

use crate::{connection::Connection, target::Target};

/// How many connections are kept, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// How long an unused connection is kept.
    pub(crate) idle: Duration,
    /// How many unused ones to one target.
    pub(crate) per_target: usize,
    /// How many unused ones in all.
    pub(crate) in_all: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Longer than the pauses within a burst, shorter than most receivers wait before they close it themselves: a
            // connection that closes just as a request goes out costs an attempt.
            idle: Duration::from_secs(30),
            // As many as deliveries are under way by default, since many webhooks can be on one host.
            per_target: 256,
            // An open file each.
            in_all: 1_024,
        }
    }
}

/// How often the pool looks, while it is used, for connections that are too old or that others have closed.
const LOOK: Duration = Duration::from_secs(5);

/// Keeps unused connections. The last one in is the first out, so that after a burst the rest grows old.
pub(crate) struct Pool {
    clock: Arc<dyn Clock>,
    limits: Limits,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    by_target: HashMap<Target, VecDeque<Unused>>,
    count: usize,
    /// On the monotonic clock.
    looked_at: Duration,
}

struct Unused {
    connection: Connection,
    /// On the monotonic clock.
    since: Duration,
}

impl Pool {
    pub(crate) fn new(clock: Arc<dyn Clock>, limits: Limits) -> Self {
        Self {
            clock,
            limits,
            kept: Mutex::default(),
        }
    }

    /// A connection to `target` on which a request can be sent, if there is one.
    pub(crate) async fn take(&self, target: &Target) -> Option<Connection> {
        loop {
            let mut connection = self.take_any(target)?;
            if poll_fn(|context| Poll::Ready(connection.is_ready(context))).await {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection whose exchange is over, if it can be used again and there is room.
    pub(crate) fn put(&self, target: Target, mut connection: Connection) {
        if !connection.is_ready(&mut Context::from_waker(Waker::noop())) {
            return;
        }
        let now = self.clock.monotonic();
        let mut kept = self.kept();
        if now.saturating_sub(kept.looked_at) >= LOOK {
            kept.drop_useless(now, self.limits.idle);
        }
        if kept.count >= self.limits.in_all {
            return;
        }
        let unused = kept.by_target.entry(target).or_default();
        unused.push_back(Unused {
            connection,
            since: now,
        });
        if unused.len() > self.limits.per_target {
            unused.pop_front();
        } else {
            kept.count += 1;
        }
    }

    /// Closes what is too old, or was closed by others.
    pub(crate) fn tidy(&self) {
        let now = self.clock.monotonic();
        self.kept().drop_useless(now, self.limits.idle);
    }

    fn take_any(&self, target: &Target) -> Option<Connection> {
        let now = self.clock.monotonic();
        let mut kept = self.kept();
        let unused = kept.by_target.get_mut(target)?;
        let taken = unused.pop_back()?;
        if now.saturating_sub(taken.since) >= self.limits.idle {
            // The others have been here for longer.
            let others = kept.by_target.remove(target).map_or(0, |rest| rest.len());
            kept.count -= 1 + others;
            return None;
        }
        kept.count -= 1;
        Some(taken.connection)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn drop_useless(&mut self, now: Duration, idle: Duration) {
        self.looked_at = now;
        let mut context = Context::from_waker(Waker::noop());
        self.by_target.retain(|_, unused| {
            unused.retain_mut(|one| {
                now.saturating_sub(one.since) < idle && one.connection.is_ready(&mut context)
            });
            !unused.is_empty()
        });
        self.count = self.by_target.values().map(VecDeque::len).sum();
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Request;
    use http_body_util::Full;
    use tidings_domain::{Timestamp, clock::ManualClock};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
    use url::Url;

    use super::*;

    fn pool(per_target: usize, in_all: usize) -> (Pool, ManualClock) {
        let clock = ManualClock::new(Timestamp::from_millis(0));
        let limits = Limits {
            per_target,
            in_all,
            ..Limits::default()
        };
        (Pool::new(Arc::new(clock.clone()), limits), clock)
    }

    fn target(name: &str) -> Target {
        Target::of(&Url::parse(&format!("https://{name}.example/")).unwrap()).unwrap()
    }

    /// A connection after its first exchange.
    async fn used() -> (Connection, DuplexStream) {
        let (ours, mut peer) = tokio::io::duplex(1_024);
        let mut connection = Connection::open(ours).await.unwrap();
        let request = Request::get("/").body(Full::<Bytes>::default()).unwrap();
        let serve = async {
            let mut buffer = [0; 512];
            assert_ne!(peer.read(&mut buffer).await.unwrap(), 0);
            peer.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
                .await
                .unwrap();
        };
        let (sent, ()) = tokio::join!(connection.send(request), serve);
        drop(sent.ok().unwrap());
        (connection, peer)
    }

    fn count(pool: &Pool) -> usize {
        let kept = pool.kept();
        let counted = kept.by_target.values().map(VecDeque::len).sum();
        assert_eq!(kept.count, counted);
        counted
    }

    #[tokio::test]
    async fn it_keeps_no_more_than_its_limits() {
        let (pool, _) = pool(2, 3);
        let mut peers = Vec::new();
        for name in ["a", "a", "a", "b", "b", "c"] {
            let (connection, peer) = used().await;
            peers.push(peer);
            pool.put(target(name), connection);
        }
        assert_eq!(count(&pool), 3);
        assert!(pool.take(&target("a")).await.is_some());
        assert!(pool.take(&target("a")).await.is_some());
        assert!(pool.take(&target("a")).await.is_none());
        assert!(pool.take(&target("b")).await.is_some());
        assert_eq!(count(&pool), 0);
    }

    #[tokio::test]
    async fn what_is_old_or_closed_is_not_given_and_not_kept() {
        let (pool, clock) = pool(10, 10);
        let (open, _peer) = used().await;
        let (closed, peer) = used().await;
        pool.put(target("a"), open);
        pool.put(target("a"), closed);
        drop(peer);
        // The last one in is closed; the one below it is not.
        assert!(pool.take(&target("a")).await.is_some());
        assert_eq!(count(&pool), 0);

        let (first, _peer) = used().await;
        pool.put(target("a"), first);
        clock.advance(Limits::default().idle);
        assert!(pool.take(&target("a")).await.is_none());
        assert_eq!(count(&pool), 0);

        let mut peers = Vec::new();
        for name in ["a", "b", "c"] {
            let (connection, peer) = used().await;
            peers.push(peer);
            pool.put(target(name), connection);
        }
        peers.remove(1);
        clock.advance(LOOK);
        let (last, _peer) = used().await;
        pool.put(target("d"), last);
        assert_eq!(count(&pool), 3, "the use of one finds that another closed");
        drop(peers);
        pool.tidy();
        assert_eq!(count(&pool), 1);
    }

    #[tokio::test]
    async fn a_connection_within_an_exchange_is_not_kept() {
        let (pool, _) = pool(10, 10);
        let (mut connection, mut peer) = used().await;
        let request = Request::get("/").body(Full::<Bytes>::default()).unwrap();
        let serve = async {
            let mut buffer = [0; 512];
            assert_ne!(peer.read(&mut buffer).await.unwrap(), 0);
            peer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
                .await
                .unwrap();
        };
        let (sent, ()) = tokio::join!(connection.send(request), serve);
        let _response = sent.ok().unwrap();
        pool.put(target("a"), connection);
        assert_eq!(count(&pool), 0);
    }
}
