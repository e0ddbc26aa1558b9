//! Conversations in the tables: what sessions have besides their run, and their transcripts.
//!
//! A message that a run's life implies (its task, its answer, its announce) is a row that points
//! at the run and holds no text of its own; the text stands once, in the journal or the outcome.
//! Only what no run says carries its text.

use hatchery_protocol::{RunId, SessionId, Task};
use hatchery_spawn::{AddedMessage, Event, Outcome, Run, SessionSettings};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::project::json;
use crate::schema::Circumstances;

/// How many characters of a message a list of sessions shows.
pub(crate) const PREVIEW_CHARACTERS: usize = 160;

/// How many characters of the first message name a session that has no label.
pub(crate) const TITLE_CHARACTERS: usize = 80;

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
UPDATE sessions SET updated_at_ms = created_at_ms;
UPDATE sessions SET updated_at_ms = MAX(m.at_ms) FROM messages m WHERE m.session = sessions.id;
";

/// The third version of the tables.
pub(crate) fn tables(transaction: &Transaction<'_>, _: &Circumstances<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(TABLES)?;
    transaction.execute_batch(BACKFILL)
}

/// Folds an event into sessions and transcripts.
pub(crate) fn project(connection: &Connection, at_ms: i64, event: &Event) -> rusqlite::Result<()> {
    match event {
        Event::RunAccepted { run } => accepted(connection, at_ms, run),
        Event::RunFinished { run, outcome } => finished(connection, at_ms, run, outcome),
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
        Event::SessionReset { session } => connection
            .prepare_cached(
                "UPDATE sessions SET epoch = epoch + 1, updated_at_ms = ?2, run = NULL,
                 title = NULL, preview = NULL WHERE id = ?1",
            )?
            .execute(params![session.as_str(), at_ms])
            .map(drop),
        Event::SessionDeleted { session, with_transcript, .. } => {
            delete(connection, at_ms, session, *with_transcript)
        }
        Event::MessageAdded { session, message } => added(connection, at_ms, session, message),
        Event::RunStarting { .. }
        | Event::RunRunning { .. }
        | Event::RunStopping { .. }
        | Event::RunAnnounced { .. }
        | Event::SessionArchived { .. }
        | Event::SessionReopened { .. }
        | Event::Refused { .. } => Ok(()),
    }
}

fn accepted(connection: &Connection, at_ms: i64, run: &Run) -> rusqlite::Result<()> {
    let id = format!("{}:user", run.id);
    append(connection, &run.session, &id, "task", at_ms, Some(&run.id), None)?;
    let said = task_text(&run.task);
    touch(connection, at_ms, &run.session, &said)?;
    connection
        .prepare_cached("UPDATE sessions SET title = COALESCE(title, ?2), run = ?3 WHERE id = ?1")?
        .execute(params![
            run.session.as_str(),
            one_line(&said, TITLE_CHARACTERS),
            run.id.as_str()
        ])?;
    let (Some(asked), Some(conversation)) = (&run.asked, &run.conversation) else { return Ok(()) };
    claim(connection, &asked.key, conversation, Some(&run.id))
}

fn finished(
    connection: &Connection,
    at_ms: i64,
    run: &RunId,
    outcome: &Outcome,
) -> rusqlite::Result<()> {
    // The answer stands where the question stands, also when the session began anew since.
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO messages (session, epoch, seq, id, kind, at_ms, run)
             SELECT u.session, u.epoch,
                 (SELECT MAX(m.seq) + 1 FROM messages m
                  WHERE m.session = u.session AND m.epoch = u.epoch),
                 ?1 || ':assistant', 'answer', ?2, ?1
             FROM messages u WHERE u.id = ?1 || ':user'",
        )?
        .execute(params![run.as_str(), at_ms])?;
    let session: Option<String> = connection
        .prepare_cached("SELECT session FROM messages WHERE id = ?1 || ':user'")?
        .query_row([run.as_str()], |row| row.get(0))
        .optional()?;
    let Some(session) = session else { return Ok(()) };
    let said = if outcome.tail.trim().is_empty() {
        outcome.error.as_deref().unwrap_or_default()
    } else {
        &outcome.tail
    };
    touch(connection, at_ms, &SessionId::new(session), said)
}

