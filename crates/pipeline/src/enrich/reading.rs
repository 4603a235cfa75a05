//! How far the queue has been read.

use std::{collections::HashSet, time::Duration};

use tidings_storage::record::{QueuedNotification, Seq};

/// Where reading stands: a page at a time, from the start to the end, and again when there may be more.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// The last place that was read.
    cursor: Seq,
    /// There may be more behind it.
    more: bool,
    /// A page is being read, or will be after a pause.
    asked: bool,
    /// When the last page was asked for, on the monotonic clock.
    asked_at: Duration,
    /// How often it has begun from the start.
    beginning: u64,
    /// What left the queue while a page was being read: the page may still show it.
    ended_meanwhile: HashSet<Seq>,
}

/// A page to be asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// Behind which place.
    pub(super) after: Seq,
    beginning: u64,
}

impl Reading {
    /// From the start of the queue.
    pub(super) fn new(now: Duration) -> Self {
        Self {
            more: true,
            asked_at: now,
            ..Self::default()
        }
    }

    /// There may be more to read.
    pub(super) fn expect_more(&mut self) {
        self.more = true;
    }

    /// Whether there may be.
    pub(super) fn expects_more(&self) -> bool {
        self.more
    }

    /// Whether a page can be asked for now.
    pub(super) fn wants_page(&self) -> bool {
        self.more && !self.asked
    }

    /// For how long no page has been asked for.
    pub(super) fn rested(&self, now: Duration) -> Duration {
        now.saturating_sub(self.asked_at)
    }

    pub(super) fn ask(&mut self, now: Duration) -> Asked {
        self.asked = true;
        self.asked_at = now;
        Asked {
            after: self.cursor,
            beginning: self.beginning,
        }
    }

    /// The page could not be read, and there was a pause.
    pub(super) fn failed(&mut self) {
        self.asked = false;
    }

    /// Takes the answer; gives what of it is to be worked on.
    pub(super) fn take(
        &mut self,
        asked: Asked,
        mut page: Vec<QueuedNotification>,
    ) -> Vec<QueuedNotification> {
        self.asked = false;
        let ended = std::mem::take(&mut self.ended_meanwhile);
        if asked.beginning != self.beginning {
            // Of shards that may not be held any more; what it has of others is read again.
            return Vec::new();
        }
        let last = page.iter().map(|queued| queued.seq).max();
        // What several write at the same time can come more often than once: that alone is no reason to read on.
        self.more = last > Some(self.cursor);
        self.cursor = self.cursor.max(last.unwrap_or_default());
        page.retain(|queued| !ended.contains(&queued.seq));
        page
    }

    /// Something left the queue.
    pub(super) fn ended(&mut self, seq: Seq) {
        if self.asked {
            self.ended_meanwhile.insert(seq);
        }
    }

    /// Begins from the start. What is being read now no longer counts.
    pub(super) fn start_over(&mut self) {
        self.cursor = Seq::default();
        self.more = true;
        self.beginning += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrich::tests::queued;

    fn page(seqs: &[i64]) -> Vec<QueuedNotification> {
        let resource = "users/u/events/a";
        seqs.iter().map(|&seq| queued(seq, resource, 0)).collect()
    }

    fn seqs(page: &[QueuedNotification]) -> Vec<i64> {
        page.iter().map(|queued| queued.seq.0).collect()
    }

    #[test]
    fn it_reads_to_the_end_and_no_further_for_what_comes_again() {
        let mut reading = Reading::new(Duration::ZERO);
        let asked = reading.ask(Duration::ZERO);
        assert!(!reading.wants_page());
        assert_eq!(seqs(&reading.take(asked, page(&[1, 2, 4]))), [1, 2, 4]);
        assert!(reading.wants_page());
        let asked = reading.ask(Duration::ZERO);
        assert_eq!(asked.after, Seq(4));
        // Committed only now.
        assert_eq!(seqs(&reading.take(asked, page(&[3, 4]))), [3, 4]);
        assert!(!reading.expects_more());
    }

    #[test]
    fn what_ended_while_it_was_read_is_left_out() {
        let mut reading = Reading::new(Duration::ZERO);
        reading.ended(Seq(1));
        let asked = reading.ask(Duration::ZERO);
        reading.ended(Seq(2));
        assert_eq!(seqs(&reading.take(asked, page(&[1, 2, 3]))), [1, 3]);
        let asked = reading.ask(Duration::ZERO);
        assert_eq!(seqs(&reading.take(asked, page(&[2]))), [2]);
    }

    #[test]
    fn what_was_asked_for_before_a_new_beginning_does_not_count() {
        let mut reading = Reading::new(Duration::ZERO);
        let asked = reading.ask(Duration::ZERO);
        reading.start_over();
        assert!(!reading.wants_page(), "one at a time");
        assert!(reading.take(asked, page(&[1, 2])).is_empty());
        assert!(reading.wants_page());
        assert_eq!(reading.ask(Duration::ZERO).after, Seq::default());
    }
}
