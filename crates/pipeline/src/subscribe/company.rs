//! Rows of one tenant that have their turn together: what they ask first goes to Graph as one batch.
//!
//! Renewals and removals go together. What makes Graph call us back before it answers, a creation or another notification
//! URL, goes by itself: the slowest of twenty would hold up all, and an answer that is lost would leave all in doubt.

use std::sync::Arc;

use tidings_graph::{
    CallError,
    client::{Access, GraphClient},
    wire::subscription::{SubscriptionPatch, SubscriptionResource},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::together::Seat;

/// A row's place among those that have their turn together.
#[derive(Debug)]
pub(super) struct Company {
    /// Until it has asked, or goes its own way.
    seat: Option<Seat<Question, Answer>>,
    /// How many of those that go their own way may call at one time. One that is on its own has its place already.
    aside: Option<Arc<Semaphore>>,
}

/// What goes together with others.
#[derive(Debug)]
struct Question {
    access: Access,
    ask: Ask,
}

#[derive(Debug)]
enum Ask {
    Patch(String, SubscriptionPatch),
    Delete(String),
}

#[derive(Debug)]
enum Answer {
    Patched(Box<Result<SubscriptionResource, CallError>>),
    Deleted(Result<(), CallError>),
}

impl Company {
    /// So many rows. Those of them that go their own way share `aside`.
    pub(super) fn of(rows: usize, aside: &Arc<Semaphore>) -> Vec<Self> {
        if rows == 1 {
            return vec![Self::none()];
        }
        let seat = |seat| Self {
            seat: Some(seat),
            aside: Some(Arc::clone(aside)),
        };
        Seat::table(rows).into_iter().map(seat).collect()
    }

    /// A row on its own.
    pub(super) const fn none() -> Self {
        Self {
            seat: None,
            aside: None,
        }
    }

    /// It goes its own way: nobody waits for it.
    pub(super) fn leave(&mut self) {
        self.seat = None;
    }

    /// The same, and its turn to call by itself, for as long as this is kept.
    pub(super) async fn leave_to_call(&mut self) -> Option<OwnedSemaphorePermit> {
        self.leave();
        // It is never closed.
        Arc::clone(self.aside.as_ref()?).acquire_owned().await.ok()
    }

    /// Patches a subscription: with others the first time, if it has any.
    pub(super) async fn patch(
        &mut self,
        graph: &GraphClient,
        access: &Access,
        id: &str,
        patch: &SubscriptionPatch,
    ) -> Result<SubscriptionResource, CallError> {
        let Some(seat) = self.seat.take() else {
            let _turn = self.leave_to_call().await;
            return graph.patch_subscription(access, id, patch).await;
        };
        let ask = Ask::Patch(id.to_owned(), patch.clone());
        match together(graph, access, seat, ask).await {
            Some(Answer::Patched(answer)) => *answer,
            _ => Err(not_sent()),
        }
    }

    /// Deletes a subscription, in the same way.
    pub(super) async fn delete(
        &mut self,
        graph: &GraphClient,
        access: &Access,
        id: &str,
    ) -> Result<(), CallError> {
        let Some(seat) = self.seat.take() else {
            let _turn = self.leave_to_call().await;
            return graph.delete_subscription(access, id).await;
        };
        match together(graph, access, seat, Ask::Delete(id.to_owned())).await {
            Some(Answer::Deleted(answer)) => answer,
            _ => Err(not_sent()),
        }
    }
}

async fn together(
    graph: &GraphClient,
    access: &Access,
    seat: Seat<Question, Answer>,
    ask: Ask,
) -> Option<Answer> {
    let access = access.clone();
    let question = Question { access, ask };
    seat.ask(question, |questions| ask_all(graph, questions))
        .await
}

/// Asks for all: plainly if it is one, else in a batch of each sort.
async fn ask_all(graph: &GraphClient, questions: Vec<Question>) -> Vec<Answer> {
    let Some(access) = questions.first().map(|one| one.access.clone()) else {
        return Vec::new();
    };
    let mut answers = Vec::with_capacity(questions.len());
    let (mut patches, mut patched, mut ids, mut deleted) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (place, question) in questions.into_iter().enumerate() {
        match question.ask {
            Ask::Patch(id, patch) => {
                patches.push((id, patch));
                patched.push(place);
            }
            Ask::Delete(id) => {
                ids.push(id);
                deleted.push(place);
            }
        }
    }
    let to_patches = match patches.as_slice() {
        [(id, patch)] => vec![graph.patch_subscription(&access, id, patch).await],
        patches => graph.patch_subscriptions(&access, patches).await,
    };
    let to_patches = to_patches
        .into_iter()
        .map(|answer| Answer::Patched(Box::new(answer)));
    answers.extend(patched.into_iter().zip(to_patches));
    let to_ids = match ids.as_slice() {
        [id] => vec![graph.delete_subscription(&access, id).await],
        ids => graph.delete_subscriptions(&access, ids).await,
    };
    answers.extend(
        deleted
            .into_iter()
            .zip(to_ids.into_iter().map(Answer::Deleted)),
    );
    answers.sort_by_key(|&(place, _)| place);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// An error in the program struck whoever asked for all.
fn not_sent() -> CallError {
    CallError::Unavailable {
        detail: "the batch was not sent".to_owned(),
        retry_after: None,
    }
}
