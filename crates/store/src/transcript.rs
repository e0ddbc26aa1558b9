//! Reading transcripts, and what a client's own name for a message stands for.

use hatchery_protocol::{RunId, SessionId, SessionKey};
use hatchery_spawn::{AddedMessage, Outcome, Run};
use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;
use serde_json::from_str;

use crate::read::{
    SESSION_COLUMNS, SESSION_JOINS, accepted_run, outcome_of, run_view, session_view,
};
use crate::words::task_text;
use crate::{ReadError, RunView, SessionView, Store};

/// A message of a transcript.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredMessage {
    /// Its name, unique for ever.
    pub id: String,
    /// Its place in the transcript, from 1.
    pub seq: u64,
    /// When it was said, in milliseconds since 1970.
    pub at_ms: u64,
    /// What it is.
    pub said: Said,
}

/// What a message is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Said {
    /// What a run was asked to do.
    Task {
        /// The run's name for clients.
        run: String,
        /// The words.
        text: String,
    },
    /// What a run answered, however it ended.
    Answer {
        /// The run's name for clients.
        run: String,
        /// Its model.
        model: String,
        /// How it ended; its end is the words.
        outcome: Outcome,
    },
    /// The result of a run that was started from here.
    Announce {
        /// The run.
        run: RunId,
        /// Its session.
        from: SessionKey,
        /// Its name for people.
        label: Option<String>,
        /// How it ended.
        outcome: Outcome,
    },
    /// What no run said.
    Added(AddedMessage),
}

/// Which part of a transcript is wanted, counted from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// At most so many messages.
    pub limit: u32,
    /// The newest that are left out.
    pub offset: u64,
}

/// A part of a transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcript {
    /// The messages, the oldest first.
    pub messages: Vec<StoredMessage>,
    /// How many messages the whole transcript has.
    pub total: u64,
}

/// What a client's own name for a message stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUse {
    /// The session the message was sent to.
    pub session: SessionId,
    /// The run it had started, where it had started one.
    pub run: Option<RunView>,
}

pub(crate) const MESSAGE_COLUMNS: &str = "m.id, m.seq, m.at_ms, m.kind, m.body, e.body, j.body";

pub(crate) const MESSAGE_JOINS: &str = "FROM messages m LEFT JOIN runs r ON r.id = m.run
     LEFT JOIN journal j ON j.seq = r.accepted LEFT JOIN journal e ON e.seq = r.ended";

/// The task and the answer of a run that has its session to itself, as the rows they would be.
const WITHOUT_ROWS: &str = "(
     SELECT s.id AS session, s.epoch, r.id || ':user' AS id, 1 AS seq, j.at_ms, 'task' AS kind,
         NULL AS said, NULL AS end, j.body
     FROM sessions s JOIN runs r ON r.accepted = s.opened_for JOIN journal j ON j.seq = r.accepted
     WHERE s.has_rows = 0 AND s.id = ?1
     UNION ALL
     SELECT s.id, s.epoch, r.id || ':assistant', 2, e.at_ms, 'answer', NULL, e.body, j.body
     FROM sessions s JOIN runs r ON r.accepted = s.opened_for JOIN journal j ON j.seq = r.accepted
         JOIN journal e ON e.seq = r.ended
     WHERE s.has_rows = 0 AND s.id = ?1) m";

const COLUMNS_WITHOUT_ROWS: &str = "m.id, m.seq, m.at_ms, m.kind, m.said, m.end, m.body";

