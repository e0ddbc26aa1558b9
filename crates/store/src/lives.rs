//! Runs in the tables, from their acceptance to their announce.
//!
//! A run's row says where in the journal it was accepted, how it ended and who was told; the texts
//! stand there and nowhere else. The row of the session it was opened for is written with it, once
//! when it begins and once when it ends. There are few statements here on purpose: whoever waits
//! for a receipt waits for all of them.

use hatchery_protocol::{RunId, RunStatus, SessionId, SessionKind};
use hatchery_spawn::{Outcome, ProcessMark, Run};
use rusqlite::{Connection, OptionalExtension, params};

use crate::conversations::{self, Message};
use crate::project::json;
use crate::words::{PREVIEW_CHARACTERS, TITLE_CHARACTERS, one_line, task_text};

/// Enters a run, and its session where it was opened for it; a turn's is there already. Called
/// right after its entry went into the journal.
pub(crate) fn accepted(connection: &Connection, at_ms: i64, run: &Run) -> rusqlite::Result<()> {
    let entry = connection.last_insert_rowid();
    let said = task_text(&run.task);
    let (title, preview) = (one_line(&said, TITLE_CHARACTERS), one_line(&said, PREVIEW_CHARACTERS));
    let session = if run.is_turn() {
        let session: Option<i64> = connection
            .prepare_cached(
                "UPDATE sessions SET updated_at_ms = ?2, preview = ?3, run = ?5, live = live + 1,
                     title = COALESCE(title, ?4), ended_at_ms = NULL, archived_at_ms = NULL
                 WHERE id = ?1 RETURNING number",
            )?
            .query_row(params![run.session.as_str(), at_ms, preview, title, entry], |row| {
                row.get(0)
            })
            .optional()?;
        let id = format!("{}:user", run.id);
        let message = Message { id: &id, kind: "task", run: Some(&run.id), body: None };
        conversations::append(connection, at_ms, &run.session, &message)?;
        session
    } else {
        connection
            .prepare_cached(
                "INSERT INTO sessions (id, key, kind, agent, parent, label, created_at_ms,
                     updated_at_ms, title, preview, run, opened_for, has_rows, live)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11, 0, 1)",
            )?
            .execute(params![
                run.session.as_str(),
                run.session_key.as_str(),
                run.kind.as_str(),
                run.agent.as_str(),
                run.requester.as_str(),
                run.label,
                run.accepted_at_ms.cast_signed(),
                at_ms,
                title,
                preview,
                entry
            ])?;
        Some(connection.last_insert_rowid())
    };
    connection
        .prepare_cached("INSERT INTO runs (accepted, id, session, status) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![entry, run.id.as_str(), session, RunStatus::Accepted.as_str()])?;
    let (Some(asked), Some(conversation)) = (&run.asked, &run.conversation) else { return Ok(()) };
    conversations::claim(connection, &asked.key, conversation, Some(&run.id))
}

/// Notes that a run is being started.
pub(crate) fn starting(connection: &Connection, run: &RunId) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE runs SET status = ?2 WHERE id = ?1")?
        .execute(params![run.as_str(), RunStatus::Starting.as_str()])
        .map(drop)
}

/// Notes that a run is at work.
pub(crate) fn running(
    connection: &Connection,
    run: &RunId,
    process: Option<&ProcessMark>,
) -> rusqlite::Result<()> {
    let process = process.map(json).transpose()?;
    connection
        .prepare_cached("UPDATE runs SET status = ?2, process = ?3 WHERE id = ?1")?
        .execute(params![run.as_str(), RunStatus::Running.as_str(), process])
        .map(drop)
}

/// Notes that a run waits.
pub(crate) fn waiting(connection: &Connection, run: &RunId) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE runs SET status = ?2 WHERE id = ?1")?
        .execute(params![run.as_str(), RunStatus::Waiting.as_str()])
        .map(drop)
}

/// Notes that a run goes on, where it waited.
pub(crate) fn resumed(connection: &Connection, run: &RunId) -> rusqlite::Result<()> {
    let (running, waiting) = (RunStatus::Running.as_str(), RunStatus::Waiting.as_str());
    connection
        .prepare_cached("UPDATE runs SET status = ?2 WHERE id = ?1 AND status = ?3")?
        .execute(params![run.as_str(), running, waiting])
        .map(drop)
}

