//! The questions the store answers.

use std::sync::MutexGuard;

use hatchery_protocol::{AgentId, OutputStream, RunStatus, SessionId, SessionKey, SessionKind};
use hatchery_spawn::{Event, Outcome, Run};
use rusqlite::{Connection, Row, params};
use serde_json::from_str;

use crate::{
    HistoryItem, Lookup, ReadError, RunView, SessionFilter, SessionView, Store, StoredOutput,
};

/// How many candidates an ambiguous prefix names.
const NAMED_CANDIDATES: u32 = 5;

pub(crate) const SESSION_COLUMNS: &str = "s.id, s.key, s.kind, s.agent, s.parent, s.label,
     s.created_at_ms, r.status, e.body, j.body, s.updated_at_ms, s.epoch, s.settings, s.title,
     s.preview, p.key, s.archived_at_ms";

pub(crate) const SESSION_JOINS: &str = "FROM sessions s LEFT JOIN runs r ON r.accepted = s.run
     LEFT JOIN journal j ON j.seq = r.accepted LEFT JOIN journal e ON e.seq = r.ended
     LEFT JOIN sessions p ON p.id = s.parent";

impl Store {
    pub(crate) fn connection(&self) -> Result<MutexGuard<'_, Connection>, ReadError> {
        self.reader.lock().map_err(|_| ReadError::Poisoned)
    }

    /// Sessions, the newest first.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn sessions(&self, filter: &SessionFilter) -> Result<Vec<SessionView>, ReadError> {
        let connection = self.connection()?;
        // The order in which they were opened, whatever the clock said then.
        let order = "ORDER BY s.number DESC LIMIT ?1";
        let shown = "s.deleted_at_ms IS NULL AND (?2 OR s.archived_at_ms IS NULL)";
        let (sql, below) = match &filter.below {
            None => (
                format!(
                    "SELECT {SESSION_COLUMNS} {SESSION_JOINS}
                     WHERE {shown} {order}"
                ),
                None,
            ),
            Some(root) => (
                format!(
                    "WITH RECURSIVE tree (id) AS (
                         SELECT ?3 UNION SELECT c.id FROM sessions c JOIN tree t ON c.parent = t.id)
                     SELECT {SESSION_COLUMNS} {SESSION_JOINS} WHERE s.id IN tree AND {shown} {order}"
                ),
                Some(root.as_str()),
            ),
        };
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = match below {
            None => statement.query(params![filter.limit, filter.include_archived])?,
            Some(root) => statement.query(params![filter.limit, filter.include_archived, root])?,
        };
        let mut sessions = Vec::new();
        while let Some(row) = rows.next()? {
            sessions.push(session_view(row)?);
        }
        Ok(sessions)
    }

    /// The session of that id, of that key, or the only one whose id begins so.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn find_session(&self, text: &str) -> Result<Lookup, ReadError> {
        let connection = self.connection()?;
        let exact = format!(
            "SELECT {SESSION_COLUMNS} {SESSION_JOINS}
             WHERE (s.id = ?1 OR s.key = ?1) AND s.deleted_at_ms IS NULL"
        );
        let mut statement = connection.prepare_cached(&exact)?;
        let mut rows = statement.query([text])?;
        if let Some(row) = rows.next()? {
            return Ok(Lookup::One(Box::new(session_view(row)?)));
        }
        let bare = text.strip_prefix("sess_").unwrap_or(text);
        if bare.is_empty() {
            return Ok(Lookup::None);
        }
        // A half-open range is a prefix search that uses the index; `~` sorts behind every
        // character an id can have.
        let from = format!("sess_{bare}");
        let prefixed = format!(
            "SELECT {SESSION_COLUMNS} {SESSION_JOINS}
             WHERE s.id >= ?1 AND s.id < ?1 || '~' AND s.deleted_at_ms IS NULL ORDER BY s.id LIMIT {NAMED_CANDIDATES}"
        );
        let mut statement = connection.prepare_cached(&prefixed)?;
        let mut rows = statement.query([from])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(session_view(row)?);
        }
        Ok(match found.len() {
            0 => Lookup::None,
            1 => Lookup::One(Box::new(found.remove(0))),
            _ => Lookup::Several(found.into_iter().map(|session| session.session_id).collect()),
        })
    }

    /// What was said in a session, the oldest first: its task, what its run said, how that ended,
    /// and what was announced to it.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn history(&self, session: &SessionView) -> Result<Vec<HistoryItem>, ReadError> {
        let connection = self.connection()?;
        let mut items = Vec::new();
        if let Some(run) = &session.run {
            items.push(HistoryItem::Task(run.task.clone()));
            items.extend(
                output(&connection, run.run_id.as_str())?.into_iter().map(HistoryItem::Output),
            );
            items.extend(run.outcome.clone().map(HistoryItem::Outcome));
        }
        let mut statement = connection.prepare_cached(
            "SELECT s.id, e.body FROM sessions t
             JOIN runs r ON r.announced_to = t.number JOIN sessions s ON s.number = r.session
             JOIN journal e ON e.seq = r.ended WHERE t.id = ?1 ORDER BY r.announced",
        )?;
        let mut rows = statement.query([session.session_id.as_str()])?;
        while let Some(row) = rows.next()? {
            let body: String = row.get(1)?;
            let Some(outcome) = outcome_of(&body)? else { continue };
            items.push(HistoryItem::Announced { from: SessionId::new(row.get(0)?), outcome });
        }
        Ok(items)
    }

    /// The newest entries of one kind of event, the newest first.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn events_of_kind(&self, kind: &str, limit: u32) -> Result<Vec<Event>, ReadError> {
        let connection = self.connection()?;
        let mut statement = connection.prepare_cached(
            "SELECT body FROM journal WHERE kind = ?1 ORDER BY seq DESC LIMIT ?2",
        )?;
        let mut rows = statement.query(params![kind, limit])?;
        let mut events = Vec::new();
        while let Some(row) = rows.next()? {
            events.push(from_str(&row.get::<_, String>(0)?)?);
        }
        Ok(events)
    }
}