impl Store {
    /// A part of what was said in a session since it last began anew.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn transcript(&self, session: &SessionView, page: Page) -> Result<Transcript, ReadError> {
        let connection = self.connection()?;
        let (id, epoch) = (session.session_id.as_str(), session.epoch);
        let has_rows: bool = connection
            .prepare_cached("SELECT has_rows FROM sessions WHERE id = ?1")?
            .query_row([id], |row| row.get(0))
            .optional()?
            .unwrap_or(true);
        let (columns, from) = match has_rows {
            true => (MESSAGE_COLUMNS, MESSAGE_JOINS.to_owned()),
            false => (COLUMNS_WITHOUT_ROWS, format!("FROM {WITHOUT_ROWS}")),
        };
        let within = "WHERE m.session = ?1 AND m.epoch = ?2";
        let counted = if has_rows { "FROM messages m" } else { &from };
        let total: i64 = connection
            .prepare_cached(&format!("SELECT count(*) {counted} {within}"))?
            .query_row(params![id, epoch], |row| row.get(0))?;
        let mut statement = connection.prepare_cached(&format!(
            "SELECT {columns} {from} {within} ORDER BY m.seq DESC LIMIT ?3 OFFSET ?4"
        ))?;
        let mut rows =
            statement.query(params![id, epoch, page.limit, page.offset.cast_signed()])?;
        let mut messages = Vec::new();
        while let Some(row) = rows.next()? {
            messages.extend(message(row)?);
        }
        messages.reverse();
        Ok(Transcript { messages, total: total.cast_unsigned() })
    }

    /// One message, and the session it stands in.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn message(&self, id: &str) -> Result<Option<(SessionId, StoredMessage)>, ReadError> {
        let connection = self.connection()?;
        let mut statement = connection.prepare_cached(&format!(
            "SELECT {MESSAGE_COLUMNS}, m.session {MESSAGE_JOINS} WHERE m.id = ?1"
        ))?;
        let mut rows = statement.query([id])?;
        if let Some(row) = rows.next()? {
            let session = SessionId::new(row.get(7)?);
            return Ok(message(row)?.map(|message| (session, message)));
        }
        let Some((run, _)) = id.rsplit_once(':') else { return Ok(None) };
        let session: Option<String> = connection
            .prepare_cached(
                "SELECT s.id FROM runs r JOIN sessions s ON s.number = r.session WHERE r.id = ?1",
            )?
            .query_row([run], |row| row.get(0))
            .optional()?;
        let Some(session) = session else { return Ok(None) };
        let mut statement = connection.prepare_cached(&format!(
            "SELECT {COLUMNS_WITHOUT_ROWS} FROM {WITHOUT_ROWS} WHERE m.id = ?2"
        ))?;
        let mut rows = statement.query([&session, id])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        Ok(message(row)?.map(|message| (SessionId::new(session.clone()), message)))
    }

    /// The session of that key.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn session_by_key(&self, key: &SessionKey) -> Result<Option<SessionView>, ReadError> {
        self.one_session("s.key", key.as_str())
    }

    /// The session of that id.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn session_by_id(&self, id: &SessionId) -> Result<Option<SessionView>, ReadError> {
        self.one_session("s.id", id.as_str())
    }

    fn one_session(&self, column: &str, value: &str) -> Result<Option<SessionView>, ReadError> {
        let connection = self.connection()?;
        let mut statement = connection.prepare_cached(&format!(
            "SELECT {SESSION_COLUMNS} {SESSION_JOINS}
             WHERE {column} = ?1 AND s.deleted_at_ms IS NULL"
        ))?;
        let mut rows = statement.query([value])?;
        rows.next()?.map(session_view).transpose()
    }

    /// What a client's own name for a message stands for, if it was used.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn key_use(&self, key: &str) -> Result<Option<KeyUse>, ReadError> {
        let found: Option<(String, Option<String>)> = self
            .connection()?
            .prepare_cached("SELECT session, run FROM message_keys WHERE key = ?1")?
            .query_row([key], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((session, run)) = found else { return Ok(None) };
        let run = match run {
            Some(run) => self.run(&RunId::new(run))?,
            None => None,
        };
        Ok(Some(KeyUse { session: SessionId::new(session), run }))
    }

    /// A run, live or over.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn run(&self, run: &RunId) -> Result<Option<RunView>, ReadError> {
        let connection = self.connection()?;
        let mut statement = connection.prepare_cached(
            "SELECT j.body, r.status, e.body FROM runs r JOIN journal j ON j.seq = r.accepted
             LEFT JOIN journal e ON e.seq = r.ended WHERE r.id = ?1",
        )?;
        let mut rows = statement.query([run.as_str()])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let Some(run) = accepted_run(&row.get::<_, String>(0)?)? else { return Ok(None) };
        let end: Option<String> = row.get(2)?;
        run_view(run, &row.get::<_, String>(1)?, end.as_deref()).map(Some)
    }
}

/// A row as a message; `None` for one that says nothing yet.
pub(crate) fn message(row: &Row<'_>) -> Result<Option<StoredMessage>, ReadError> {
    let kind: String = row.get(3)?;
    let run = || -> Result<Option<Run>, ReadError> {
        let body: Option<String> = row.get(6)?;
        Ok(body.as_deref().map(accepted_run).transpose()?.flatten())
    };
    let outcome = || -> Result<Option<Outcome>, ReadError> {
        let body: Option<String> = row.get(5)?;
        Ok(body.as_deref().map(outcome_of).transpose()?.flatten())
    };
    let said = match kind.as_str() {
        "added" => match row.get::<_, Option<String>>(4)? {
            Some(body) => Said::Added(from_str(&body)?),
            None => return Ok(None),
        },
        "task" => {
            let Some(run) = run()? else { return Ok(None) };
            Said::Task { run: run.name().to_owned(), text: task_text(&run.task) }
        }
        "answer" => {
            let (Some(run), Some(outcome)) = (run()?, outcome()?) else { return Ok(None) };
            Said::Answer { run: run.name().to_owned(), model: run.model, outcome }
        }
        "announce" => {
            let (Some(run), Some(outcome)) = (run()?, outcome()?) else { return Ok(None) };
            Said::Announce { run: run.id, from: run.session_key, label: run.label, outcome }
        }
        _ => return Ok(None),
    };
    Ok(Some(StoredMessage {
        id: row.get(0)?,
        seq: row.get::<_, i64>(1)?.cast_unsigned(),
        at_ms: row.get::<_, i64>(2)?.cast_unsigned(),
        said,
    }))
}
