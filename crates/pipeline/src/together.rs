//! Several that ask one thing each, at one time, as one.
//!
//! Work that begins together sits at one table. Whoever gets as far as its question waits for the others to ask theirs or
//! to leave; then one of them asks for all. So each piece of work reads as if it asked for itself, and nobody waits for
//! company that is not there already.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

/// A place at a table. Dropping it is leaving: nobody waits for it then.
///
/// Between taking a place and asking, nothing may be waited for that another one at the table holds.
pub(crate) struct Seat<Q, A> {
    /// `None` is a table for one.
    table: Option<Arc<Table<Q, A>>>,
}

struct Table<Q, A>(Mutex<State<Q, A>>);

struct State<Q, A> {
    /// How many have neither asked nor left.
    awaited: usize,
    asked: Vec<(Q, oneshot::Sender<Word<Q, A>>)>,
}

/// What one who waits is told.
enum Word<Q, A> {
    Answer(A),
    /// Nobody is awaited any more: it asks for all. Its own question is the first.
    Ask(All<Q, A>),
}

/// All questions, and whom to answer; the own one has nobody.
type All<Q, A> = Vec<(Q, Option<oneshot::Sender<Word<Q, A>>>)>;

impl<Q, A> Seat<Q, A> {
    /// The only place.
    pub(crate) const fn alone() -> Self {
        Self { table: None }
    }

    /// So many places at one table.
    pub(crate) fn table(places: usize) -> Vec<Self> {
        if places == 1 {
            return vec![Self::alone()];
        }
        let table = Arc::new(Table(Mutex::new(State {
            awaited: places,
            asked: Vec::with_capacity(places),
        })));
        let seat = || Self {
            table: Some(Arc::clone(&table)),
        };
        (0..places).map(|_| seat()).collect()
    }

    /// Asks together with those who sit here: one of them gives all questions to `ask`, which answers each in its place.
    /// `None` if whoever asked for all did not get that far.
    pub(crate) async fn ask<F>(mut self, question: Q, ask: impl FnOnce(Vec<Q>) -> F) -> Option<A>
    where
        F: Future<Output = Vec<A>>,
    {
        let Some(table) = self.table.take() else {
            return ask(vec![question]).await.pop();
        };
        let (sender, receiver) = oneshot::channel();
        let all = table.ask(question, sender);
        // So that a table is gone once nobody waits at it.
        drop(table);
        let all = match all {
            Some(all) => all,
            None => match receiver.await.ok()? {
                Word::Answer(answer) => return Some(answer),
                Word::Ask(all) => all,
            },
        };
        let (questions, senders): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        let mut own = None;
        for (sender, answer) in senders.into_iter().zip(ask(questions).await) {
            match sender {
                // Whoever does not wait any more needs no answer.
                Some(sender) => drop(sender.send(Word::Answer(answer))),
                None => own = Some(answer),
            }
        }
        own
    }
}

impl<Q, A> Table<Q, A> {
    fn state(&self) -> MutexGuard<'_, State<Q, A>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a question; gives all of them if it is the last.
    fn ask(&self, question: Q, sender: oneshot::Sender<Word<Q, A>>) -> Option<All<Q, A>> {
        let mut state = self.state();
        state.awaited -= 1;
        if state.awaited > 0 {
            state.asked.push((question, sender));
            return None;
        }
        let others = std::mem::take(&mut state.asked).into_iter();
        let others = others.map(|(question, sender)| (question, Some(sender)));
        Some(std::iter::once((question, None)).chain(others).collect())
    }

    /// One leaves. If it was the last that was awaited, one of those who wait asks.
    fn leave(&self) {
        let mut state = self.state();
        state.awaited -= 1;
        if state.awaited > 0 {
            return;
        }
        let mut left = std::mem::take(&mut state.asked);
        drop(state);
        while !left.is_empty() {
            let (question, sender) = left.remove(0);
            let others = left
                .drain(..)
                .map(|(question, sender)| (question, Some(sender)));
            let all = std::iter::once((question, None)).chain(others).collect();
            match sender.send(Word::Ask(all)) {
                Ok(()) | Err(Word::Answer(_)) => return,
                // It does not wait any more: the next one.
                Err(Word::Ask(all)) => {
                    let waiting = all.into_iter().skip(1);
                    left.extend(waiting.filter_map(|(question, sender)| Some((question, sender?))));
                }
            }
        }
    }
}

