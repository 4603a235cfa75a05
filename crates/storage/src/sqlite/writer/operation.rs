//! What callers hand to the writer.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use rusqlite::Connection;
use tidings_domain::ids::WebhookId;
use tokio::sync::oneshot;

use crate::{
    StoreError,
    seal::Seal,
    sqlite::{
        arrivals::Arrivals, dedup::Recent, outcomes::Outcomes, told::ToldItems, tries::Tries,
    },
};

/// What an operation works with, inside the transaction of its batch.
pub(in crate::sqlite) struct Tx<'a> {
    /// The writing connection, in a transaction.
    pub(in crate::sqlite) sql: &'a Connection,
    /// Seals what must not stand there in the open.
    pub(in crate::sqlite) seal: &'a Seal,
    /// The newest dedup keys.
    pub(in crate::sqlite) recent: &'a Recent,
    /// What is written many rows to a statement, before the batch ends or an operation that may look for it.
    pub(in crate::sqlite) left: Left,
    /// What the operations change of the counters; taken over when the batch is on disk.
    pub(in crate::sqlite) tally: Tally,
}

/// Rows that operations have left to be written.
#[derive(Debug, Default)]
pub(in crate::sqlite) struct Left {
    pub(in crate::sqlite) arrivals: Arrivals,
    pub(in crate::sqlite) outcomes: Outcomes,
    pub(in crate::sqlite) told: ToldItems,
    pub(in crate::sqlite) tries: Tries,
    /// Webhooks that were seen to exist, and cannot have gone since.
    pub(in crate::sqlite) webhooks: Vec<WebhookId>,
}

impl Left {
    /// Writes all of them. To be called before whatever may read, change or remove what they are, or are about.
    pub(in crate::sqlite) fn write(&mut self, sql: &Connection) -> Result<(), rusqlite::Error> {
        self.webhooks.clear();
        self.arrivals.write(sql)?;
        self.outcomes.write(sql)?;
        self.told.write(sql)?;
        self.tries.write(sql)
    }

    /// Forgets what was not written.
    pub(in crate::sqlite) fn clear(&mut self) {
        self.webhooks.clear();
        self.arrivals.clear();
        self.outcomes.clear();
        self.told.clear();
        self.tries.clear();
    }
}

/// A change of the counters that health and metrics read.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::sqlite) struct Tally {
    /// Of notifications in the queue of enrich.
    pub(in crate::sqlite) queued: i64,
    /// Of pending deliveries.
    pub(in crate::sqlite) pending: i64,
    /// Whether a webhook or a subscription went whose rows are still to be removed.
    pub(in crate::sqlite) leftovers: bool,
}

/// Why an operation was not done.
#[derive(Debug)]
pub(in crate::sqlite) enum Undone {
    /// It has written nothing, and this is its answer. The batch goes on.
    Refused(StoreError),
    /// It may have written something: the batch is rolled back.
    Failed(rusqlite::Error),
}

impl From<rusqlite::Error> for Undone {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error)
    }
}

/// What kind of work an operation is: decides whether it is taken when there is little room.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::sqlite) enum Kind {
    /// It brings something new in, and is refused when the queue or the disk is full.
    New,
    /// It brings in what a stranger sent: the first to be refused.
    Rejected,
    /// It ends or changes what is there, and may free space: always tried.
    Completion,
}

/// An operation in the queue of the writer.
pub(super) trait Operation: Send {
    fn kind(&self) -> Kind;
    /// How many rows it writes, roughly.
    fn weight(&self) -> usize;
    /// Takes it into a batch; `false` if its caller gave up.
    fn claim(&self) -> bool;
    /// Does it, and keeps its result for [`Operation::answer`]. May be called again after a rollback.
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), rusqlite::Error>;
    /// Answers the caller: with the kept result if its batch is on disk.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

pub(super) struct Job<T, F> {
    pub(super) kind: Kind,
    pub(super) weight: usize,
    pub(super) run: F,
    pub(super) result: Option<Result<T, StoreError>>,
    pub(super) claim: Arc<Claim>,
    pub(super) answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Operation for Job<T, F>
where
    T: Send,
    F: FnMut(&mut Tx<'_>) -> Result<T, Undone> + Send,
{
    fn kind(&self) -> Kind {
        self.kind
    }

    fn weight(&self) -> usize {
        self.weight
    }

    fn claim(&self) -> bool {
        self.claim.take()
    }

    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), rusqlite::Error> {
        self.result = Some(match (self.run)(tx) {
            Ok(value) => Ok(value),
            Err(Undone::Refused(error)) => Err(error),
            Err(Undone::Failed(error)) => return Err(error),
        });
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let Self { result, answer, .. } = *self;
        let result =
            committed.and_then(|()| result.expect("invariant: a committed operation has run"));
        // Nobody listens any more: the caller was dropped while the commit was under way.
        let _ = answer.send(result);
    }
}

/// Decides, once, whether an operation is taken by the writer or withdrawn by its caller.
#[derive(Debug, Default)]
pub(super) struct Claim(AtomicU8);

const WAITING: u8 = 0;
const TAKEN: u8 = 1;
const WITHDRAWN: u8 = 2;

impl Claim {
    /// The writer takes it; `false` if it was withdrawn.
    pub(super) fn take(&self) -> bool {
        self.settle(TAKEN)
    }

    /// The caller withdraws it; `false` if the writer has it.
    pub(super) fn withdraw(&self) -> bool {
        self.settle(WITHDRAWN)
    }

    fn settle(&self, to: u8) -> bool {
        self.0
            .compare_exchange(WAITING, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_taken_or_withdrawn_but_never_both() {
        let claim = Claim::default();
        assert!(claim.take());
        assert!(!claim.withdraw());
        let claim = Claim::default();
        assert!(claim.withdraw());
        assert!(!claim.take());
    }
}
