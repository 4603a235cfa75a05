//! Drives: files and folders as a tree (Microsoft's "driveItem resource type" page). Contents are not kept, only their size.

mod entry;

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use serde_json::{Map, Value, json};
use tidings_domain::Entropy;
use uuid::Uuid;

use crate::{
    delta::Moment,
    ids,
    mailbox::{Stamp, item::Item, items::Items},
};
use entry::Facet;

/// The drive of a user.
#[derive(Debug)]
pub(crate) struct Drive {
    /// Its id.
    pub(crate) id: String,
    /// The id of its root.
    root: Arc<str>,
    /// Everything in it, the root too.
    pub(crate) items: Items,
    /// Goes up when the service forgets the states of delta queries.
    generation: AtomicU32,
}

/// Why something cannot be done to an item of a drive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DriveError {
    /// Something with this name lies there.
    #[error("An item with the same name already exists under the parent.")]
    NameTaken,
    /// There is no such item.
    #[error("The resource could not be found.")]
    NotFound,
    /// What was asked for makes no sense: no name, a folder inside itself, the root.
    #[error("{0}")]
    Invalid(&'static str),
}

impl Drive {
    /// An empty drive of `owner`.
    pub(crate) fn new(owner: Uuid, entropy: &dyn Entropy) -> Self {
        let id = ids::drive(owner);
        let root = entry::root(&id, entropy);
        let items = Items::default();
        let root = items.insert(root, Moment::default());
        Self {
            id,
            root: Arc::clone(&root.id),
            items,
            generation: AtomicU32::new(1),
        }
    }

    /// The generation of the states of delta queries that the service remembers.
    pub(crate) fn generation(&self) -> u32 {
        self.generation.load(Ordering::Acquire)
    }

