//! The bounded queue between callers and the writer.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use super::operation::{Kind, Operation};
use crate::StoreError;

/// How many operations one commit takes at most, and how many rows: bounds the wait of whoever comes next.
const BATCH: usize = 512;
const BATCH_ROWS: usize = 4_096;

/// Room above the configured limit for what ends or changes things: ingest alone must not keep them out. Their number
/// is bounded by how many fetches and attempts may be under way.
const COMPLETION_ROOM: usize = 1_024;

pub(super) struct Queue {
    state: Mutex<State>,
    ready: Condvar,
    limit: usize,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Box<dyn Operation>>,
    /// The writer sleeps on `ready`.
    idle: bool,
    /// Somebody wants the writer to look after itself.
    rung: bool,
    closed: bool,
}

/// What the writer is to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Next {
    /// There is a batch.
    Batch,
    /// The alarm rang, and nothing waits.
    Upkeep,
    /// The store was closed, and nothing waits.
    Close,
}

impl Queue {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            state: Mutex::default(),
            ready: Condvar::new(),
            limit,
        }
    }

    /// Appends an operation, or refuses it at once.
    pub(super) fn push(&self, operation: Box<dyn Operation>) -> Result<(), StoreError> {
        let limit = match operation.kind() {
            Kind::New => self.limit,
            Kind::Rejected => self.limit / 4,
            Kind::Completion => self.limit + COMPLETION_ROOM,
        };
        let mut state = self.lock();
        if state.closed {
            return Err(StoreError::Unavailable {
                detail: "the store is closed".to_owned(),
            });
        }
        if state.waiting.len() >= limit {
            return Err(StoreError::Overloaded);
        }
        state.waiting.push_back(operation);
        let wake = std::mem::take(&mut state.idle);
        drop(state);
        if wake {
            self.ready.notify_one();
        }
        Ok(())
    }

    /// Wakes the writer to look after itself.
    pub(super) fn ring(&self) {
        let mut state = self.lock();
        state.rung = true;
        state.idle = false;
        self.ready.notify_one();
    }

    /// Takes no more; the writer ends when it has answered what is there.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.idle = false;
        self.ready.notify_one();
    }

    /// Whether operations wait.
    pub(super) fn is_busy(&self) -> bool {
        !self.lock().waiting.is_empty()
    }

    /// Waits for work, and moves what is there into `batch`, up to its limit. Withdrawn operations fall away.
    pub(super) fn take(&self, batch: &mut Vec<Box<dyn Operation>>) -> Next {
        let mut state = self.lock();
        let mut rows = 0;
        loop {
            while batch.len() < BATCH && rows < BATCH_ROWS {
                let Some(operation) = state.waiting.pop_front() else {
                    break;
                };
                if operation.claim() {
                    rows += operation.weight();
                    batch.push(operation);
                }
            }
            if !batch.is_empty() {
                return Next::Batch;
            }
            if std::mem::take(&mut state.rung) {
                return Next::Upkeep;
            }
            if state.closed {
                return Next::Close;
            }
            state.idle = true;
            state = self
                .ready
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
