//! The changes of one collection, in their order.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock},
};

use tidings_domain::Timestamp;

use super::{Ask, Moment, Page, reading};
use crate::mailbox::item::{Item, Place};

/// The changes of one collection, in their order. Of each entity only the last change is kept, and those before it for as
/// long as the last is not to be seen: that is what delta queries tell, and it does not grow with the number of changes.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    pages: RwLock<Pages>,
}

#[derive(Debug, Default)]
pub(super) struct Pages {
    pub(super) entries: HashMap<Arc<str>, Entry>,
    /// Every version that is kept, by its number.
    pub(super) index: BTreeMap<u64, Arc<str>>,
    last: u64,
    /// When the last change can be seen; none is to be seen before an earlier one.
    visible_at: Timestamp,
}

/// What is known of one entity.
#[derive(Debug, Default)]
pub(super) struct Entry {
    /// The change that made it, or brought it back.
    pub(super) created: u64,
    /// Oldest first; only the last can be unseen by all.
    pub(super) versions: Vec<Version>,
    /// Where it was before, each with the change that ended that.
    pub(super) past: Vec<(Place, u64)>,
    /// The last change of each member that has changed since `created`.
    pub(super) touched: BTreeMap<String, u64>,
}

/// One state of an entity.
#[derive(Debug)]
pub(super) struct Version {
    pub(super) number: u64,
    pub(super) visible_at: Timestamp,
    /// What it is, or was before its removal.
    pub(super) item: Arc<Item>,
    pub(super) removed: Option<Removal>,
}

/// Why an entity is no longer there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    /// It can be restored.
    Changed,
    /// It is gone for good.
    Deleted,
}

impl Removal {
    /// The value of `reason`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Deleted => "deleted",
        }
    }
}

impl Journal {
    /// Notes a new state of an entity: `item` is what it is, or was before it was removed. The number of the change.
    pub(crate) fn record(&self, item: &Arc<Item>, removed: Option<Removal>, moment: Moment) -> u64 {
        let mut pages = self.pages.write().unwrap_or_else(PoisonError::into_inner);
        pages.record(item, removed, moment)
    }

    /// Notes that a part of an entity changed which is kept elsewhere, under the name of a member. The number of the change.
    pub(crate) fn record_part(&self, item: &Arc<Item>, member: &str, moment: Moment) -> u64 {
        let mut pages = self.pages.write().unwrap_or_else(PoisonError::into_inner);
        let number = pages.record(item, None, moment);
        if let Some(entry) = pages.entries.get_mut(&item.id) {
            entry.touched.insert(member.to_owned(), number);
        }
        number
    }

    /// The number of the last change that can be seen.
    pub(crate) fn horizon(&self, now: Timestamp) -> u64 {
        let pages = self.pages.read().unwrap_or_else(PoisonError::into_inner);
        reading::horizon(&pages, now)
    }

    /// The number of the last change before `time`.
    pub(crate) fn before(&self, time: Timestamp) -> u64 {
        self.horizon(time - std::time::Duration::from_millis(1))
    }

    /// The changes that a reader is told.
    pub(crate) fn read(&self, ask: &Ask<'_>) -> Page {
        let pages = self.pages.read().unwrap_or_else(PoisonError::into_inner);
        reading::read(&pages, ask)
    }
}

impl Pages {
    fn record(&mut self, item: &Arc<Item>, removed: Option<Removal>, moment: Moment) -> u64 {
        self.last += 1;
        let number = self.last;
        self.visible_at = self.visible_at.max(moment.at + moment.lag);
        let entry = self.entries.entry(Arc::clone(&item.id)).or_default();
        entry.note(number, item, removed);
        entry.versions.push(Version {
            number,
            visible_at: self.visible_at,
            item: Arc::clone(item),
            removed,
        });
        for superseded in entry.prune(moment.at) {
            self.index.remove(&superseded.number);
        }
        self.index.insert(number, Arc::clone(&item.id));
        number
    }
}

impl Entry {
    /// The state that can be seen at `now`.
    pub(super) fn visible(&self, now: Timestamp) -> Option<&Version> {
        self.versions
            .iter()
            .rev()
            .find(|version| version.visible_at <= now)
    }

    fn note(&mut self, number: u64, item: &Item, removed: Option<Removal>) {
        let before = self
            .versions
            .last()
            .filter(|version| version.removed.is_none());
        let Some(before) = before else {
            if removed.is_none() {
                self.created = number;
                self.touched.clear();
            }
            return;
        };
        if removed.is_some() {
            return;
        }
        let before = &before.item;
        for (name, value) in &item.fields {
            if before.fields.get(name) != Some(value) {
                self.touched.insert(name.clone(), number);
            }
        }
        for name in before.fields.keys() {
            if !item.fields.contains_key(name) {
                self.touched.insert(name.clone(), number);
            }
        }
        if before.place != item.place {
            self.past.push((before.place.clone(), number));
        }
    }

    /// Drops what nobody can be told any more.
    fn prune(&mut self, now: Timestamp) -> impl Iterator<Item = Version> + '_ {
        let seen = self
            .versions
            .iter()
            .rposition(|version| version.visible_at <= now)
            .unwrap_or(0);
        self.versions.drain(..seen)
    }
}
