//! What an empty store gets at its first start: an environment, and an admin key in a file.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tidings_domain::{
    Secret,
    environment::Environment,
    key::Scope,
    page::{Page, PageLimit},
};

use super::{Manage, ManageError, environment, key::NewKey};

/// Why the first start could not be finished.
#[derive(Debug, thiserror::Error)]
pub enum FirstStartError {
    /// The admin key could not be written.
    #[error("cannot write the admin key to {}: {error}", path.display())]
    KeyFile {
        /// Where it was to be.
        path: PathBuf,
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

impl Manage {
    /// Makes the default environment if there is none, and an admin key in `data_dir` if there is no key at all. Gives
    /// the default environment: the oldest.
    pub async fn first_start(&self, data_dir: &Path) -> Result<Environment, FirstStartError> {
        let there = self.store.environments().await.map_err(ManageError::from)?;
        let environment = match there.into_iter().next() {
            Some(oldest) => oldest,
            None => self.create_environment(environment::DEFAULT).await?,
        };
        let one = PageLimit::new(1).unwrap_or_default();
        let keys = self
            .store
            .keys(None, Page::first(one))
            .await
            .map_err(ManageError::from)?;
        if keys.items.is_empty() {
            let text = Secret::new(format!(
                "tdk_{}",
                URL_SAFE_NO_PAD.encode(self.entropy.bytes::<32>())
            ));
            let path = data_dir.join(KEY_FILE);
            // The file first: a crash in between leaves a key that opens nothing and is replaced at the next start,
            // not one that opens everything and that nobody has.
            write_private(&path, text.expose())
                .map_err(|error| FirstStartError::KeyFile { path, error })?;
            let new = NewKey {
                environment: None,
                name: "first admin key".to_owned(),
                scope: Scope::Admin,
            };
            self.store_key(new, &text).await?;
        }
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
