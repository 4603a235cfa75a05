//! Reads bodies within a time and a size.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tidings_domain::{Clock, clock};

/// This much of any body is always taken; what is beyond comes out of the [`Budget`].
const FREE: usize = 64 * 1024;
/// How much of all bodies together may be in memory beyond that.
const BUDGET: usize = 64 * 1024 * 1024;
/// How much of a body that is too large is read and thrown away, as a multiple of the limit: most senders read the
/// answer only when they have sent everything.
const DISCARD: usize = 4;

/// A limit on the bytes of all bodies that are in memory at one time.
#[derive(Debug, Default)]
pub(crate) struct Budget(AtomicUsize);

/// What one body takes of the [`Budget`].
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    taken: usize,
}

/// A body that was read, and its share of the budget: kept until it has been dealt with.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) bytes: Bytes,
    _share: Share,
}

/// Why a body was not read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It broke off, or is no HTTP body.
    Broken,
    /// Other large bodies take all the room there is.
    NoRoom,
    /// It did not come in time.
    TooSlow,
    /// It is larger than the limit.
    TooLarge,
}

/// Reads all of `body`, of at most `limit` bytes.
///
/// `expects` says that the sender waits to be told to go on (`Expect: 100-continue`): of what is too large it then
/// sends nothing at all.
pub(crate) async fn read(
    body: Timed,
    limit: usize,
    budget: &Arc<Budget>,
    expects: bool,
) -> Result<Taken, Refused> {
    let mut body = body;
    let announced = body.size_hint().lower();
    if announced > limit as u64 {
        if !expects {
            discard(body, limit).await;
        }
        return Err(Refused::TooLarge);
    }
    let mut share = Share {
        budget: Arc::clone(budget),
        taken: 0,
    };
    // Nearly every body is one piece, which is then taken as it is.
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(Refused::from)?.into_data() else {
            continue;
        };
        let size = first.len() + rest.len() + data.len();
        if size > limit {
            drop((first, rest));
            discard(body, limit).await;
            return Err(Refused::TooLarge);
        }
        if !share.grow_to(size) {
            return Err(Refused::NoRoom);
        }
        if first.is_empty() && rest.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                rest.reserve(usize::try_from(announced).unwrap_or(0).max(size));
                rest.extend_from_slice(&std::mem::take(&mut first));
            }
            rest.extend_from_slice(&data);
        }
    }
    let bytes = if rest.is_empty() {
        first
    } else {
        rest.freeze()
    };
    Ok(Taken {
        bytes,
        _share: share,
    })
}

async fn discard(mut body: Timed, limit: usize) {
    let mut discarded = 0;
    while let Some(Ok(frame)) = body.frame().await {
        discarded += frame.data_ref().map_or(0, Bytes::len);
        if discarded > limit.saturating_mul(DISCARD) {
            return;
        }
    }
}

impl Share {
    fn grow_to(&mut self, size: usize) -> bool {
        let wanted = size.saturating_sub(FREE);
        let more = wanted.saturating_sub(self.taken);
        if more == 0 {
            return true;
        }
        let before = self.budget.0.fetch_add(more, Ordering::Relaxed);
        self.taken += more;
        before + more <= BUDGET
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.taken > 0 {
            self.budget.0.fetch_sub(self.taken, Ordering::Relaxed);
        }
    }
}

/// A body that must have come when its time is over.
pub(crate) struct Timed {
    body: Incoming,
    clock: Arc<dyn Clock>,
    limit: Duration,
    /// Begins to run at the first wait: most bodies have come with their head.
    sleep: Option<clock::Sleep>,
}

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TimedError {
    #[error("the body broke off")]
    Broken(#[source] hyper::Error),
    #[error("the body did not come in time")]
    TooSlow,
}

impl From<TimedError> for Refused {
    fn from(error: TimedError) -> Self {
        match error {
            TimedError::Broken(_) => Self::Broken,
            TimedError::TooSlow => Self::TooSlow,
        }
    }
}

impl Timed {
    pub(crate) fn new(body: Incoming, clock: Arc<dyn Clock>, limit: Duration) -> Self {
        Self {
            body,
            clock,
            limit,
            sleep: None,
        }
    }
}

impl Body for Timed {
    type Data = Bytes;
    type Error = TimedError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TimedError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            return Poll::Ready(frame.map(|frame| frame.map_err(TimedError::Broken)));
        }
        let sleep = this
            .sleep
            .get_or_insert_with(|| this.clock.sleep(this.limit));
        ready!(sleep.as_mut().poll(context));
        Poll::Ready(Some(Err(TimedError::TooSlow)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_shared_by_all_and_given_back() {
        let budget = Arc::new(Budget::default());
        let share = || Share {
            budget: Arc::clone(&budget),
            taken: 0,
        };
        let mut small = share();
        assert!(small.grow_to(FREE));
        let mut large = share();
        assert!(large.grow_to(FREE + BUDGET));
        let mut late = share();
        assert!(!late.grow_to(FREE + 1));
        assert!(share().grow_to(FREE), "small bodies always have room");
        drop((large, late));
        assert!(share().grow_to(FREE + BUDGET));
    }
}
