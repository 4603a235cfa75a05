//! API keys.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tidings_domain::{
    Entropy, Ids, Secret, Timestamp,
    ids::{EnvironmentId, KeyId},
    key::{ApiKey, Scope},
};
use tidings_storage::record::NewApiKey;

use super::{Manage, ManageError, invalid};

/// What every key begins with, so that people and secret scanners recognise one.
const PREFIX: &str = "tdk_";
/// How many of a key's characters are shown: enough to tell keys apart, too few to matter.
const SHOWN: usize = PREFIX.len() + 6;
/// How many keys the cache holds before it begins anew.
const CACHED: usize = 1_024;
/// For how long a key is not looked up again: one that another node removes opens nothing here after that.
const FRESH: Duration = Duration::from_millis(500);

/// A key that somebody asks for.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// The environment it is to open; `None` opens all.
    pub environment: Option<EnvironmentId>,
    /// A name for people.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
}

/// Keys that were seen to be right, by the hash of their text: each request would cost a read otherwise. Wrong ones
/// are not remembered, so that nobody can fill it by guessing.
#[derive(Debug, Default)]
pub struct KeyCache(Mutex<Cached>);

#[derive(Debug, Default)]
struct Cached {
    /// With the time until which they are fresh, on the monotonic clock.
    keys: HashMap<[u8; 32], (Duration, ApiKey)>,
    /// How many keys were removed: what was read from the store before a removal is not cached after it.
    removals: u64,
}

impl Manage {
    /// Makes a key. Its text is in the answer, and nowhere else.
    pub async fn create_key(&self, new: NewKey) -> Result<(ApiKey, Secret), ManageError> {
        let text = random(&*self.entropy);
        let new = made(&new, &text, &self.ids, self.clock.now())?;
        let key = new.key.clone();
        self.store.create_key(new).await?;
        Ok((key, text))
    }

    /// The key with this text, if it is one.
    pub async fn key(&self, text: &str) -> Result<Option<ApiKey>, ManageError> {
        if !text.starts_with(PREFIX) || text.len() > 128 {
            return Ok(None);
        }
        // Looked up by hash, so that the time it takes tells nothing about any key's text.
        let hash = hash(text);
        let now = self.clock.monotonic();
        let removals = {
            let cached = self.keys.lock();
            if let Some((until, key)) = cached.keys.get(&hash)
                && now < *until
            {
                return Ok(Some(key.clone()));
            }
            cached.removals
        };
        let key = self.store.key_by_hash(hash).await?;
        if let Some(key) = &key {
            let mut cached = self.keys.lock();
            if cached.removals == removals {
                if cached.keys.len() >= CACHED {
                    cached.keys.clear();
                }
                cached.keys.insert(hash, (now + FRESH, key.clone()));
            }
        } else {
            self.keys.lock().keys.remove(&hash);
        }
        Ok(key)
    }

    /// Removes a key: it opens nothing from then on. `false` if there is none.
    pub async fn delete_key(&self, id: KeyId) -> Result<bool, ManageError> {
        let deleted = self.store.delete_key(id).await?;
        let mut cached = self.keys.lock();
        cached.removals += 1;
        cached.keys.retain(|_, (_, key)| key.id != id);
        Ok(deleted)
    }
}

impl KeyCache {
    fn lock(&self) -> MutexGuard<'_, Cached> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The text of a new key.
pub(super) fn random(entropy: &dyn Entropy) -> Secret {
    let random = URL_SAFE_NO_PAD.encode(entropy.bytes::<32>());
    Secret::new(format!("{PREFIX}{random}"))
}

/// A key with this text, which is in no store yet.
pub(super) fn made(
    new: &NewKey,
    text: &Secret,
    ids: &Ids,
    now: Timestamp,
) -> Result<NewApiKey, ManageError> {
    let name = new.name.trim();
    if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
        return Err(invalid("/name", "a key's name has 1 to 100 characters"));
    }
    let key = ApiKey {
        id: ids.next(),
        environment: new.environment,
        name: name.to_owned(),
        scope: new.scope,
        prefix: text.expose().chars().take(SHOWN).collect(),
        created_at: now,
    };
    let hash = hash(text.expose());
    Ok(NewApiKey { key, hash })
}

fn hash(text: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    hash
}
