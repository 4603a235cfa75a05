//! The folders of a mailbox: of mail, or of contacts.

use std::sync::{Arc, PoisonError, RwLock};

use serde_json::{Map, Value, json};
use tidings_domain::Entropy;

use super::item::{Item, Place};
use crate::{
    delta::{Journal, Moment, Removal},
    ids,
};

/// The folders of one kind in a mailbox.
#[derive(Debug)]
pub(crate) struct Folders {
    /// Above all of them; no list shows it.
    root: Arc<str>,
    shelf: RwLock<Vec<Arc<Folder>>>,
    /// Their changes. How many items lie in a folder is none of them.
    pub(crate) journal: Journal,
}

/// A folder.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    /// Its id.
    pub(crate) id: Arc<str>,
    /// The folder it lies in.
    pub(crate) parent: Arc<str>,
    /// Its members, but for the numbers of what lies in it.
    pub(crate) item: Arc<Item>,
    /// The name by which paths may call it (Microsoft's "mailFolder resource type" page).
    well_known: Option<&'static str>,
    /// Whether lists and delta queries show it.
    listed: bool,
}

impl Folders {
    /// The well-known mail folders.
    pub(crate) fn of_mail(entropy: &dyn Entropy) -> Self {
        Self::new(
            entropy,
            &[
                ("archive", "Archive"),
                ("deleteditems", "Deleted Items"),
                ("drafts", "Drafts"),
                ("inbox", "Inbox"),
                ("junkemail", "Junk Email"),
                ("outbox", "Outbox"),
                ("sentitems", "Sent Items"),
            ],
            true,
        )
    }

    /// The one contact folder that every mailbox has. Graph's list of contact folders does not show it.
    pub(crate) fn of_contacts(entropy: &dyn Entropy) -> Self {
        Self::new(entropy, &[("contacts", "Contacts")], false)
    }

    fn new(entropy: &dyn Entropy, well_known: &[(&'static str, &str)], listed: bool) -> Self {
        let folders = Self {
            root: Arc::from(ids::outlook(entropy)),
            shelf: RwLock::default(),
            journal: Journal::default(),
        };
        for &(name, display) in well_known {
            let id = Arc::from(ids::outlook(entropy));
            let folder = Folder {
                listed,
                ..Folder::new(id, &folders.root, display, Some(name))
            };
            folders.put(folder, Moment::default());
        }
        folders
    }

    /// The folder that a path calls by its id or, in any case, by its well-known name.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<Folder>> {
        let shelf = self.shelf.read().unwrap_or_else(PoisonError::into_inner);
        shelf.iter().find(|folder| folder.is_called(name)).cloned()
    }

    /// Those that lie in `parent`, or in no folder, oldest first, as lists show them.
    pub(crate) fn below(&self, parent: Option<&str>) -> Vec<Arc<Folder>> {
        let parent = parent.unwrap_or(&self.root);
        let shelf = self.shelf.read().unwrap_or_else(PoisonError::into_inner);
        let children = shelf
            .iter()
            .filter(|folder| folder.listed && *folder.parent == *parent);
        children.cloned().collect()
    }

    /// Makes a folder in `parent`, or in no folder.
    pub(crate) fn create(
        &self,
        parent: Option<&Folder>,
        display: &str,
        entropy: &dyn Entropy,
        moment: Moment,
    ) -> Arc<Folder> {
        let parent = parent.map_or(&self.root, |folder| &folder.id);
        let id = Arc::from(ids::outlook(entropy));
        self.put(Folder::new(id, parent, display, None), moment)
    }

    /// Gives a folder another name; `None` if there is no such folder.
    pub(crate) fn rename(&self, id: &str, display: &str, moment: Moment) -> Option<Arc<Folder>> {
        let found = self.find(id)?;
        let id = Arc::clone(&found.id);
        let folder = Folder {
            listed: found.listed,
            ..Folder::new(id, &found.parent, display, found.well_known)
        };
        Some(self.put(folder, moment))
    }

    /// Removes a folder; `None` if there is no such folder or it is a well-known one, which stay.
    pub(crate) fn remove(&self, id: &str, moment: Moment) -> Option<Arc<Folder>> {
        let mut shelf = self.shelf.write().unwrap_or_else(PoisonError::into_inner);
        let place = shelf
            .iter()
            .position(|folder| folder.is_called(id) && folder.well_known.is_none())?;
        let folder = shelf.remove(place);
        self.journal
            .record(&folder.item, Some(Removal::Deleted), moment);
        Some(folder)
    }

    fn put(&self, folder: Folder, moment: Moment) -> Arc<Folder> {
        let folder = Arc::new(folder);
        let mut shelf = self.shelf.write().unwrap_or_else(PoisonError::into_inner);
        if folder.listed {
            self.journal.record(&folder.item, None, moment);
        }
        match shelf.iter_mut().find(|other| other.id == folder.id) {
            Some(other) => *other = Arc::clone(&folder),
            None => shelf.push(Arc::clone(&folder)),
        }
        folder
    }
}

impl Folder {
    fn new(
        id: Arc<str>,
        parent: &Arc<str>,
        display: &str,
        well_known: Option<&'static str>,
    ) -> Self {
        let fields = json!({"id": &*id, "displayName": display, "parentFolderId": &**parent});
        let fields = fields.as_object().cloned().unwrap_or_default();
        Self {
            item: Arc::new(Item::new(fields, Place::default(), "", None)),
            id,
            parent: Arc::clone(parent),
            well_known,
            listed: true,
        }
    }

    /// Whether a path may call it so.
    fn is_called(&self, name: &str) -> bool {
        let well_known = self.well_known;
        *self.id == *name || well_known.is_some_and(|known| known.eq_ignore_ascii_case(name))
    }
}

/// Adds the numbers that a mail folder shows to its members.
pub(crate) fn with_counts(
    fields: &Map<String, Value>,
    children: usize,
    messages: usize,
    unread: usize,
) -> Value {
    let mut all = fields.clone();
    all.insert("childFolderCount".into(), children.into());
    all.insert("totalItemCount".into(), messages.into());
    all.insert("unreadItemCount".into(), unread.into());
    all.insert("isHidden".into(), false.into());
    Value::Object(all)
}