/// A result that was told in a conversation. Called once for each run.
pub(crate) fn announced(
    connection: &Connection,
    at_ms: i64,
    run: &RunId,
    to: &SessionId,
) -> rusqlite::Result<()> {
    let id = format!("{run}:announce");
    append(connection, to, &id, "announce", at_ms, Some(run), None)?;
    connection
        .prepare_cached("UPDATE sessions SET updated_at_ms = ?2 WHERE id = ?1")?
        .execute(params![to.as_str(), at_ms])
        .map(drop)
}

fn added(
    connection: &Connection,
    at_ms: i64,
    session: &SessionId,
    message: &AddedMessage,
) -> rusqlite::Result<()> {
    let body = json(message)?;
    append(connection, session, &message.id, "added", at_ms, None, Some(&body))?;
    touch(connection, at_ms, session, &message.text)?;
    match &message.key {
        Some(key) => claim(connection, key, session, None),
        None => Ok(()),
    }
}

/// The first use of a key stands.
fn claim(
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

fn append(
    connection: &Connection,
    session: &SessionId,
    id: &str,
    kind: &str,
    at_ms: i64,
    run: Option<&RunId>,
    body: Option<&str>,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO messages (session, epoch, seq, id, kind, at_ms, run, body)
             SELECT s.id, s.epoch,
                 COALESCE((SELECT MAX(m.seq) FROM messages m
                           WHERE m.session = s.id AND m.epoch = s.epoch), 0) + 1,
                 ?2, ?3, ?4, ?5, ?6
             FROM sessions s WHERE s.id = ?1",
        )?
        .execute(params![session.as_str(), id, kind, at_ms, run.map(RunId::as_str), body])
        .map(drop)
}

/// The session was used just now, and this was said last.
fn touch(
    connection: &Connection,
    at_ms: i64,
    session: &SessionId,
    said: &str,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE sessions SET updated_at_ms = ?2, preview = ?3 WHERE id = ?1")?
        .execute(params![session.as_str(), at_ms, one_line(said, PREVIEW_CHARACTERS)])
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

fn delete(
    connection: &Connection,
    at_ms: i64,
    session: &SessionId,
    with_transcript: bool,
) -> rusqlite::Result<()> {
    let freed = format!("deleted:{session}:{at_ms}");
    connection
        .prepare_cached("UPDATE sessions SET deleted_at_ms = ?2, key = ?3 WHERE id = ?1")?
        .execute(params![session.as_str(), at_ms, freed])?;
    if with_transcript {
        connection
            .prepare_cached(
                "DELETE FROM output WHERE run IN (SELECT run FROM messages WHERE session = ?1)",
            )?
            .execute([session.as_str()])?;
        connection
            .prepare_cached("DELETE FROM messages WHERE session = ?1")?
            .execute([session.as_str()])?;
    }
    Ok(())
}

/// A task as a person would have typed it.
pub(crate) fn task_text(task: &Task) -> String {
    match task {
        Task::Text(text) => text.clone(),
        Task::Argv(words) => words.join(" "),
    }
}

/// The beginning of a text, on one line.
fn one_line(text: &str, characters: usize) -> String {
    let words = text.split_whitespace();
    let mut line = String::new();
    for word in words {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.chars().count() > characters {
            let cut: String = line.chars().take(characters.saturating_sub(1)).collect();
            return cut + "…";
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn a_preview_is_one_line_within_its_limit() {
        assert_eq!(one_line("  a\n b\t c ", 10), "a b c");
        assert_eq!(one_line("", 10), "");
        assert_eq!(one_line("0123456789", 10), "0123456789");
        assert_eq!(one_line("01234567890", 10), "012345678…");
        assert_eq!(one_line(&"ä ".repeat(100), 9).chars().count(), 9);
    }
}
