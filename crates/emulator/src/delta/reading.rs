//! Which changes a reader is told.

use std::{ops::Bound, sync::Arc};

use serde::{Deserialize, Serialize};
use tidings_domain::Timestamp;

use super::{
    Removal,
    journal::{Entry, Pages, Version},
};
use crate::mailbox::item::{Item, Place};

/// How far a reader is.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Position {
    /// The number of the last change they were told.
    #[serde(rename = "a")]
    pub(crate) after: u64,
    /// Where their round began: what they know beyond doubt. In the first round, the last change when it began.
    #[serde(rename = "k")]
    pub(crate) known: u64,
    /// Whether it is their first round.
    #[serde(rename = "f")]
    pub(crate) first: bool,
}

/// Which entities of a collection a reader wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All.
    All,
    /// Those in a folder.
    Folder(Arc<str>),
    /// Those that lie, at least in part, between two points in time.
    Window {
        /// From when.
        from: Timestamp,
        /// Until when.
        to: Timestamp,
    },
}

/// What a reader asks.
pub(crate) struct Ask<'a> {
    /// How far they are.
    pub(crate) position: Position,
    /// How many changes they take at most.
    pub(crate) limit: usize,
    /// When they ask.
    pub(crate) now: Timestamp,
    /// What they want.
    pub(crate) scope: &'a Scope,
    /// Whether they are told of changes outside of it, as removals.
    pub(crate) outside: bool,
    /// Whether they are told in their first round of what was removed before it.
    pub(crate) early_removals: bool,
    /// Which of the changes they want.
    pub(crate) wanted: &'a dyn Fn(&Change) -> bool,
}

/// Some changes, oldest first.
#[derive(Debug)]
pub(crate) struct Page {
    /// The changes.
    pub(crate) changes: Vec<Change>,
    /// How far the reader is after them.
    pub(crate) after: u64,
    /// Whether there are more.
    pub(crate) more: bool,
}

/// One entity that changed.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// What it is, or was before its removal.
    pub(crate) item: Arc<Item>,
    /// The number of the change.
    pub(crate) number: u64,
    /// Up to which change the reader knew it, unless it is fresh.
    pub(crate) known: u64,
    /// Whether, and why, it is no longer there.
    pub(crate) removed: Option<Removal>,
    /// Whether the reader may not know it.
    pub(crate) fresh: bool,
    /// The members that changed since the reader knew it; empty if it is fresh or removed.
    pub(crate) touched: Vec<String>,
}

impl Position {
    /// Where a reader begins who knows nothing, while `horizon` is the last change.
    pub(crate) const fn start(horizon: u64) -> Self {
        Self {
            after: 0,
            known: horizon,
            first: true,
        }
    }

    /// Where the round begins that follows one which ended after `number`.
    pub(crate) const fn round(number: u64) -> Self {
        Self {
            after: number,
            known: number,
            first: false,
        }
    }
}

impl Scope {
    fn holds(&self, place: &Place) -> bool {
        match self {
            Self::All => true,
            Self::Folder(folder) => place.folder == *folder,
            // As calendar views do it.
            Self::Window { from, to } => place.start < *to && place.end > *from,
        }
    }
}

/// The number of the last change that can be seen at `now`.
pub(super) fn horizon(pages: &Pages, now: Timestamp) -> u64 {
    let visible = |(number, id): (&u64, &Arc<str>)| {
        let version = pages.entries.get(id)?.version(*number)?;
        (version.visible_at <= now).then_some(*number)
    };
    pages.index.iter().rev().find_map(visible).unwrap_or(0)
}

/// The changes that a reader is told. The page is full only if more follow.
pub(super) fn read(pages: &Pages, ask: &Ask<'_>) -> Page {
    let mut changes = Vec::new();
    let mut after = ask.position.after;
    let rest = (Bound::Excluded(after), Bound::Unbounded);
    for (&number, id) in pages.index.range(rest) {
        let Some((entry, version)) = pages
            .entries
            .get(id)
            .and_then(|entry| Some((entry, entry.version(number)?)))
        else {
            continue;
        };
        if version.visible_at > ask.now {
            break;
        }
        let newest = entry.visible(ask.now).map(|version| version.number);
        let told = (newest == Some(number))
            .then(|| judge(entry, version, ask))
            .flatten()
            .filter(|change| (ask.wanted)(change));
        if let Some(change) = told {
            if changes.len() == ask.limit {
                return Page {
                    changes,
                    after,
                    more: true,
                };
            }
            changes.push(change);
        }
        after = number;
    }
    Page {
        changes,
        after,
        more: false,
    }
}

/// What a reader is told of an entity, if anything.
fn judge(entry: &Entry, version: &Version, ask: &Ask<'_>) -> Option<Change> {
    let Position { known, first, .. } = ask.position;
    let inside = ask.scope.holds(&version.item.place);
    let change = |removed| Change {
        item: Arc::clone(&version.item),
        number: version.number,
        known,
        removed,
        fresh: first || entry.created > known,
        touched: Vec::new(),
    };
    if version.removed.is_none() && inside {
        let mut change = change(None);
        if !change.fresh {
            let touched = entry.touched.iter().filter(|(_, number)| **number > known);
            change.touched = touched.map(|(name, _)| name.clone()).collect();
        }
        return Some(change);
    }
    if first && version.number <= known && !ask.early_removals {
        return None;
    }
    let was_inside = (version.removed.is_some() && inside)
        || entry.past.iter().any(|(place, until)| {
            known < *until && *until <= version.number && ask.scope.holds(place)
        });
    (was_inside || ask.outside).then(|| change(Some(version.removed.unwrap_or(Removal::Deleted))))
}