pub(crate) fn output(connection: &Connection, run: &str) -> Result<Vec<StoredOutput>, ReadError> {
    let mut statement = connection
        .prepare_cached("SELECT seq, stream, bytes FROM output WHERE run = ?1 ORDER BY seq")?;
    let rows = statement.query_map([run], |row| {
        let stream: String = row.get(1)?;
        Ok(StoredOutput {
            seq: row.get::<_, i64>(0)?.cast_unsigned(),
            stream: stream_of(&stream),
            bytes: row.get(2)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A stream by its name in the tables.
pub(crate) fn stream_of(name: &str) -> OutputStream {
    if name == "stderr" { OutputStream::Stderr } else { OutputStream::Stdout }
}

pub(crate) fn accepted_run(body: &str) -> Result<Option<Run>, ReadError> {
    Ok(match from_str(body)? {
        Event::RunAccepted { run } => Some(*run),
        _ => None,
    })
}

/// How a run ended, from the entry that says so.
pub(crate) fn outcome_of(body: &str) -> Result<Option<Outcome>, ReadError> {
    Ok(match from_str(body)? {
        Event::RunFinished { outcome, .. } => Some(outcome),
        _ => None,
    })
}

pub(crate) fn session_view(row: &Row<'_>) -> Result<SessionView, ReadError> {
    let kind: String = row.get(2)?;
    let agent: String = row.get(3)?;
    let run = match row.get::<_, Option<String>>(9)? {
        None => None,
        Some(body) => accepted_run(&body)?,
    };
    let run = match run {
        None => None,
        Some(run) => {
            let status: String = row.get(7)?;
            let end: Option<String> = row.get(8)?;
            Some(run_view(run, &status, end.as_deref())?)
        }
    };
    Ok(SessionView {
        session_id: SessionId::new(row.get(0)?),
        key: SessionKey::new(row.get(1)?),
        kind: kind_of(&kind)?,
        agent_id: AgentId::new(&agent).unwrap_or_else(|_| AgentId::main()),
        parent: row.get::<_, Option<String>>(4)?.map(SessionId::new),
        label: row.get(5)?,
        created_at_ms: row.get::<_, i64>(6)?.cast_unsigned(),
        updated_at_ms: row.get::<_, i64>(10)?.cast_unsigned(),
        epoch: row.get(11)?,
        settings: from_str(&row.get::<_, String>(12)?)?,
        title: row.get(13)?,
        preview: row.get(14)?,
        spawned_by: row.get::<_, Option<String>>(15)?.map(SessionKey::new),
        archived_at_ms: row.get::<_, Option<i64>>(16)?.map(i64::cast_unsigned),
        run,
    })
}

/// A run, with the entry that says how it ended.
pub(crate) fn run_view(run: Run, status: &str, end: Option<&str>) -> Result<RunView, ReadError> {
    Ok(RunView {
        depth: run.depth(),
        name: run.name().to_owned(),
        accepted_at_ms: run.accepted_at_ms,
        run_id: run.id,
        status: status_of(status)?,
        runtime: run.runtime,
        model: run.model,
        task: run.task,
        workspace: run.workspace.display().to_string(),
        outcome: end.map(outcome_of).transpose()?.flatten(),
    })
}

pub(crate) fn status_of(text: &str) -> Result<RunStatus, serde_json::Error> {
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
}

pub(crate) fn kind_of(text: &str) -> Result<SessionKind, serde_json::Error> {
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
}
