//! What can go wrong with the database, sorted by what to do about it.

use rusqlite::ErrorCode;

use crate::platform::Problem;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The wish makes no sense here; trying again will not help.
    #[error("{0}")]
    Refused(Problem),
    /// SQLite reports an error.
    #[error("{0}")]
    Database(#[from] rusqlite::Error),
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

impl Trouble {
    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused(_) => None,
            Self::Database(error) => error.sqlite_error_code(),
        }
    }

    /// The disk or another process stands in the way: the same wish may succeed later.
    pub fn may_pass(&self) -> bool {
        use ErrorCode::*;
        matches!(
            self.code(),
            Some(
                DiskFull
                    | SystemIoFailure
                    | ReadOnly
                    | DatabaseBusy
                    | DatabaseLocked
                    | CannotOpen
                    | PermissionDenied
                    | OutOfMemory
            )
        )
    }

    /// Only the search index is damaged.
    pub fn is_index_damage(&self) -> bool {
        let extended = match self {
            Self::Database(error) => error.sqlite_error().map(|error| error.extended_code),
            Self::Refused(_) => None,
        };
        extended == Some(rusqlite::ffi::SQLITE_CORRUPT_VTAB)
    }

    /// The file itself is damaged or is no database.
    pub fn is_corruption(&self) -> bool {
        matches!(self.code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
    }

    /// As one line a person can act on.
    pub fn into_problem(self) -> Problem {
        use ErrorCode::*;
        let code = self.code();
        match self {
            Self::Refused(problem) => problem,
            Self::Database(error) => {
                let problem = Problem::new(format!("the conversations cannot be kept: {error}"));
                match code {
                    Some(DiskFull) => problem.hint("free some disk space; nothing is lost so far"),
                    Some(ReadOnly | CannotOpen | PermissionDenied) => {
                        problem.hint("make the data folder writable")
                    }
                    Some(DatabaseBusy | DatabaseLocked) => {
                        problem.hint("another program holds the database; close it")
                    }
                    _ => problem,
                }
            }
        }
    }
}
