//! What SQLite says, turned into what the caller can do about it. Nothing else reads its codes.

use rusqlite::{Error, ErrorCode, ffi};

use crate::store::StoreError;

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        let meaning = meaning(&error);
        // The other three are answers. These two are for the operator, and only SQLite knows why.
        if matches!(meaning, StoreError::Unavailable | StoreError::Corrupt) {
            tracing::error!(%error, "database");
        }
        meaning
    }
}

fn meaning(error: &Error) -> StoreError {
    match error {
        Error::QueryReturnedNoRows => StoreError::NotFound,
        Error::SqliteFailure(failure, _) => match failure.code {
            ErrorCode::ConstraintViolation => broken_constraint(failure.extended_code),
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreError::Busy,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::TypeMismatch => StoreError::Corrupt,
            _ => StoreError::Unavailable,
        },
        // A stored value that is not what its column promises.
        Error::FromSqlConversionFailure(..) | Error::InvalidColumnType(..) | Error::IntegralValueOutOfRange(..) => {
            StoreError::Corrupt
        }
        _ => StoreError::Unavailable,
    }
}

/// A key that points nowhere names a row that does not exist. A value that a CHECK refuses should
/// have been refused long before it came here: someone must look.
fn broken_constraint(extended_code: i32) -> StoreError {
    match extended_code {
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY => StoreError::Conflict,
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => StoreError::NotFound,
        _ => StoreError::Corrupt,
    }
}

/// A word in a column that is none of the words the column may hold.
pub(super) fn unknown_word(column: usize, word: &str) -> Error {
    let why = format!("unknown word {word:?}");
    Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, why.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows what each kind of failure is called, with the codes SQLite gives.
    #[test]
    fn failures_are_named() {
        let failure = |code| StoreError::from(Error::SqliteFailure(ffi::Error::new(code), None));
        assert_eq!(failure(ffi::SQLITE_CONSTRAINT_UNIQUE), StoreError::Conflict);
        assert_eq!(failure(ffi::SQLITE_CONSTRAINT_PRIMARYKEY), StoreError::Conflict);
        assert_eq!(failure(ffi::SQLITE_CONSTRAINT_FOREIGNKEY), StoreError::NotFound);
        assert_eq!(failure(ffi::SQLITE_CONSTRAINT_CHECK), StoreError::Corrupt);
        assert_eq!(failure(ffi::SQLITE_BUSY), StoreError::Busy);
        assert_eq!(failure(ffi::SQLITE_FULL), StoreError::Unavailable);
        assert_eq!(failure(ffi::SQLITE_IOERR), StoreError::Unavailable);
        assert_eq!(failure(ffi::SQLITE_CORRUPT), StoreError::Corrupt);
        assert_eq!(StoreError::from(Error::QueryReturnedNoRows), StoreError::NotFound);
        assert_eq!(StoreError::from(unknown_word(0, "x")), StoreError::Corrupt);
    }
}
