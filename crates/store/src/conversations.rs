//! Conversations in the tables: what sessions have besides their run, and their transcripts.
//!
//! A message that a run's life implies (its task, its answer, its announce) is a row that points
//! at the run and holds no text of its own; the text stands once, in the journal. Only what no run
//! says carries its text. A session that a run was opened with has no rows at all while nothing
//! else is said in it: what its run was told and how it ended is what was said. As soon as
//! something else is, both get their rows.

use hatchery_protocol::{RunId, SessionId};
use hatchery_spawn::{AddedMessage, Event, SessionSettings};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::project::json;
use crate::retention;
use crate::schema::Circumstances;
use crate::words::{PREVIEW_CHARACTERS, one_line};

const TABLES: &str = "
ALTER TABLE sessions ADD COLUMN updated_at_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';
ALTER TABLE sessions ADD COLUMN title TEXT;
ALTER TABLE sessions ADD COLUMN preview TEXT;
ALTER TABLE sessions ADD COLUMN deleted_at_ms INTEGER;
CREATE INDEX sessions_by_update ON sessions (updated_at_ms) WHERE deleted_at_ms IS NULL;

CREATE TABLE messages (
    session TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    run TEXT,
    body TEXT,
    PRIMARY KEY (session, epoch, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE message_keys (
    key TEXT PRIMARY KEY,
    session TEXT NOT NULL,
    run TEXT
) STRICT, WITHOUT ROWID;
";

/// The runs there were before sessions had transcripts get theirs.
const BACKFILL: &str = "
INSERT INTO messages (session, epoch, seq, id, kind, at_ms, run)
    SELECT s.id, 0, 1, r.id || ':user', 'task', s.created_at_ms, r.id
    FROM sessions s JOIN runs r ON r.id = s.run;
INSERT INTO messages (session, epoch, seq, id, kind, at_ms, run)
    SELECT s.id, 0, 2, r.id || ':assistant', 'answer',
        COALESCE(json_extract(r.outcome, '$.endedAtMs'), s.created_at_ms), r.id
    FROM sessions s JOIN runs r ON r.id = s.run WHERE r.outcome IS NOT NULL;
UPDATE sessions SET updated_at_ms = COALESCE(
    (SELECT max(m.at_ms) FROM messages m WHERE m.session = sessions.id), created_at_ms);
";

/// The third version of the tables.
pub(crate) fn tables(transaction: &Transaction<'_>, _: &Circumstances<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(TABLES)?;
    transaction.execute_batch(BACKFILL)
}

/// A message that gets a row.
pub(crate) struct Message<'a> {
    pub(crate) id: &'a str,
    pub(crate) kind: &'static str,
    pub(crate) run: Option<&'a RunId>,
    pub(crate) body: Option<&'a str>,
}

/// Folds what happens to sessions, beside runs, into the tables.
pub(crate) fn project(connection: &Connection, at_ms: i64, event: &Event) -> rusqlite::Result<()> {
    match event {
        Event::SessionOpened { session, key, session_kind, agent, parent, settings } => connection
            .prepare_cached(
                "INSERT OR IGNORE INTO sessions
                 (id, key, kind, agent, parent, label, created_at_ms, updated_at_ms, settings)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8)",
            )?
            .execute(params![
                session.as_str(),
                key.as_str(),
                session_kind.as_str(),
                agent.as_str(),
                parent.as_ref().map(SessionId::as_str),
                label(settings),
                at_ms,
                json(settings)?
            ])
            .map(drop),
        Event::SessionPatched { session, settings } => patch(connection, at_ms, session, settings),
        Event::SessionReset { session } => {
            write_out(connection, session)?;
            connection
                .prepare_cached(
                    "UPDATE sessions SET epoch = epoch + 1, updated_at_ms = ?2, run = NULL,
                     title = NULL, preview = NULL WHERE id = ?1",
                )?
                .execute(params![session.as_str(), at_ms])
                .map(drop)
        }
        Event::SessionDeleted { session, with_transcript, .. } => {
            retention::delete(connection, at_ms, session, *with_transcript)
        }
        Event::SessionArchived { session } => retention::archive(connection, at_ms, session),
        Event::SessionReopened { session } => retention::reopen(connection, at_ms, session),
        Event::MessageAdded { session, message } => added(connection, at_ms, session, message),
        Event::RunAccepted { .. }
        | Event::RunStarting { .. }
        | Event::RunRunning { .. }
        | Event::RunStopping { .. }
        | Event::RunResumable { .. }
        | Event::RunWaiting { .. }
        | Event::RunResumed { .. }
        | Event::RunRestarting { .. }
        | Event::BudgetReserved { .. }
        | Event::BudgetSettled { .. }
        | Event::AnnounceMoved { .. }
        | Event::NoticeDue { .. }
        | Event::NoticeDelivered { .. }
        | Event::NoticeBlocked { .. }
        | Event::NoticeDismissed { .. }
        | Event::RunFinished { .. }
        | Event::RunAnnounced { .. }
        | Event::Refused { .. } => Ok(()),
    }
}

