//! What an empty store gets at its first start: an environment, and an admin key.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use tidings_domain::{
    Clock, Entropy, Ids, Secret,
    environment::Environment,
    key::Scope,
    page::{Page, PageLimit},
};
use tidings_storage::Store;

use super::{Manage, ManageError, environment, key};
use crate::directory::Change;

/// Why the first start could not be finished.
#[derive(Debug, thiserror::Error)]
pub enum FirstStartError {
    /// The admin key could not be handed over.
    #[error("cannot write the admin key{}: {error}", path.as_ref().map(|path| format!(" to {}", path.display())).unwrap_or_default())]
    Key {
        /// The file that it was to be in, if it was to be in one.
        path: Option<PathBuf>,
        /// What failed.
        #[source]
        error: io::Error,
    },
    /// The rows could not be made.
    #[error(transparent)]
    Manage(#[from] ManageError),
}

/// The admin key's file in the data folder.
const KEY_FILE: &str = "admin.key";

/// Makes the default environment if there is none, and an admin key if there is no key at all, which `keep` gets first:
/// a crash in between leaves a key that opens nothing and is replaced at the next try, not one that opens everything
/// and that nobody has. Gives the default environment: the oldest.
pub async fn prepare(
    store: &dyn Store,
    ids: &Ids,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
    keep: impl FnOnce(&Secret) -> Result<(), FirstStartError> + Send,
) -> Result<Environment, FirstStartError> {
    let there = store.environments().await.map_err(ManageError::from)?;
    let environment = if let Some(oldest) = there.into_iter().next() {
        oldest
    } else {
        let first = environment::made(environment::DEFAULT, ids, clock.now())?;
        let made = store.create_environment(first.clone()).await;
        made.map_err(ManageError::from)?;
        first
    };
    let one = PageLimit::new(1).unwrap_or_default();
    let keys = store.keys(None, Page::first(one)).await;
    if keys.map_err(ManageError::from)?.items.is_empty() {
        let text = key::random(entropy);
        keep(&text)?;
        let new = key::NewKey {
            environment: None,
            name: "first admin key".to_owned(),
            scope: Scope::Admin,
        };
        let key = key::made(&new, &text, ids, clock.now())?;
        store.create_key(key).await.map_err(ManageError::from)?;
    }
    Ok(environment)
}

impl Manage {
    /// Does what [`prepare`] does, with the admin key in a file in `data_dir`.
    pub async fn first_start(&self, data_dir: &Path) -> Result<Environment, FirstStartError> {
        let path = data_dir.join(KEY_FILE);
        let keep = |key: &Secret| {
            write_private(&path, key.expose()).map_err(|error| FirstStartError::Key {
                path: Some(path.clone()),
                error,
            })
        };
        let environment =
            prepare(&*self.store, &self.ids, &*self.clock, &*self.entropy, keep).await?;
        // It is on disk; the directory repeats a refresh that fails.
        let change = Change::Environment(environment.id);
        let _ = self.directory.refresh(change).await;
        Ok(environment)
    }
}

/// Writes `text` to a file that only its owner can read, all of it or nothing.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    // One that is left over from a crash may have other permissions.
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, path)
}
