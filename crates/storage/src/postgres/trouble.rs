//! What an error of PostgreSQL means for us.

use sqlx::{Error, error::DatabaseError};

use crate::StoreError;

/// `data_corrupted`: a page of a table is not what was written.
const DAMAGED_DATA: &str = "XX001";
/// `index_corrupted`.
const DAMAGED_INDEX: &str = "XX002";

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
            // A damaged page or index: a new connection reads the same.
            DAMAGED_DATA | DAMAGED_INDEX => Self::Row,
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
        Trouble::Row if has_code(error, DAMAGED_DATA) || has_code(error, DAMAGED_INDEX) => {
            StoreError::Corrupt { detail }
        }
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

#[cfg(test)]
mod tests {
    use std::{borrow::Cow, error, fmt};

    use sqlx::error::ErrorKind;

    use super::*;

    /// What the server says with this SQLSTATE.
    #[derive(Debug)]
    struct Said(&'static str);

    impl fmt::Display for Said {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl error::Error for Said {}

    impl DatabaseError for Said {
        fn message(&self) -> &str {
            self.0
        }

        fn code(&self) -> Option<Cow<'_, str>> {
            Some(self.0.into())
        }

        fn as_error(&self) -> &(dyn error::Error + Send + Sync + 'static) {
            self
        }

        fn as_error_mut(&mut self) -> &mut (dyn error::Error + Send + Sync + 'static) {
            self
        }

        fn into_error(self: Box<Self>) -> Box<dyn error::Error + Send + Sync + 'static> {
            self
        }

        fn kind(&self) -> ErrorKind {
            ErrorKind::Other
        }
    }

    #[test]
    fn damage_is_no_lost_connection() {
        for (code, trouble) in [
            ("XX000", Trouble::Lost),
            (DAMAGED_DATA, Trouble::Row),
            (DAMAGED_INDEX, Trouble::Row),
            ("57P01", Trouble::Lost),
            ("23505", Trouble::Row),
        ] {
            let error = Error::Database(Box::new(Said(code)));
            assert_eq!(Trouble::of(&error), trouble, "{code}");
            let damaged = matches!(answer(&error), StoreError::Corrupt { .. });
            assert_eq!(
                damaged,
                code == DAMAGED_DATA || code == DAMAGED_INDEX,
                "{code}"
            );
        }
    }
}