/// Adds a message to what was said in a session since it last began anew.
pub(crate) fn append(
    connection: &Connection,
    at_ms: i64,
    session: &SessionId,
    message: &Message<'_>,
) -> rusqlite::Result<()> {
    write_out(connection, session)?;
    let Message { id, kind, run, body } = *message;
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO messages (session, epoch, seq, id, kind, at_ms, run, body)
             SELECT s.id, s.epoch,
                 COALESCE((SELECT m.seq FROM messages m
                           WHERE m.session = s.id AND m.epoch = s.epoch
                           ORDER BY m.seq DESC LIMIT 1), 0) + 1,
                 ?2, ?3, ?4, ?5, ?6
             FROM sessions s WHERE s.id = ?1",
        )?
        .execute(params![session.as_str(), id, kind, at_ms, run.map(RunId::as_str), body])
        .map(drop)
}

/// The answer stands where the question stands, also when the session began anew since.
pub(crate) fn answered(connection: &Connection, at_ms: i64, run: &RunId) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO messages (session, epoch, seq, id, kind, at_ms, run)
             SELECT u.session, u.epoch,
                 (SELECT m.seq + 1 FROM messages m
                  WHERE m.session = u.session AND m.epoch = u.epoch ORDER BY m.seq DESC LIMIT 1),
                 ?1 || ':assistant', 'answer', ?2, ?1
             FROM messages u WHERE u.id = ?1 || ':user'",
        )?
        .execute(params![run.as_str(), at_ms])
        .map(drop)
}

/// Gives a session its rows where its run's task and answer are not in any yet.
fn write_out(connection: &Connection, session: &SessionId) -> rusqlite::Result<()> {
    let written: Option<Option<i64>> = connection
        .prepare_cached(
            "UPDATE sessions SET has_rows = 1 WHERE id = ?1 AND has_rows = 0 RETURNING opened_for",
        )?
        .query_row([session.as_str()], |row| row.get(0))
        .optional()?;
    let Some(opened_for) = written.flatten() else { return Ok(()) };
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO messages (session, epoch, seq, id, kind, at_ms, run)
             SELECT ?1, 0, 1, r.id || ':user', 'task', j.at_ms, r.id
                 FROM runs r JOIN journal j ON j.seq = r.accepted WHERE r.accepted = ?2
             UNION ALL SELECT ?1, 0, 2, r.id || ':assistant', 'answer', j.at_ms, r.id
                 FROM runs r JOIN journal j ON j.seq = r.ended WHERE r.accepted = ?2",
        )?
        .execute(params![session.as_str(), opened_for])
        .map(drop)
}

fn added(
    connection: &Connection,
    at_ms: i64,
    session: &SessionId,
    message: &AddedMessage,
) -> rusqlite::Result<()> {
    let body = json(message)?;
    let row = Message { id: &message.id, kind: "added", run: None, body: Some(&body) };
    append(connection, at_ms, session, &row)?;
    connection
        .prepare_cached("UPDATE sessions SET updated_at_ms = ?2, preview = ?3 WHERE id = ?1")?
        .execute(params![session.as_str(), at_ms, one_line(&message.text, PREVIEW_CHARACTERS)])?;
    match &message.key {
        Some(key) => claim(connection, key, session, None),
        None => Ok(()),
    }
}

/// The first use of a key stands.
pub(crate) fn claim(
    connection: &Connection,
    key: &str,
    session: &SessionId,
    run: Option<&RunId>,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO message_keys (key, session, run) VALUES (?1, ?2, ?3)",
        )?
        .execute(params![key, session.as_str(), run.map(RunId::as_str)])
        .map(drop)
}

fn patch(
    connection: &Connection,
    at_ms: i64,
    session: &SessionId,
    changed: &SessionSettings,
) -> rusqlite::Result<()> {
    let stands: Option<String> = connection
        .prepare_cached("SELECT settings FROM sessions WHERE id = ?1")?
        .query_row([session.as_str()], |row| row.get(0))
        .optional()?;
    let Some(stands) = stands else { return Ok(()) };
    let mut settings: SessionSettings = serde_json::from_str(&stands).unwrap_or_default();
    for (name, value) in changed {
        if value.is_null() {
            settings.remove(name);
        } else {
            settings.insert(name.clone(), value.clone());
        }
    }
    connection
        .prepare_cached(
            "UPDATE sessions SET settings = ?2, label = ?3, updated_at_ms = ?4 WHERE id = ?1",
        )?
        .execute(params![session.as_str(), json(&settings)?, label(&settings), at_ms])
        .map(drop)
}

fn label(settings: &SessionSettings) -> Option<&str> {
    settings.get("label").and_then(serde_json::Value::as_str)
}