impl<Q, A> Drop for Seat<Q, A> {
    fn drop(&mut self) {
        if let Some(table) = self.table.take() {
            table.leave();
        }
    }
}

impl<Q, A> fmt::Debug for Seat<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alone = self.table.is_none();
        f.debug_struct("Seat").field("alone", &alone).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures_util::FutureExt as _;

    use super::*;

    /// Doubles what it is asked, and remembers how it was asked.
    #[derive(Default)]
    struct Doubler(Mutex<Vec<Vec<u32>>>);

    impl Doubler {
        async fn ask(&self, seat: Seat<u32, u32>, question: u32) -> Option<u32> {
            seat.ask(question, |all: Vec<u32>| async move {
                let mut asked: Vec<u32> = all.clone();
                asked.sort_unstable();
                self.0.lock().unwrap().push(asked);
                tokio::task::yield_now().await;
                all.into_iter().map(|one| one * 2).collect()
            })
            .await
        }

        fn asked(&self) -> Vec<Vec<u32>> {
            self.0.lock().unwrap().clone()
        }
    }

    #[tokio::test]
    async fn those_at_one_table_ask_once_and_each_hears_its_own_answer() {
        let doubler = Doubler::default();
        let seats = Seat::table(3);
        let asking = seats.into_iter().zip([1, 2, 3]);
        let asking = asking.map(|(seat, question)| doubler.ask(seat, question));
        let answers = futures_util::future::join_all(asking).await;
        assert_eq!(answers, [Some(2), Some(4), Some(6)]);
        assert_eq!(doubler.asked(), [vec![1, 2, 3]]);
        assert_eq!(doubler.ask(Seat::alone(), 7).await, Some(14));
    }

    #[tokio::test]
    async fn who_leaves_is_not_waited_for() {
        let doubler = Doubler::default();
        let mut seats = Seat::table(3);
        let last = seats.pop().unwrap();
        let mut waiting: Vec<_> = seats
            .into_iter()
            .zip([1, 2])
            .map(|(seat, question)| Box::pin(doubler.ask(seat, question)))
            .collect();
        for one in &mut waiting {
            assert_eq!(one.now_or_never(), None);
        }
        assert!(doubler.asked().is_empty());
        drop(last);
        let answers = futures_util::future::join_all(waiting).await;
        assert_eq!(answers, [Some(2), Some(4)]);
        assert_eq!(doubler.asked(), [vec![1, 2]]);
    }

    #[tokio::test]
    async fn if_the_one_who_was_to_ask_is_gone_the_next_does() {
        let doubler = Doubler::default();
        let mut seats = Seat::table(3);
        let last = seats.pop().unwrap();
        let second = doubler.ask(seats.pop().unwrap(), 2);
        let mut first = Box::pin(doubler.ask(seats.pop().unwrap(), 1));
        assert_eq!(first.as_mut().now_or_never(), None);
        drop(first);
        let mut second = Box::pin(second);
        assert_eq!(second.as_mut().now_or_never(), None);
        drop(last);
        assert_eq!(second.await, Some(4));
        assert_eq!(doubler.asked(), [vec![2]]);
    }

    #[tokio::test]
    async fn what_nobody_answers_is_said_so() {
        let mut seats = Seat::<u32, u32>::table(2);
        let (one, other) = (seats.pop().unwrap(), seats.pop().unwrap());
        let nothing = |_: Vec<u32>| std::future::ready(Vec::new());
        let answers = tokio::join!(one.ask(1, nothing), other.ask(2, nothing));
        assert_eq!(answers, (None, None));
    }
}
