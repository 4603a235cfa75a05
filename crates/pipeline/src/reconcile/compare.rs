//! What Graph shows against what is known: the rule that decides what is told.

use std::collections::HashMap;

use tidings_domain::resource::ChangeType;
use tidings_graph::wire::collection::Entry;
use tidings_storage::record::{KnownItem, Version};

use super::wanted::Wanted;
use crate::version;

/// Which enumeration shows it, and to whom.
#[derive(Clone, Debug)]
pub(super) struct View<'a> {
    /// The scope that is enumerated.
    pub(super) scope: &'a str,
    /// The number of the enumeration.
    pub(super) enumeration: u64,
    /// What is there was there before everything: it is recorded, not told.
    pub(super) baseline: bool,
    /// Which changes are wanted.
    pub(super) wanted: Wanted,
}

/// What follows from a part of an enumeration.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Compared {
    /// Items that the app may not know as they are: their ids, and how they seem to have changed.
    pub(super) finds: Vec<(String, ChangeType)>,
    /// Items as they were shown.
    pub(super) items: Vec<KnownItem>,
    /// Items that are gone and that the app never knew of.
    pub(super) forget: Vec<String>,
}

/// Compares what a page shows with what is known of it.
pub(super) fn shown(
    view: &View<'_>,
    entries: Vec<Entry>,
    known: &HashMap<String, KnownItem>,
) -> Compared {
    let mut compared = Compared::default();
    for entry in newest(entries) {
        let before = known.get(&entry.id);
        if entry.removed.is_some() {
            view.removed(entry.id, before, &mut compared);
        } else {
            view.present(entry, before, &mut compared);
        }
    }
    compared
}

/// What follows for items that a whole enumeration has not shown.
pub(super) fn not_shown(view: &View<'_>, items: Vec<KnownItem>) -> Compared {
    let mut compared = Compared::default();
    for item in items {
        view.removed(item.id.clone(), Some(&item), &mut compared);
    }
    compared
}

/// Of several entries with one id the last; none that is computed from another.
fn newest(entries: Vec<Entry>) -> Vec<Entry> {
    let mut places: HashMap<String, usize> = HashMap::with_capacity(entries.len());
    let mut newest: Vec<Entry> = Vec::with_capacity(entries.len());
    for entry in entries {
        // A plain occurrence of a series changes with the series.
        if entry.occurrence_of.is_some() {
            continue;
        }
        if let Some(&place) = places.get(&entry.id) {
            newest[place] = entry;
        } else {
            places.insert(entry.id.clone(), newest.len());
            newest.push(entry);
        }
    }
    newest
}

impl View<'_> {
    fn removed(&self, id: String, before: Option<&KnownItem>, compared: &mut Compared) {
        match before {
            Some(known) if known.told => {
                // Whether it is gone is for a look to say: it may only have left what is enumerated.
                compared.items.push(KnownItem {
                    enumeration: self.enumeration,
                    ..untold(known.clone())
                });
                if self.wanted.has(ChangeType::Deleted) {
                    compared.finds.push((id, ChangeType::Deleted));
                }
            }
            Some(_) => compared.forget.push(id),
            // Nobody has been told that it exists.
            None => {}
        }
    }

    fn present(&self, entry: Entry, before: Option<&KnownItem>, compared: &mut Compared) {
        let named = entry.version.as_deref().map(version::named);
        let seen = match named {
            Some(_) => None,
            None => Some(version::of_content(&entry.object)),
        };
        let find = match before {
            _ if self.baseline => None,
            None => Some(ChangeType::Created),
            Some(known) => is_news(known, named, seen).then_some(if known.told {
                ChangeType::Updated
            } else {
                ChangeType::Created
            }),
        };
        let find = find.filter(|&change| self.wanted.has(change));
        // What nobody wants to hear of is known all the same: its deletion or next change may be wanted.
        let settled = find.is_none() && before.is_none();
        compared.items.push(KnownItem {
            id: entry.id.clone(),
            scope: self.scope.to_owned(),
            enumeration: self.enumeration,
            seen,
            told: settled,
            version: named.filter(|_| settled),
        });
        if let Some(change) = find {
            compared.finds.push((entry.id, change));
        }
    }
}

/// What is recorded of an item that is known: the store keeps what the app knows of it. Should a notification of its
/// deletion have made it unknown meanwhile, nobody knows of it.
fn untold(known: KnownItem) -> KnownItem {
    KnownItem {
        told: false,
        version: None,
        ..known
    }
}

/// Whether an item is shown otherwise than the app knows it, as far as that can be said without a look.
fn is_news(known: &KnownItem, named: Option<Version>, seen: Option<Version>) -> bool {
    match named {
        Some(named) => !known.version.is_some_and(|version| version.is(named)),
        // The same picture again, of what the app was told nothing about since, is a repetition. Another one may be what a
        // notification has brought: a look tells.
        None => known.seen != seen,
    }
}

#[cfg(test)]
mod tests;
