//! API keys.

use serde::Serialize;

use crate::{
    Timestamp,
    ids::{EnvironmentId, KeyId},
};

/// An API key, as it can be shown: the key itself is stored only as a hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApiKey {
    /// Its id.
    pub id: KeyId,
    /// The environment it opens; `None` opens all (the first admin key).
    pub environment: Option<EnvironmentId>,
    /// A name for people.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// The first characters of the key, to recognise it by.
    pub prefix: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a key may do.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Everything.
    Admin,
    /// Look at everything, change nothing.
    Read,
}

impl Scope {
    /// The scope's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Read => "read",
        }
    }
}
