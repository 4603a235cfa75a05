//! Ends connections that make no progress: slow heads, answers nobody reads, idleness without end.
//!
//! It watches the bytes that pass, which costs two atomic operations a request; one timer a connection looks at what
//! they left behind. (hyper's own limit for heads makes a timer for every request and closes idle connections by it.)

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use hyper::rt::{Read, ReadBufCursor, Write};
use tidings_domain::Clock;
use tokio::sync::Semaphore;

/// How long a connection may rest between requests, and how long a request may go without a byte passing. Longer than
/// any answer takes: a call to Graph may take 45 s.
const QUIET: Duration = Duration::from_mins(2);

/// Nothing is asked.
const IDLE: u64 = 0;
/// A request's head is coming.
const HEAD: u64 = 1;
/// A request is being answered.
const BUSY: u64 = 2;
/// How many bits hold one of the three.
const PHASE_BITS: u32 = 2;

/// What a connection is doing, and since when.
#[derive(Debug)]
pub(super) struct Watch {
    clock: Arc<dyn Clock>,
    /// Milliseconds of monotonic time above the phase's bits. In `HEAD` since it began, else since a byte passed.
    state: AtomicU64,
}

impl Watch {
    /// A connection that was just opened owes us a head.
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let this = Self {
            clock,
            state: AtomicU64::new(0),
        };
        this.set(HEAD);
        this
    }

    /// The head is read; until the guard goes, a request is being answered.
    pub(super) fn busy(&self) -> BusyGuard<'_> {
        self.set(BUSY);
        BusyGuard(self)
    }

    /// Ends when the connection has made no progress for too long. While `open` has no more places, resting counts as
    /// little as a slow head: others are waiting.
    pub(super) async fn stalled(&self, header_timeout: Duration, open: &Semaphore) {
        loop {
            let state = self.state.load(Ordering::Relaxed);
            let since = Duration::from_millis(state >> PHASE_BITS);
            let limit = match state & ((1 << PHASE_BITS) - 1) {
                HEAD => header_timeout,
                IDLE if open.available_permits() == 0 => header_timeout,
                _ => QUIET,
            };
            let passed = self.clock.monotonic().saturating_sub(since);
            let Some(left) = limit.checked_sub(passed).filter(|left| !left.is_zero()) else {
                return;
            };
            // A head that begins meanwhile is found before its time is over.
            self.clock.sleep(left.min(header_timeout)).await;
        }
    }

    fn set(&self, phase: u64) {
        let now = u64::try_from(self.clock.monotonic().as_millis()).unwrap_or(0);
        self.state
            .store(now << PHASE_BITS | phase, Ordering::Relaxed);
    }

    fn received(&self) {
        match self.phase() {
            IDLE => self.set(HEAD),
            BUSY => self.set(BUSY),
            _ => {}
        }
    }

    fn sent(&self) {
        match self.phase() {
            HEAD => {}
            phase => self.set(phase),
        }
    }

    fn phase(&self) -> u64 {
        self.state.load(Ordering::Relaxed) & ((1 << PHASE_BITS) - 1)
    }
}

/// A request is being answered while this lives.
pub(super) struct BusyGuard<'a>(&'a Watch);

impl Drop for BusyGuard<'_> {
    fn drop(&mut self) {
        self.0.set(IDLE);
    }
}

/// A connection whose bytes are watched.
pub(super) struct Watched<I> {
    inner: I,
    watch: Arc<Watch>,
}

impl<I> Watched<I> {
    pub(super) fn new(inner: I, watch: Arc<Watch>) -> Self {
        Self { inner, watch }
    }
}

impl<I: Read + Unpin> Read for Watched<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.inner).poll_read(context, buffer);
        if let Poll::Ready(Ok(())) = read {
            self.watch.received();
        }
        read
    }
}

impl<I: Write + Unpin> Write for Watched<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        if let Poll::Ready(Ok(_)) = written {
            self.watch.sent();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(context, bytes);
        if let Poll::Ready(Ok(_)) = written {
            self.watch.sent();
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use tidings_domain::{Timestamp, clock::ManualClock};

    use super::*;

    const HEADER: Duration = Duration::from_secs(8);

    fn watch() -> (ManualClock, Watch) {
        let clock = ManualClock::new(Timestamp::from_millis(0));
        let watch = Watch::new(Arc::new(clock.clone()));
        (clock, watch)
    }

    /// Whether `watch` counts as stalled now; a loop that waits is driven by the clock's advances alone.
    async fn stalled(watch: &Watch, open: &Semaphore) -> bool {
        let mut stalled = pin!(watch.stalled(HEADER, open));
        std::future::poll_fn(|context| Poll::Ready(stalled.as_mut().poll(context).is_ready())).await
    }

    #[tokio::test]
    async fn a_head_has_its_time_however_many_bytes_trickle_in() {
        let (clock, watch) = watch();
        let open = Semaphore::new(1);
        for _ in 0..7 {
            clock.advance(Duration::from_secs(1));
            watch.received();
            assert!(!stalled(&watch, &open).await);
        }
        clock.advance(Duration::from_secs(1));
        watch.received();
        assert!(stalled(&watch, &open).await);
    }

    #[tokio::test]
    async fn rest_is_allowed_for_long_but_shorter_while_others_wait() {
        let (clock, watch) = watch();
        drop(watch.busy());
        let (open, full) = (Semaphore::new(1), Semaphore::new(0));
        clock.advance(HEADER);
        assert!(!stalled(&watch, &open).await);
        assert!(stalled(&watch, &full).await);
        clock.advance(QUIET);
        assert!(stalled(&watch, &open).await);
    }

    #[tokio::test]
    async fn an_answer_that_nobody_reads_ends_and_one_that_flows_does_not() {
        let (clock, watch) = watch();
        let open = Semaphore::new(1);
        let _busy = watch.busy();
        for _ in 0..5 {
            clock.advance(QUIET / 2);
            watch.sent();
            assert!(!stalled(&watch, &open).await);
        }
        clock.advance(QUIET);
        assert!(stalled(&watch, &open).await);
    }
}
