//! Telling a damaged file from a full or a read-only disk.
//!
//! A start looks at what it can within bounds: the newest entries always, and the whole of a small
//! file after a life that ended without closing it, which is when pages can be torn. The whole of
//! a large one is looked at by [`Store::check`], beside the work.

use std::path::Path;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::{OpenError, ReadError, Store};

/// How many of the newest entries are read at every start.
const ENTRIES_LOOKED_AT: u32 = 1_000;

/// Up to how many pages of 4 KiB a file is looked at as a whole before anything else, where the
/// last life did not close it.
const PAGES_LOOKED_AT: i64 = 2_048;

/// What kind of fault a refusal of SQLite's is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    Full,
    ReadOnly,
    Damaged,
    /// The disk did not do what it was told, or the file cannot be had.
    Disk,
    Other,
}

impl FaultKind {
    pub(crate) fn of(error: &rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::ReadOnly) => Self::ReadOnly,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged,
            Some(
                ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::FileLockingProtocolFailed,
            ) => Self::Disk,
            _ => Self::Other,
        }
    }
}

impl OpenError {
    /// What SQLite said of a file, as a refusal that says what to do.
    pub(crate) fn of(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_path_buf();
        match FaultKind::of(&source) {
            FaultKind::Full => Self::Full { path },
            FaultKind::ReadOnly => Self::ReadOnly { path },
            FaultKind::Damaged => Self::Damaged { path, found: source.to_string() },
            FaultKind::Disk => Self::Disk { path, source },
            FaultKind::Other => Self::Database { path, source },
        }
    }
}

/// Whether the last life left its write-ahead log behind: it ended without closing the file, or
/// somebody is reading it at this moment.
pub(crate) fn was_not_closed(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).is_ok_and(|log| log.len() > 0)
}

/// Looks at what can be looked at before a start without making it wait.
pub(crate) fn look(
    connection: &Connection,
    path: &Path,
    not_closed: bool,
) -> Result<(), OpenError> {
    let database = |source| OpenError::of(path, source);
    let pages: i64 =
        connection.pragma_query_value(None, "page_count", |row| row.get(0)).map_err(database)?;
    if not_closed && pages <= PAGES_LOOKED_AT {
        if let Some(found) = fault_in(connection).map_err(database)? {
            return Err(OpenError::Damaged { path: path.to_path_buf(), found });
        }
        return Ok(());
    }
    // Adding up their lengths alone would not read what lies on pages of its own.
    connection
        .query_row(
            "SELECT total(instr(body, x'00')) FROM
                 (SELECT body FROM journal ORDER BY seq DESC LIMIT ?1)",
            [ENTRIES_LOOKED_AT],
            |_| Ok(()),
        )
        .map_err(database)
}

/// The first thing that is wrong with a database.
fn fault_in(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let said: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok((said != "ok").then_some(said))
}

impl Store {
    /// Looks at the whole file, over a connection of its own, and gives the first thing that is
    /// wrong with it, if anything is. The cost follows from the size of the file, about a second
    /// for 200 MiB: it is for a thread that nobody waits for.
    ///
    /// # Errors
    /// [`ReadError::Database`] where the file cannot be looked at.
    pub fn check(&self) -> Result<Option<String>, ReadError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let found = Connection::open_with_flags(&self.path, flags).and_then(|own| fault_in(&own));
        match found {
            Err(error) if FaultKind::of(&error) == FaultKind::Damaged => {
                Ok(Some(error.to_string()))
            }
            found => Ok(found?),
        }
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi::{self, Error};

    use super::FaultKind;

    #[test]
    fn what_sqlite_says_is_told_apart_by_what_there_is_to_do() {
        let cases = [
            (ffi::SQLITE_FULL, FaultKind::Full),
            (ffi::SQLITE_READONLY, FaultKind::ReadOnly),
            (ffi::SQLITE_READONLY_DIRECTORY, FaultKind::ReadOnly),
            (ffi::SQLITE_CORRUPT, FaultKind::Damaged),
            (ffi::SQLITE_NOTADB, FaultKind::Damaged),
            (ffi::SQLITE_IOERR_FSYNC, FaultKind::Disk),
            (ffi::SQLITE_CANTOPEN, FaultKind::Disk),
            (ffi::SQLITE_PERM, FaultKind::Disk),
            (ffi::SQLITE_BUSY, FaultKind::Other),
            (ffi::SQLITE_CONSTRAINT, FaultKind::Other),
        ];
        for (code, kind) in cases {
            let error = rusqlite::Error::SqliteFailure(Error::new(code), None);
            assert_eq!(FaultKind::of(&error), kind, "{error}");
        }
        assert_eq!(FaultKind::of(&rusqlite::Error::QueryReturnedNoRows), FaultKind::Other);
    }
}