/// Notes that a run is being started again, in another process.
pub(crate) fn restarting(connection: &Connection, run: &RunId) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE runs SET status = ?2, process = NULL WHERE id = ?1")?
        .execute(params![run.as_str(), RunStatus::Starting.as_str()])
        .map(drop)
}

/// Notes how a run ended; it ends once. Called right after its entry went into the journal.
pub(crate) fn finished(
    connection: &Connection,
    at_ms: i64,
    run: &RunId,
    outcome: &Outcome,
) -> rusqlite::Result<()> {
    let entry = connection.last_insert_rowid();
    let session: Option<i64> = connection
        .prepare_cached(
            "UPDATE runs SET status = ?2, ended = ?3
             WHERE id = ?1 AND ended IS NULL RETURNING session",
        )?
        .query_row(params![run.as_str(), outcome.status.as_str(), entry], |row| row.get(0))
        .optional()?
        .flatten();
    let Some(session) = session else { return Ok(()) };
    let said = if outcome.tail.trim().is_empty() {
        outcome.error.as_deref().unwrap_or_default()
    } else {
        &outcome.tail
    };
    // A session of a run is over with the last run in it.
    let has_rows: Option<bool> = connection
        .prepare_cached(
            "UPDATE sessions SET updated_at_ms = ?2, preview = ?3,
                 live = live - 1,
                 ended_at_ms = CASE WHEN live = 1 AND kind IN (?4, ?5) THEN ?2 END
             WHERE number = ?1 RETURNING has_rows",
        )?
        .query_row(
            params![
                session,
                at_ms,
                one_line(said, PREVIEW_CHARACTERS),
                SessionKind::Subagent.as_str(),
                SessionKind::Acp.as_str()
            ],
            |row| row.get(0),
        )
        .optional()?;
    match has_rows {
        Some(true) => conversations::answered(connection, at_ms, run),
        _ => Ok(()),
    }
}

/// Puts a result into the inbox of a session. It stands in one, however often it is told. Called
/// right after its entry went into the journal.
pub(crate) fn announced(
    connection: &Connection,
    at_ms: i64,
    run: &RunId,
    to: &SessionId,
    in_conversation: bool,
) -> rusqlite::Result<()> {
    let entry = connection.last_insert_rowid();
    let announced = connection
        .prepare_cached(
            "UPDATE runs SET announced = ?2,
                 announced_to = (SELECT number FROM sessions WHERE id = ?3)
             WHERE id = ?1 AND announced IS NULL",
        )?
        .execute(params![run.as_str(), entry, to.as_str()])?;
    if announced == 0 || !in_conversation {
        return Ok(());
    }
    tell(connection, at_ms, run, to)
}

/// Puts a result into another inbox than the one it stood in. Called right after its entry went
/// into the journal.
pub(crate) fn moved(
    connection: &Connection,
    at_ms: i64,
    run: &RunId,
    to: &SessionId,
    in_conversation: bool,
) -> rusqlite::Result<()> {
    let entry = connection.last_insert_rowid();
    connection
        .prepare_cached(
            "UPDATE runs SET announced = ?2,
                 announced_to = (SELECT number FROM sessions WHERE id = ?3)
             WHERE id = ?1 AND announced IS NOT NULL",
        )?
        .execute(params![run.as_str(), entry, to.as_str()])?;
    if in_conversation { tell(connection, at_ms, run, to) } else { Ok(()) }
}

/// A result is a message of the conversation it came to.
fn tell(connection: &Connection, at_ms: i64, run: &RunId, to: &SessionId) -> rusqlite::Result<()> {
    let id = format!("{run}:announce");
    let message = Message { id: &id, kind: "announce", run: Some(run), body: None };
    conversations::append(connection, at_ms, to, &message)?;
    connection
        .prepare_cached("UPDATE sessions SET updated_at_ms = ?2 WHERE id = ?1")?
        .execute(params![to.as_str(), at_ms])
        .map(drop)
}
