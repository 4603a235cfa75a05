//! The items of one kind in one mailbox.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use super::item::Item;
use crate::{
    delta::{Journal, Moment, Removal},
    ids,
};

/// The items of one kind in one mailbox, behind a lock of their own.
#[derive(Debug, Default)]
pub(crate) struct Items {
    shelf: RwLock<Shelf>,
    /// Their changes; written while `shelf` is held, so that both have the same order.
    pub(crate) journal: Journal,
}

#[derive(Debug, Default)]
struct Shelf {
    by_id: HashMap<Arc<str>, (u64, Arc<Item>)>,
    by_age: BTreeMap<u64, Arc<Item>>,
    /// The ids of those that have an immutable one too, by what both have in common.
    by_kept: HashMap<Box<str>, Arc<str>>,
    next: u64,
}

impl Items {
    /// The item with this id, or this immutable id. Ids know case.
    pub(crate) fn get(&self, id: &str) -> Option<Arc<Item>> {
        let shelf = self.read();
        let id = shelf.resolve(id)?;
        shelf.by_id.get(id).map(|(_, item)| Arc::clone(item))
    }

    /// Puts a new item in.
    pub(crate) fn insert(&self, item: Item, moment: Moment) -> Arc<Item> {
        let item = Arc::new(item);
        let mut shelf = self.write();
        self.journal.record(&item, None, moment);
        let age = shelf.next;
        shelf.next += 1;
        shelf.by_age.insert(age, Arc::clone(&item));
        shelf
            .by_id
            .insert(Arc::clone(&item.id), (age, Arc::clone(&item)));
        if let Some(kept) = ids::kept(&item.id) {
            shelf.by_kept.insert(kept.into(), Arc::clone(&item.id));
        }
        item
    }

    /// Puts a new version of the item with this id in its place; `None` if there is no such item.
    pub(crate) fn update<E>(
        &self,
        id: &str,
        moment: Moment,
        change: impl FnOnce(&Item) -> Result<Item, E>,
    ) -> Result<Option<Arc<Item>>, E> {
        let mut shelf = self.write();
        let found = shelf.resolve(id).and_then(|id| shelf.by_id.get(id));
        let Some((age, current)) = found else {
            return Ok(None);
        };
        let age = *age;
        let item = Arc::new(change(current)?);
        self.journal.record(&item, None, moment);
        shelf.by_age.insert(age, Arc::clone(&item));
        shelf
            .by_id
            .insert(Arc::clone(&item.id), (age, Arc::clone(&item)));
        Ok(Some(item))
    }

    /// Takes the item with this id out.
    pub(crate) fn remove(&self, id: &str, moment: Moment) -> Option<Arc<Item>> {
        let mut shelf = self.write();
        let id: Arc<str> = shelf.resolve(id)?.into();
        let (age, item) = shelf.by_id.remove(&id)?;
        shelf.by_age.remove(&age);
        if let Some(kept) = ids::kept(&id) {
            shelf.by_kept.remove(kept);
        }
        self.journal.record(&item, Some(Removal::Deleted), moment);
        Some(item)
    }

    /// The newest items first, `skip` of those that `wanted` takes left out, at most `top`; and whether there are more.
    pub(crate) fn newest(
        &self,
        skip: usize,
        top: usize,
        wanted: impl Fn(&Item) -> bool,
    ) -> (Vec<Arc<Item>>, bool) {
        let shelf = self.read();
        let mut matching = shelf
            .by_age
            .values()
            .rev()
            .filter(|item| wanted(item))
            .skip(skip);
        let page = matching.by_ref().take(top).cloned().collect();
        (page, matching.next().is_some())
    }

    /// All items that `wanted` takes, oldest first.
    pub(crate) fn all(&self, wanted: impl Fn(&Item) -> bool) -> Vec<Arc<Item>> {
        self.read()
            .by_age
            .values()
            .filter(|item| wanted(item))
            .cloned()
            .collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, Shelf> {
        self.shelf.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Shelf> {
        self.shelf.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    /// The id that items are kept by.
    fn resolve<'a>(&'a self, id: &'a str) -> Option<&'a str> {
        match ids::kept_of_immutable(id) {
            Some(kept) => self.by_kept.get(kept).map(|id| &**id),
            None => Some(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::mailbox::item::Place;

    const NOW: Moment = Moment {
        at: tidings_domain::Timestamp::from_millis(0),
        lag: std::time::Duration::ZERO,
    };

    fn item(id: &str, subject: &str) -> Item {
        let fields = json!({"id": id, "subject": subject})
            .as_object()
            .unwrap()
            .clone();
        Item::new(fields, Place::default(), "ctx", None)
    }

    #[test]
    fn a_page_says_whether_more_follow() {
        let items = Items::default();
        for n in 0..5 {
            items.insert(item(&n.to_string(), "s"), NOW);
        }
        let (page, more) = items.newest(1, 2, |_| true);
        assert_eq!(page.iter().map(|i| &*i.id).collect::<Vec<_>>(), ["3", "2"]);
        assert!(more);
        let (page, more) = items.newest(3, 2, |_| true);
        assert_eq!((page.len(), more), (2, false));
    }

    #[test]
    fn an_update_keeps_the_place_and_a_removal_leaves_nothing() {
        let items = Items::default();
        items.insert(item("a", "old"), NOW);
        items.insert(item("b", "other"), NOW);
        let new = items
            .update("a", NOW, |_| Ok::<_, ()>(item("a", "new")))
            .unwrap()
            .unwrap();
        assert_eq!(new.fields["subject"], "new");
        assert_eq!(&*items.all(|_| true)[0].id, "a");
        assert!(items.remove("a", NOW).is_some() && items.get("a").is_none());
        assert_eq!(items.all(|_| true).len(), 1);
        let gone = items.update("a", NOW, |_| Err("never called"));
        assert!(gone.unwrap().is_none());
    }
}
