//! Sessions and runs as they stand in the tables today.
//!
//! What every commit of a spawn touches is kept small: a page that is changed is a page that is
//! written and synced. Rows are in the order in which they came, so that those of one commit share
//! their pages; what is looked up by name has one index and no more; no text of the journal is
//! copied.

use rusqlite::Transaction;

use crate::schema::Circumstances;

/// `run` and `opened_for` are entries of the journal: the acceptance of the session's newest run,
/// and of the one it was opened for. `has_rows` is 0 while nothing was said in it but what that
/// run was told and how it ended (see `conversations`). `live` counts the live runs in it;
/// `ended_at_ms` is set while it is a session of runs and there is none. A run's `accepted`, `ended` and `announced` are entries too,
/// `session` and `announced_to` the numbers of sessions.
const TABLES: &str = "
ALTER TABLE sessions RENAME TO old_sessions;
ALTER TABLE runs RENAME TO old_runs;

CREATE TABLE sessions (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    key TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    agent TEXT NOT NULL,
    parent TEXT,
    label TEXT,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    epoch INTEGER NOT NULL DEFAULT 0,
    settings TEXT NOT NULL DEFAULT '{}',
    title TEXT,
    preview TEXT,
    run INTEGER,
    opened_for INTEGER,
    has_rows INTEGER NOT NULL DEFAULT 1,
    live INTEGER NOT NULL DEFAULT 0,
    ended_at_ms INTEGER,
    archived_at_ms INTEGER,
    deleted_at_ms INTEGER
) STRICT;

CREATE TABLE runs (
    accepted INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    session INTEGER,
    status TEXT NOT NULL,
    process TEXT,
    ended INTEGER,
    announced INTEGER,
    announced_to INTEGER
) STRICT;

CREATE TABLE ends (
    run TEXT PRIMARY KEY,
    ended INTEGER,
    announced INTEGER
) STRICT, WITHOUT ROWID;
INSERT INTO ends SELECT run,
        min(CASE kind WHEN 'run_finished' THEN seq END),
        min(CASE kind WHEN 'run_announced' THEN seq END)
    FROM journal WHERE run IS NOT NULL GROUP BY run;
";

/// What stood in the old tables. Their sessions have rows for all that was said in them.
const CONTENTS: &str = "
INSERT INTO sessions (number, id, key, kind, agent, parent, label, created_at_ms, updated_at_ms,
        epoch, settings, title, preview, run, deleted_at_ms)
    SELECT s.rowid, s.id, s.key, s.kind, s.agent, s.parent, s.label, s.created_at_ms,
        max(s.updated_at_ms,
            COALESCE((SELECT max(m.at_ms) FROM messages m WHERE m.session = s.id), 0)),
        s.epoch, s.settings, s.title, s.preview, r.accepted, s.deleted_at_ms
    FROM old_sessions s LEFT JOIN old_runs r ON r.id = s.run;
INSERT INTO runs (accepted, id, session, status, process, ended, announced, announced_to)
    SELECT r.accepted, r.id, s.number, r.status, r.process, e.ended, e.announced, t.number
    FROM old_runs r JOIN journal j ON j.seq = r.accepted
        LEFT JOIN sessions s ON s.id = json_extract(j.body, '$.run.session')
        LEFT JOIN ends e ON e.run = r.id
        LEFT JOIN inbox i ON i.run = r.id LEFT JOIN sessions t ON t.id = i.session;
DROP TABLE ends;
DROP TABLE inbox;
DROP TABLE old_runs;
DROP TABLE old_sessions;

CREATE INDEX sessions_by_parent ON sessions (parent, archived_at_ms);
CREATE INDEX sessions_by_update ON sessions (updated_at_ms)
    WHERE deleted_at_ms IS NULL AND archived_at_ms IS NULL;
CREATE INDEX sessions_by_end ON sessions (ended_at_ms)
    WHERE ended_at_ms IS NOT NULL AND archived_at_ms IS NULL AND deleted_at_ms IS NULL;
CREATE INDEX inbox ON runs (announced_to, announced) WHERE announced_to IS NOT NULL;
CREATE INDEX message_keys_by_session ON message_keys (session);
";

/// What old tables did not note: how many runs are live in a session, and when the last was over.
const ENDS: &str = "
UPDATE sessions SET live = l.live
    FROM (SELECT session, count(*) AS live FROM runs WHERE ended IS NULL GROUP BY session) l
    WHERE l.session = sessions.number;
UPDATE sessions SET ended_at_ms = updated_at_ms
    WHERE kind IN ('subagent', 'acp') AND run IS NOT NULL AND live = 0;
";

/// The fifth version of the tables.
pub(crate) fn tables(transaction: &Transaction<'_>, _: &Circumstances<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(TABLES)?;
    transaction.execute_batch(CONTENTS)?;
    transaction.execute_batch(ENDS)
}
