//! The tables, and how older ones become today's.

use rusqlite::{Connection, Transaction, params};

use hatchery_protocol::{AgentId, SessionId, SessionKey, SessionKind};

use crate::audit::{self, Key};
use crate::{conversations, snapshots, tables};

/// What a step may need beside the tables.
pub(crate) struct Circumstances<'a> {
    /// Milliseconds since 1970.
    pub(crate) now_ms: i64,
    /// The key of the journal's chain.
    pub(crate) key: &'a Key,
}

/// One step from a version of the tables to the next. What stands in them is kept.
type Migration = fn(&Transaction<'_>, &Circumstances<'_>) -> rusqlite::Result<()>;

/// The steps from an empty database to today's tables, in order. The version of a database is how
/// many of them it has taken; a step that was ever released is never changed, only followed.
const MIGRATIONS: &[Migration] = &[
    journal_and_projections,
    audit_chain,
    conversations::tables,
    snapshots::tables,
    tables::tables,
];

/// The version of the tables this program writes.
pub(crate) const VERSION: i64 = MIGRATIONS.len().cast_signed() as i64;

/// Everything but `journal` and `output` can be rebuilt from `journal`.
const TABLES: &str = "
CREATE TABLE journal (
    seq INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    run TEXT,
    body TEXT NOT NULL
) STRICT;

CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    agent TEXT NOT NULL,
    parent TEXT,
    label TEXT,
    created_at_ms INTEGER NOT NULL,
    run TEXT
) STRICT;
CREATE INDEX sessions_by_age ON sessions (created_at_ms);
CREATE INDEX sessions_by_parent ON sessions (parent);

CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    accepted INTEGER NOT NULL REFERENCES journal (seq),
    status TEXT NOT NULL,
    process TEXT,
    outcome TEXT
) STRICT;
CREATE INDEX live_runs ON runs (status) WHERE outcome IS NULL;

CREATE TABLE output (
    run TEXT NOT NULL,
    seq INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    stream TEXT NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE inbox (
    run TEXT PRIMARY KEY,
    session TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX inbox_by_session ON inbox (session);
";

/// Settings that only a database without a table can take: room that is no longer needed is given
/// back bit by bit.
pub(crate) const NEW_DATABASE: &str = "PRAGMA auto_vacuum = INCREMENTAL;";

/// Settings of a connection that writes: a commit is on disk before it returns, and its pages are
/// written once, at its end, also where they are more than the cache keeps otherwise.
pub(crate) const WRITER_SETTINGS: &str = "
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA wal_autocheckpoint = 0;
PRAGMA foreign_keys = ON;
PRAGMA cache_size = -2048;
PRAGMA cache_spill = OFF;
";

/// Takes the steps that a database of version `found` lacks, each in a transaction of its own.
pub(crate) fn migrate(
    connection: &mut Connection,
    found: i64,
    circumstances: &Circumstances<'_>,
) -> rusqlite::Result<()> {
    for (version, step) in (1i64..).zip(MIGRATIONS).filter(|(version, _)| *version > found) {
        let transaction = connection.transaction()?;
        step(&transaction, circumstances)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}

/// The tables of the first version, with the default agent's main session in them.
fn journal_and_projections(
    transaction: &Transaction<'_>,
    circumstances: &Circumstances<'_>,
) -> rusqlite::Result<()> {
    transaction.execute_batch(TABLES)?;
    let agent = AgentId::main();
    transaction
        .execute(
            "INSERT INTO sessions (id, key, kind, agent, created_at_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                SessionId::main().as_str(),
                SessionKey::main(&agent).as_str(),
                SessionKind::Main.as_str(),
                agent.as_str(),
                circumstances.now_ms
            ],
        )
        .map(drop)
}

/// A chain through the journal. What stands in the journal already is taken into it.
fn audit_chain(
    transaction: &Transaction<'_>,
    circumstances: &Circumstances<'_>,
) -> rusqlite::Result<()> {
    transaction.execute_batch(
        "ALTER TABLE journal ADD COLUMN mac BLOB NOT NULL DEFAULT x'';
         CREATE TABLE journal_head (
             id INTEGER PRIMARY KEY CHECK (id = 1),
             seq INTEGER NOT NULL,
             mac BLOB NOT NULL,
             seal BLOB NOT NULL
         ) STRICT;",
    )?;
    audit::note_migration(transaction, circumstances.key, circumstances.now_ms)
}
