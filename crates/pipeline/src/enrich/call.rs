//! One call to Graph for one item, or for several of a tenant that had to wait: a batch.
//!
//! Each item goes its own way before and after. What they do as one is read from the store, where their data is not in
//! memory, and the call itself. Each answer is judged by itself: a batch says nothing about its parts.

use tidings_graph::{
    CallError,
    client::{Access, Fetched},
    resource::ItemPath,
};
use tidings_storage::{
    Lease,
    record::{QueuedNotification, Seq},
};

use super::EnrichParts;
use crate::together::Seat;

/// An item's share in a call.
pub(super) struct Share {
    pub(super) reading: Seat<Seq, Read>,
    pub(super) asking: Seat<Question, Answer>,
}

/// The data of an item.
#[derive(Clone, Debug)]
pub(super) enum Read {
    Here(Box<QueuedNotification>),
    /// It is not in the queue, or not ours.
    NotThere,
    /// The store could not be read.
    Failed,
}

/// What an item wants of Graph.
pub(super) struct Question {
    pub(super) lease: Lease,
    pub(super) access: Access,
    pub(super) path: ItemPath,
}

/// What Graph answered.
#[derive(Debug)]
pub(super) enum Answer {
    /// To this item; whether all items of the call failed alike, so that it was the call that failed.
    Came {
        answer: Box<Result<Fetched, CallError>>,
        whole: bool,
    },
    /// It was not asked, since another node works on the item now.
    NotOurs,
}

impl Share {
    /// The shares of so many items.
    pub(super) fn of(items: usize) -> impl Iterator<Item = Self> {
        let share = |(reading, asking)| Self { reading, asking };
        std::iter::zip(Seat::table(items), Seat::table(items)).map(share)
    }

    /// That of an item that is on its own.
    pub(super) const fn alone() -> Self {
        Self {
            reading: Seat::alone(),
            asking: Seat::alone(),
        }
    }
}

/// Reads an item whose data is not here.
pub(super) async fn read(parts: &EnrichParts, seat: Seat<Seq, Read>, seq: Seq) -> Read {
    let read = seat.ask(seq, |places: Vec<Seq>| async move {
        let found = match parts.store.queued_notifications_at(places.clone()).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, "queued notifications cannot be read: it is tried again");
                return vec![Read::Failed; places.len()];
            }
        };
        let find = |seq| found.iter().find(|queued| queued.seq == seq).cloned();
        let read = |seq| find(seq).map_or(Read::NotThere, |queued| Read::Here(Box::new(queued)));
        places.into_iter().map(read).collect()
    });
    read.await.unwrap_or(Read::Failed)
}

/// Asks Graph for an item.
pub(super) async fn ask(
    parts: &EnrichParts,
    seat: Seat<Question, Answer>,
    question: Question,
) -> Answer {
    let answer = seat.ask(question, |questions| ask_all(parts, questions));
    answer.await.unwrap_or_else(|| {
        // An error in the program struck whoever asked for all.
        let error = CallError::Unavailable {
            detail: "the batch was not sent".to_owned(),
            retry_after: None,
        };
        Answer::Came {
            answer: Box::new(Err(error)),
            whole: true,
        }
    })
}

/// Asks for those that are still ours: plainly if it is one, else in a batch.
async fn ask_all(parts: &EnrichParts, questions: Vec<Question>) -> Vec<Answer> {
    // The last moment at which it can be known.
    let ours: Vec<bool> = questions
        .iter()
        .map(|question| parts.fence.allows(question.lease))
        .collect();
    let mut access = None;
    let mut paths = Vec::with_capacity(questions.len());
    for (question, _) in questions.into_iter().zip(&ours).filter(|(_, ours)| **ours) {
        access.get_or_insert(question.access);
        paths.push(question.path);
    }
    let cap = parts.config.max_object_bytes;
    let answers = match (&access, paths.as_slice()) {
        (Some(access), [path]) => vec![parts.graph.fetch(access, path, cap).await],
        (Some(access), paths) => parts.graph.fetch_batch(access, paths, cap).await,
        (None, _) => Vec::new(),
    };
    parts.metrics.call(answers.len());
    let whole = failed_as_one(&answers);
    let mut answers = answers.into_iter();
    let came = |answer| Answer::Came {
        answer: Box::new(answer),
        whole,
    };
    let answer = |ours: bool| {
        let answer = if ours { answers.next() } else { None };
        answer.map_or(Answer::NotOurs, came)
    };
    ours.into_iter().map(answer).collect()
}

/// Whether all failed in the same way, which may pass: then it is nothing that concerns one item.
fn failed_as_one(answers: &[Result<Fetched, CallError>]) -> bool {
    let [Err(first), others @ ..] = answers else {
        return false;
    };
    first.is_transient()
        && !others.is_empty()
        && others
            .iter()
            .all(|other| other.as_ref().err() == Some(first))
}
