//! An isolated space, such as dev or prod.

use serde::Serialize;

use crate::{Timestamp, ids::EnvironmentId};

/// An isolated space with its own keys and everything below.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Environment {
    /// Stands in the notification URL.
    pub id: EnvironmentId,
    /// A name for people; unique.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}