    /// Forgets the states of delta queries: every link that was given out is void.
    pub(crate) fn evict(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// An item by its id; the root also by that word.
    pub(crate) fn get(&self, id: &str) -> Option<Arc<Item>> {
        if id.eq_ignore_ascii_case("root") {
            return self.items.get(&self.root);
        }
        self.items.get(id)
    }

    /// The item that one reaches from another by names. Names know no case.
    pub(crate) fn walk<'a>(
        &self,
        from: &str,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Option<Arc<Item>> {
        let mut here = self.get(from)?;
        for name in names {
            here = self.child(&here.id, name)?;
        }
        Some(here)
    }

    /// What lies in a folder, oldest first.
    pub(crate) fn children(&self, folder: &str) -> Vec<Arc<Item>> {
        self.items.all(|item| *item.place.folder == *folder)
    }

    /// Makes a folder in another.
    pub(crate) fn create_folder(
        &self,
        parent: &Item,
        name: &str,
        stamp: &Stamp<'_>,
    ) -> Result<Arc<Item>, DriveError> {
        self.create(parent, name, Facet::Folder, stamp)
    }

    /// Puts a file of `size` bytes in a folder, or a new content in the one of that name.
    pub(crate) fn put_file(
        &self,
        parent: &Item,
        name: &str,
        size: u64,
        stamp: &Stamp<'_>,
    ) -> Result<Arc<Item>, DriveError> {
        let Some(found) = self.child(&parent.id, name) else {
            return self.create(parent, name, Facet::File(size), stamp);
        };
        self.put_content(&found, size, stamp)
    }

    /// Gives a file another content.
    pub(crate) fn put_content(
        &self,
        file: &Item,
        size: u64,
        stamp: &Stamp<'_>,
    ) -> Result<Arc<Item>, DriveError> {
        if !entry::is_file(file) {
            return Err(DriveError::Invalid("A folder has no content."));
        }
        let changed = self.items.update(&file.id, stamp.moment, |current| {
            Ok::<_, DriveError>(entry::with_content(current, size, stamp))
        })?;
        changed.ok_or(DriveError::NotFound)
    }

    /// Gives an item another name (`name`) or folder (`parentReference.id`), or both.
    pub(crate) fn change(
        &self,
        id: &str,
        members: &Map<String, Value>,
        stamp: &Stamp<'_>,
    ) -> Result<Arc<Item>, DriveError> {
        let current = self.get(id).ok_or(DriveError::NotFound)?;
        if current.id == self.root {
            return Err(DriveError::Invalid("The root cannot be changed."));
        }
        let name = match members.get("name").map(Value::as_str) {
            None => entry::name(&current).to_owned(),
            Some(Some(name)) if entry::is_name(name) => name.to_owned(),
            Some(_) => return Err(DriveError::Invalid("The provided name is not valid.")),
        };
        let parent = members
            .get("parentReference")
            .and_then(|parent| parent["id"].as_str())
            .unwrap_or(&current.place.folder);
        let parent = self.get(parent).ok_or(DriveError::NotFound)?;
        if self.lies_in(&parent, &current.id) {
            return Err(DriveError::Invalid("A folder cannot be moved into itself."));
        }
        if self
            .child(&parent.id, &name)
            .is_some_and(|other| other.id != current.id)
        {
            return Err(DriveError::NameTaken);
        }
        let changed = self.items.update(&current.id, stamp.moment, |current| {
            Ok::<_, DriveError>(entry::moved(current, &name, &parent.id, stamp))
        })?;
        changed.ok_or(DriveError::NotFound)
    }

    /// Deletes an item with all that lies in it; what is gone.
    pub(crate) fn delete(&self, id: &str, moment: Moment) -> Result<Vec<Arc<Item>>, DriveError> {
        let item = self.get(id).ok_or(DriveError::NotFound)?;
        if item.id == self.root {
            return Err(DriveError::Invalid("The root cannot be deleted."));
        }
        let mut gone = Vec::new();
        for child in self.children(&item.id) {
            gone.extend(self.delete(&child.id, moment)?);
        }
        gone.extend(self.items.remove(&item.id, moment));
        Ok(gone)
    }

    /// The JSON of an item as it is now, with what is not kept in it: how many lie in a folder, and its path.
    pub(crate) fn json(&self, item: &Item) -> Map<String, Value> {
        let mut fields = item.fields.clone();
        if !entry::is_file(item) {
            fields.insert(
                "folder".into(),
                json!({"childCount": self.children(&item.id).len()}),
            );
        }
        if let Some(parent) = fields.get_mut("parentReference")
            && item.id != self.root
        {
            parent["path"] = format!("/drives/{}/root:{}", self.id, self.path(item)).into();
        }
        fields
    }

    fn create(
        &self,
        parent: &Item,
        name: &str,
        facet: Facet,
        stamp: &Stamp<'_>,
    ) -> Result<Arc<Item>, DriveError> {
        if entry::is_file(parent) {
            return Err(DriveError::Invalid("A file holds no items."));
        }
        if !entry::is_name(name) {
            return Err(DriveError::Invalid("The provided name is not valid."));
        }
        if self.child(&parent.id, name).is_some() {
            return Err(DriveError::NameTaken);
        }
        let item = entry::new(&self.id, &parent.id, name, facet, stamp);
        Ok(self.items.insert(item, stamp.moment))
    }

    fn child(&self, folder: &str, name: &str) -> Option<Arc<Item>> {
        let mut children = self.children(folder).into_iter();
        children.find(|child| entry::name(child).eq_ignore_ascii_case(name))
    }

    /// Whether `item` is `folder` or lies somewhere in it.
    fn lies_in(&self, item: &Item, folder: &str) -> bool {
        *item.id == *folder
            || self
                .items
                .get(&item.place.folder)
                .is_some_and(|parent| self.lies_in(&parent, folder))
    }

    /// The names from the root to the folder that an item lies in.
    fn path(&self, item: &Item) -> String {
        match self.items.get(&item.place.folder) {
            Some(parent) if parent.id != self.root => {
                format!("{}/{}", self.path(&parent), entry::name(&parent))
            }
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use tidings_domain::entropy::SeededEntropy;

    use super::*;
    use crate::mailbox::Author;

    fn with(run: impl FnOnce(&Drive, &Stamp<'_>)) {
        let entropy = SeededEntropy::new(1);
        let stamp = Stamp {
            moment: Moment::default(),
            entropy: &entropy,
            author: Author {
                user: Uuid::nil(),
                name: "Ada Byron",
                mail: "ada@fabrikam.example",
            },
        };
        run(&Drive::new(Uuid::nil(), &entropy), &stamp);
    }

    #[test]
    fn names_lead_to_items_and_are_taken_once_in_a_folder() {
        with(|drive, stamp| {
            let root = drive.get("root").unwrap();
            let folder = drive.create_folder(&root, "Work", stamp).unwrap();
            let file = drive.put_file(&folder, "a.txt", 3, stamp).unwrap();
            assert_eq!(drive.walk("root", ["work", "A.TXT"]).unwrap().id, file.id);
            assert_eq!(
                drive.json(&file)["parentReference"]["path"],
                format!("/drives/{}/root:/Work", drive.id)
            );
            assert_eq!(drive.json(&root)["folder"]["childCount"], 1);
            let again = drive.create_folder(&root, "work", stamp);
            assert_eq!(again.unwrap_err(), DriveError::NameTaken);
            let changed = drive.put_file(&folder, "a.txt", 5, stamp).unwrap();
            assert_eq!(changed.id, file.id);
            assert_ne!(changed.fields["cTag"], file.fields["cTag"]);
        });
    }

    #[test]
    fn a_folder_goes_with_what_lies_in_it_and_never_into_itself() {
        with(|drive, stamp| {
            let root = drive.get("root").unwrap();
            let outer = drive.create_folder(&root, "outer", stamp).unwrap();
            let inner = drive.create_folder(&outer, "inner", stamp).unwrap();
            drive.put_file(&inner, "a", 0, stamp).unwrap();
            let into = json!({"parentReference": {"id": &*inner.id}});
            let moved = drive.change(&outer.id, into.as_object().unwrap(), stamp);
            assert!(matches!(moved, Err(DriveError::Invalid(_))));
            drive.delete(&outer.id, stamp.moment).unwrap();
            assert_eq!(drive.items.all(|_| true).len(), 1);
            assert!(drive.delete("root", stamp.moment).is_err());
        });
    }
}