impl Entry {
    fn version(&self, number: u64) -> Option<&Version> {
        self.versions
            .iter()
            .find(|version| version.number == number)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::delta::{Journal, Moment};

    const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

    fn item(id: &str, subject: &str, folder: &str) -> Arc<Item> {
        let fields = json!({"id": id, "subject": subject, "size": 1});
        let place = Place {
            folder: Arc::from(folder),
            ..Place::default()
        };
        Arc::new(Item::new(
            fields.as_object().unwrap().clone(),
            place,
            "c",
            None,
        ))
    }

    fn at(seconds: u64, lag: u64) -> Moment {
        Moment {
            at: NOW + Duration::from_secs(seconds),
            lag: Duration::from_secs(lag),
        }
    }

    fn read(journal: &Journal, position: Position, seconds: u64, limit: usize) -> Page {
        journal.read(&Ask {
            position,
            limit,
            now: NOW + Duration::from_secs(seconds),
            scope: &Scope::Folder(Arc::from("in")),
            outside: false,
            early_removals: false,
            wanted: &|_| true,
        })
    }

    fn told(page: &Page) -> Vec<(&str, Option<Removal>)> {
        page.changes
            .iter()
            .map(|change| (&*change.item.id, change.removed))
            .collect()
    }

    #[test]
    fn an_entity_is_told_once_however_often_it_changed() {
        let journal = Journal::default();
        journal.record(&item("a", "1", "in"), None, at(0, 0));
        journal.record(&item("b", "1", "in"), None, at(0, 0));
        let first = read(&journal, Position::start(journal.horizon(NOW)), 0, 9);
        assert_eq!(told(&first), [("a", None), ("b", None)]);
        journal.record(&item("a", "2", "in"), None, at(1, 0));
        journal.record(&item("a", "3", "in"), None, at(2, 0));
        let next = read(&journal, Position::round(first.after), 2, 9);
        assert_eq!(told(&next), [("a", None)]);
        assert_eq!(next.changes[0].touched, ["subject"]);
        assert!(!next.changes[0].fresh);
        assert_eq!(told(&read(&journal, Position::round(next.after), 2, 9)), []);
    }

    #[test]
    fn what_went_before_the_first_round_is_not_told_and_what_goes_in_it_is() {
        let journal = Journal::default();
        for id in ["a", "b", "c"] {
            journal.record(&item(id, "1", "in"), None, at(0, 0));
        }
        journal.record(&item("a", "1", "in"), Some(Removal::Deleted), at(0, 0));
        let start = Position::start(journal.horizon(NOW));
        let first = read(&journal, start, 0, 1);
        assert_eq!((told(&first), first.more), (vec![("b", None)], true));
        journal.record(&item("b", "1", "in"), Some(Removal::Changed), at(1, 0));
        let on = Position {
            after: first.after,
            ..start
        };
        let second = read(&journal, on, 1, 9);
        assert_eq!(told(&second), [("c", None), ("b", Some(Removal::Changed))]);
        assert!(!second.more);
    }

    #[test]
    fn leaving_the_scope_is_a_removal_for_those_who_knew_it() {
        let journal = Journal::default();
        journal.record(&item("a", "1", "in"), None, at(0, 0));
        journal.record(&item("b", "1", "out"), None, at(0, 0));
        let known = Position::round(journal.horizon(NOW));
        journal.record(&item("a", "1", "out"), None, at(1, 0));
        journal.record(&item("b", "2", "out"), None, at(1, 0));
        let page = read(&journal, known, 1, 9);
        assert_eq!(told(&page), [("a", Some(Removal::Deleted))]);
        journal.record(&item("a", "2", "out"), None, at(2, 0));
        assert_eq!(told(&read(&journal, Position::round(page.after), 2, 9)), []);
    }

    #[test]
    fn a_change_that_is_not_replicated_leaves_the_state_before_it() {
        let journal = Journal::default();
        journal.record(&item("a", "old", "in"), None, at(0, 0));
        journal.record(&item("a", "new", "in"), None, at(10, 5));
        let early = read(&journal, Position::start(9), 12, 9);
        assert_eq!(early.changes[0].item.fields["subject"], "old");
        let after = Position::round(early.after);
        assert!(told(&read(&journal, after, 14, 9)).is_empty());
        let late = read(&journal, after, 15, 9);
        assert_eq!(late.changes[0].item.fields["subject"], "new");
    }

    #[test]
    fn what_comes_back_is_fresh() {
        let journal = Journal::default();
        journal.record(&item("a", "1", "in"), None, at(0, 0));
        journal.record(&item("a", "1", "in"), Some(Removal::Changed), at(1, 0));
        let known = Position::round(journal.horizon(NOW + Duration::from_secs(1)));
        journal.record(&item("a", "1", "in"), None, at(2, 0));
        let page = read(&journal, known, 2, 9);
        assert_eq!(told(&page), [("a", None)]);
        assert!(page.changes[0].fresh);
    }
}
