//! Reading the journal as evidence: with or without a gateway that has it open.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, Row, params};
use serde::Serialize;
use serde_json::Value;

use super::Key;

/// A journal, open for reading.
pub struct AuditLog {
    pub(super) connection: Connection,
    pub(super) key: Option<Key>,
}

/// Which entries are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Not older than this, in milliseconds since 1970.
    pub since_ms: Option<u64>,
    /// Of this kind alone.
    pub kind: Option<String>,
    /// The newest so many; all where it is not said.
    pub limit: Option<u32>,
}

/// An entry of the journal.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// Its number, from 1.
    pub seq: u64,
    /// When it was written, in milliseconds since 1970.
    pub at_ms: u64,
    /// What kind of thing happened.
    pub kind: String,
    /// The run it is about, if it is about one.
    pub run: Option<String>,
    /// What happened.
    pub body: Value,
    /// The keyed hash of this entry and all before it, in hexadecimal.
    pub mac: String,
}

/// Why the journal could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// There is none.
    #[error("there is no journal at {0} yet")]
    None(PathBuf),
    /// It is from before there was a chain.
    #[error("{0} has no audit chain yet; the next start of the gateway makes one")]
    Unchained(PathBuf),
    /// The key cannot be read.
    #[error("the key of the audit chain cannot be read: {0}")]
    Key(#[from] io::Error),
    /// There is no key.
    #[error("audit.key is missing or is no key, so nothing can be verified")]
    NoKey,
    /// SQLite could not read.
    #[error("the journal cannot be read: {0}")]
    Database(#[from] rusqlite::Error),
    /// An entry makes no sense.
    #[error("entry {seq} of the journal cannot be understood: {source}")]
    Entry {
        /// Its number.
        seq: u64,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl AuditLog {
    /// Opens the journal of a state directory.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn open(directory: &Path) -> Result<Self, AuditError> {
        let path = directory.join("hatchery.db");
        if !path.exists() {
            return Err(AuditError::None(path));
        }
        // Write-ahead logs need a file that readers share; `query_only` keeps this from more.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags)?;
        connection.execute_batch("PRAGMA query_only = ON; PRAGMA busy_timeout = 5000;")?;
        let columns: i64 = connection.query_row(
            "SELECT count(*) FROM pragma_table_info('journal') WHERE name = 'mac'",
            [],
            |row| row.get(0),
        )?;
        if columns == 0 {
            return Err(AuditError::Unchained(path));
        }
        Ok(Self { connection, key: Key::read(directory)? })
    }

    /// Shows the wanted entries, the oldest first, until told to stop.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn entries(
        &self,
        filter: &AuditFilter,
        mut show: impl FnMut(AuditEntry) -> ControlFlow<()>,
    ) -> Result<(), AuditError> {
        let mut statement = self.connection.prepare(
            "SELECT seq, at_ms, kind, run, body, mac FROM
                 (SELECT * FROM journal WHERE (?1 IS NULL OR kind = ?1)
                     AND (?2 IS NULL OR at_ms >= ?2) ORDER BY seq DESC LIMIT ?3)
             ORDER BY seq",
        )?;
        let limit = filter.limit.map_or(-1, i64::from);
        let since = filter.since_ms.map(u64::cast_signed);
        let mut rows = statement.query(params![filter.kind, since, limit])?;
        while let Some(row) = rows.next()? {
            if show(entry(row)?).is_break() {
                break;
            }
        }
        Ok(())
    }
}

fn entry(row: &Row<'_>) -> Result<AuditEntry, AuditError> {
    let seq = row.get::<_, i64>(0)?.cast_unsigned();
    let mac: Vec<u8> = row.get(5)?;
    Ok(AuditEntry {
        seq,
        at_ms: row.get::<_, i64>(1)?.cast_unsigned(),
        kind: row.get(2)?,
        run: row.get(3)?,
        body: serde_json::from_str(row.get_ref(4)?.as_str().unwrap_or_default())
            .map_err(|source| AuditError::Entry { seq, source })?,
        mac: mac.iter().map(|byte| format!("{byte:02x}")).collect(),
    })
}
