//! Reading transcripts, and what a client's own name for a message stands for.

use hatchery_protocol::{RunId, SessionId, SessionKey};
use hatchery_spawn::{AddedMessage, Outcome, Run};
use rusqlite::{OptionalExtension, Row, params};
use serde_json::from_str;

use crate::conversations::task_text;
use crate::read::{SESSION_COLUMNS, SESSION_JOINS, accepted_run, run_view, session_view};
use crate::{ReadError, RunView, SessionView, Store};

/// A message of a transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
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

const MESSAGE_COLUMNS: &str = "m.id, m.seq, m.at_ms, m.kind, m.body, r.outcome, j.body";

const MESSAGE_JOINS: &str = "FROM messages m LEFT JOIN runs r ON r.id = m.run
     LEFT JOIN journal j ON j.seq = r.accepted";

impl Store {
    /// A part of what was said in a session since it last began anew.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn transcript(&self, session: &SessionView, page: Page) -> Result<Transcript, ReadError> {
        let connection = self.connection()?;
        let (id, epoch) = (session.session_id.as_str(), session.epoch);
        let total: i64 = connection
            .prepare_cached("SELECT COUNT(*) FROM messages WHERE session = ?1 AND epoch = ?2")?
            .query_row(params![id, epoch], |row| row.get(0))?;
        let mut statement = connection.prepare_cached(&format!(
            "SELECT {MESSAGE_COLUMNS} {MESSAGE_JOINS} WHERE m.session = ?1 AND m.epoch = ?2
             ORDER BY m.seq DESC LIMIT ?3 OFFSET ?4"
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
        let Some(row) = rows.next()? else { return Ok(None) };
        let session = SessionId::new(row.get(7)?);
        Ok(message(row)?.map(|message| (session, message)))
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
            "SELECT j.body, r.status, r.outcome FROM runs r JOIN journal j ON j.seq = r.accepted
             WHERE r.id = ?1",
        )?;
        let mut rows = statement.query([run.as_str()])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let Some(run) = accepted_run(&row.get::<_, String>(0)?)? else { return Ok(None) };
        let outcome: Option<String> = row.get(2)?;
        run_view(run, &row.get::<_, String>(1)?, outcome.as_deref()).map(Some)
    }
}

/// A row as a message; `None` for one that says nothing yet.
fn message(row: &Row<'_>) -> Result<Option<StoredMessage>, ReadError> {
    let kind: String = row.get(3)?;
    let body: Option<String> = row.get(4)?;
    let outcome: Option<String> = row.get(5)?;
    let outcome: Option<Outcome> = outcome.as_deref().map(from_str).transpose()?;
    let run: Option<Run> = match row.get::<_, Option<String>>(6)? {
        Some(body) => accepted_run(&body)?,
        None => None,
    };
    let said = match (kind.as_str(), body, run, outcome) {
        ("added", Some(body), _, _) => Said::Added(from_str(&body)?),
        ("task", _, Some(run), _) => {
            Said::Task { run: run.name().to_owned(), text: task_text(&run.task) }
        }
        ("answer", _, Some(run), Some(outcome)) => {
            Said::Answer { run: run.name().to_owned(), model: run.model, outcome }
        }
        ("announce", _, Some(run), Some(outcome)) => {
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
