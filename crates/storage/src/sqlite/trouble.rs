//! What an error of SQLite means for us.

use rusqlite::{Error, ErrorCode, ffi};

use crate::StoreError;

/// What an error means for the transaction and the connection it came from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Trouble {
    /// The disk or the files are not to be trusted: nothing is acknowledged on this connection any more.
    Grave,
    /// There is no space. Nothing is damaged.
    Full,
    /// Somebody else holds a lock: another program reads or writes the file.
    Busy,
    /// Only the statement failed; the row is the cause.
    Row,
}

impl Trouble {
    pub(super) fn of(error: &Error) -> Self {
        let Some(failure) = error.sqlite_error() else {
            return Self::Row;
        };
        match failure.code {
            ErrorCode::SystemIoFailure
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::ReadOnly
            | ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::OutOfMemory
            | ErrorCode::InternalMalfunction
            | ErrorCode::NoLargeFileSupport => Self::Grave,
            ErrorCode::DiskFull => Self::Full,
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Busy,
            _ => Self::Row,
        }
    }
}

/// What a verb answers when it failed with `error`.
pub(super) fn answer(error: &Error) -> StoreError {
    let detail = error.to_string();
    let Some(failure) = error.sqlite_error() else {
        // What was read is not what must stand there; everything else here is a mistake in our own statements.
        return if matches!(
            error,
            Error::FromSqlConversionFailure(..)
                | Error::InvalidColumnType(..)
                | Error::IntegralValueOutOfRange(..)
        ) {
            StoreError::Corrupt { detail }
        } else {
            StoreError::Unavailable { detail }
        };
    };
    match failure.code {
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StoreError::Corrupt { detail },
        ErrorCode::DiskFull => StoreError::Full,
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreError::Overloaded,
        ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch => {
            StoreError::Poison { detail }
        }
        _ => StoreError::Unavailable { detail },
    }
}

/// Whether a row was refused because another one has the same id or key.
pub(super) fn is_taken(error: &Error) -> bool {
    extended(error).is_some_and(|code| {
        matches!(
            code,
            ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
        )
    })
}

/// Whether a row was refused because what it refers to does not exist, or could not go because others refer to it.
pub(super) fn is_reference(error: &Error) -> bool {
    extended(error) == Some(ffi::SQLITE_CONSTRAINT_FOREIGNKEY)
}

fn extended(error: &Error) -> Option<i32> {
    error.sqlite_error().map(|failure| failure.extended_code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: i32) -> Error {
        Error::SqliteFailure(ffi::Error::new(code), None)
    }

    #[test]
    fn each_code_means_what_it_must() {
        for (code, trouble) in [
            (ffi::SQLITE_IOERR_FSYNC, Trouble::Grave),
            (ffi::SQLITE_IOERR_WRITE, Trouble::Grave),
            (ffi::SQLITE_IOERR_READ, Trouble::Grave),
            (ffi::SQLITE_CORRUPT, Trouble::Grave),
            (ffi::SQLITE_NOTADB, Trouble::Grave),
            (ffi::SQLITE_READONLY, Trouble::Grave),
            (ffi::SQLITE_CANTOPEN, Trouble::Grave),
            (ffi::SQLITE_FULL, Trouble::Full),
            (ffi::SQLITE_BUSY, Trouble::Busy),
            (ffi::SQLITE_CONSTRAINT_UNIQUE, Trouble::Row),
            (ffi::SQLITE_TOOBIG, Trouble::Row),
        ] {
            assert_eq!(Trouble::of(&failure(code)), trouble, "{code}");
        }
    }

    #[test]
    fn a_full_disk_is_no_damage_and_damage_is_no_poison() {
        assert!(matches!(
            answer(&failure(ffi::SQLITE_FULL)),
            StoreError::Full
        ));
        assert!(matches!(
            answer(&failure(ffi::SQLITE_CORRUPT)),
            StoreError::Corrupt { .. }
        ));
        assert!(matches!(
            answer(&failure(ffi::SQLITE_IOERR_FSYNC)),
            StoreError::Unavailable { .. }
        ));
        assert!(matches!(
            answer(&failure(ffi::SQLITE_CONSTRAINT_UNIQUE)),
            StoreError::Poison { .. }
        ));
    }
}
