//! Snapshots of the state that the journal adds up to, so that a start reads what happened since
//! the last one and not everything that ever happened.
//!
//! What stands in one is the caller's own affair. It is no evidence and no part of the chain, but
//! it bears a keyed hash over itself and the entry it stands at: who could write to the file
//! without the key could otherwise put words into the gateway's mouth that no entry says.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::audit::{Chain, Head, hash};
use crate::schema::Circumstances;

/// How many snapshots are kept: the one that is used, and one in case it cannot be.
const KEPT: u32 = 2;

const TABLES: &str = "
CREATE TABLE snapshots (
    seq INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    body TEXT NOT NULL,
    mac BLOB NOT NULL
) STRICT;
ALTER TABLE journal_head ADD COLUMN newest_at_ms INTEGER NOT NULL DEFAULT 0;
UPDATE journal_head SET newest_at_ms =
    COALESCE((SELECT at_ms FROM journal ORDER BY seq DESC LIMIT 1), 0);
";

/// A snapshot that is ours, and those newer ones that are not.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The number of the last entry it stands for; 0 where there is none.
    pub(crate) seq: u64,
    /// What it says.
    pub(crate) body: Option<String>,
    /// How many newer ones were changed by something else and are not used.
    pub(crate) passed_over: u32,
}

/// The fourth version of the tables.
pub(crate) fn tables(transaction: &Transaction<'_>, _: &Circumstances<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(TABLES)
}

/// Writes a snapshot that stands for everything up to the chain's head.
pub(crate) fn write(
    connection: &Connection,
    chain: &Chain,
    at_ms: i64,
    body: &str,
) -> rusqlite::Result<()> {
    let seq = chain.head.seq.cast_signed();
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO snapshots (seq, at_ms, body, mac) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![seq, at_ms, body, &chain.of_snapshot(at_ms, body)[..]])?;
    connection
        .prepare_cached(
            "DELETE FROM snapshots WHERE seq <
             (SELECT min(seq) FROM (SELECT seq FROM snapshots ORDER BY seq DESC LIMIT ?1))",
        )?
        .execute([KEPT])
        .map(drop)
}

/// The newest snapshot that was made with the key, at an entry that still stands where it stood.
pub(crate) fn newest(connection: &Connection, chain: &Chain) -> rusqlite::Result<Found> {
    let mut found = Found::default();
    let mut statement = connection
        .prepare("SELECT seq, at_ms, body, mac FROM snapshots ORDER BY seq DESC LIMIT ?1")?;
    let mut rows = statement.query([KEPT])?;
    while let Some(row) = rows.next()? {
        let (seq, at_ms): (i64, i64) = (row.get(0)?, row.get(1)?);
        let body: String = row.get(2)?;
        let mut at = chain.clone();
        if let Some(head) = head_at(connection, seq)? {
            at.head = head;
            if at.of_snapshot(at_ms, &body) == hash(row.get(3)?) {
                return Ok(Found { seq: seq.cast_unsigned(), body: Some(body), ..found });
            }
        }
        found.passed_over += 1;
    }
    Ok(found)
}

/// The entry a snapshot stands at.
fn head_at(connection: &Connection, seq: i64) -> rusqlite::Result<Option<Head>> {
    if seq == 0 {
        return Ok(Some(Head::NONE));
    }
    connection
        .prepare_cached("SELECT mac FROM journal WHERE seq = ?1")?
        .query_row([seq], |row| Ok(Head { seq: seq.cast_unsigned(), mac: hash(row.get(0)?) }))
        .optional()
}
