//! What an error of PostgreSQL means for us.

use sqlx::{Error, error::DatabaseError};

use crate::StoreError;

/// Why a verb did not do what it was to do.
#[derive(Debug)]
pub(super) enum Undone {
    /// It has written nothing, and says why.
    Refused(StoreError),
    /// The database, or the way to it, failed.
    Sql(Error),
}

impl From<Error> for Undone {
    fn from(error: Error) -> Self {
        Self::Sql(error)
    }
}

impl From<Undone> for StoreError {
    fn from(undone: Undone) -> Self {
        match undone {
            Undone::Refused(error) => error,
            Undone::Sql(error) => answer(&error),
        }
    }
}

/// What an error means for the statement and the connection it came from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Trouble {
    /// The connection is of no more use: broken, or to a server that goes down, or that takes no writes any more.
    Lost,
    /// There is no space.
    Full,
    /// Somebody else was in the way; the same statement may succeed at once.
    Collision,
    /// It took too long, or there was no room for it.
    Busy,
    /// Only the statement failed; the row is the cause.
    Row,
}

impl Trouble {
    /// By SQLSTATE (PostgreSQL's appendix "Error Codes").
    pub(super) fn of(error: &Error) -> Self {
        let Error::Database(database) = error else {
            return match error {
                // What was sent or came does not fit the statement: a mistake of ours, not of the connection.
                Error::Encode(_)
                | Error::Decode(_)
                | Error::ColumnDecode { .. }
                | Error::ColumnNotFound(_)
                | Error::ColumnIndexOutOfBounds { .. }
                | Error::RowNotFound
                | Error::TypeNotFound { .. } => Self::Row,
                _ => Self::Lost,
            };
        };
        let code = database.code().unwrap_or_default();
        match &*code {
            "40001" | "40P01" => Self::Collision,
            "53100" => Self::Full,
            // Lock not available, query cancelled (a timeout), too many connections, out of memory.
            "55P03" | "57014" | "53200" | "53300" => Self::Busy,
            // Read-only: what was the primary is a standby now. Idle in a transaction for too long.
            "25006" | "25P03" => Self::Lost,
            _ => match code.get(..2) {
                // Connection exceptions, operator intervention, system and internal errors, authentication.
                Some("08" | "57" | "58" | "XX" | "28" | "3D") => Self::Lost,
                _ => Self::Row,
            },
        }
    }
}

/// What a verb answers when it failed with `error`.
pub(super) fn answer(error: &Error) -> StoreError {
    let detail = error.to_string();
    match Trouble::of(error) {
        Trouble::Full => StoreError::Full,
        Trouble::Collision | Trouble::Busy => StoreError::Overloaded,
        Trouble::Lost => StoreError::Unavailable { detail },
        Trouble::Row if is_data(error) => StoreError::Poison { detail },
        // A mistake in our own statements, or a row that is none of ours.
        Trouble::Row => match error {
            Error::ColumnDecode { .. } | Error::Decode(_) => StoreError::Corrupt { detail },
            _ => StoreError::Unavailable { detail },
        },
    }
}

/// Whether what was to be written is the cause: data exceptions, constraints, limits of the program.
fn is_data(error: &Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.is_some_and(|code| matches!(code.get(..2), Some("22" | "23" | "54")))
        || matches!(error, Error::Encode(_))
}

/// Whether a row was refused because another one has the same id or key.
pub(super) fn is_taken(error: &Error) -> bool {
    has_code(error, "23505")
}

/// Whether a row was refused because what it refers to does not exist, or could not go because others refer to it.
pub(super) fn is_reference(error: &Error) -> bool {
    has_code(error, "23503")
}

/// Whether a table is missing.
pub(super) fn is_no_table(error: &Error) -> bool {
    has_code(error, "42P01")
}

fn has_code(error: &Error, wanted: &str) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.is_some_and(|code| code == wanted)
}
