//! Everything there is of one session, for whoever wants to take it along.

use std::ops::ControlFlow;

use hatchery_protocol::{OutputStream, RunId, SessionId};
use hatchery_spawn::Event;
use rusqlite::params;
use serde::{Serialize, Serializer};
use serde_json::from_str;

use crate::read::stream_of;
use crate::transcript::{MESSAGE_COLUMNS, MESSAGE_JOINS, message};
use crate::{Page, ReadError, SessionView, Store, StoredMessage};

/// How many rows are read at a time: others read in between, however slowly this is taken.
const ROWS_AT_A_TIME: u32 = 32;

/// A piece of what there is of a session.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum ExportItem {
    /// The session itself. Always the first.
    Session(Box<SessionView>),
    /// What was said in it, also before it last began anew, in order.
    Message {
        /// How often the transcript had begun anew by then.
        epoch: u32,
        /// The message.
        #[serde(flatten)]
        message: StoredMessage,
    },
    /// An event of one of its runs, in order, from its acceptance to the announce of its end.
    Event {
        /// Its number in the journal.
        seq: u64,
        /// When it was written, in milliseconds since 1970.
        at_ms: u64,
        /// What happened.
        event: Box<Event>,
    },
    /// A kept piece of what one of its runs said.
    Output {
        /// The run.
        run: RunId,
        /// Its position in the run's output, from 1.
        seq: u64,
        /// When it was said, in milliseconds since 1970.
        at_ms: u64,
        /// The stream it was said on.
        stream: OutputStream,
        /// What: as text, or as a list of numbers where it is none.
        #[serde(serialize_with = "text_or_bytes")]
        bytes: Vec<u8>,
    },
}

/// A run of the session, by where it stands in the journal.
struct OfSession {
    run: String,
    first: i64,
    /// The last of its entries; none while it is not over.
    last: Option<i64>,
}

impl Store {
    /// Shows everything of a session until told to stop: the session, what was said in it, and of
    /// each of its runs the events and the kept output. Says whether there is such a session. What
    /// is said meanwhile may be part of it or not.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn export_session(
        &self,
        session: &SessionId,
        mut show: impl FnMut(ExportItem) -> ControlFlow<()>,
    ) -> Result<bool, ReadError> {
        let Some(view) = self.session_by_id(session)? else { return Ok(false) };
        if show(ExportItem::Session(Box::new(view.clone()))).is_break()
            || self.export_messages(&view, &mut show)?.is_break()
        {
            return Ok(true);
        }
        for run in self.runs_of(session)? {
            if self.export_events(&run, &mut show)?.is_break()
                || self.export_output(&run, &mut show)?.is_break()
            {
                break;
            }
        }
        Ok(true)
    }

    fn export_messages(
        &self,
        view: &SessionView,
        show: &mut impl FnMut(ExportItem) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ReadError> {
        let (mut epoch, mut seq) = (0_u32, 0_u64);
        let mut any = false;
        loop {
            let mut messages = Vec::new();
            {
                let connection = self.connection()?;
                let mut statement = connection.prepare_cached(&format!(
                    "SELECT {MESSAGE_COLUMNS}, m.epoch {MESSAGE_JOINS}
                     WHERE m.session = ?1 AND (m.epoch, m.seq) > (?2, ?3)
                     ORDER BY m.epoch, m.seq LIMIT ?4"
                ))?;
                let after =
                    params![view.session_id.as_str(), epoch, seq.cast_signed(), ROWS_AT_A_TIME];
                let mut rows = statement.query(after)?;
                while let Some(row) = rows.next()? {
                    epoch = row.get(7)?;
                    seq = row.get::<_, i64>(1)?.cast_unsigned();
                    any = true;
                    messages.push((epoch, message(row)?));
                }
            }
            if messages.is_empty() {
                break;
            }
            for (epoch, message) in messages {
                if let Some(message) = message
                    && show(ExportItem::Message { epoch, message }).is_break()
                {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        if any {
            return Ok(ControlFlow::Continue(()));
        }
        // A session without rows has a task and an answer at most.
        let said = self.transcript(view, Page { limit: ROWS_AT_A_TIME, offset: 0 })?;
        let mut items = said.messages.into_iter();
        Ok(items.try_for_each(|message| show(ExportItem::Message { epoch: view.epoch, message })))
    }

    fn runs_of(&self, session: &SessionId) -> Result<Vec<OfSession>, ReadError> {
        let connection = self.connection()?;
        let mut statement = connection.prepare_cached(
            "SELECT r.accepted, r.id, r.ended, r.announced FROM sessions s
                 JOIN runs r ON r.accepted = s.opened_for WHERE s.id = ?1
             UNION SELECT r.accepted, r.id, r.ended, r.announced FROM messages m
                 JOIN runs r ON r.id = m.run WHERE m.session = ?1 AND m.kind = 'task'
             ORDER BY 1",
        )?;
        let runs = statement.query_map([session.as_str()], |row| {
            let (ended, announced): (Option<i64>, Option<i64>) = (row.get(2)?, row.get(3)?);
            Ok(OfSession { first: row.get(0)?, run: row.get(1)?, last: announced.max(ended) })
        })?;
        Ok(runs.collect::<Result<_, _>>()?)
    }

    fn export_events(
        &self,
        run: &OfSession,
        show: &mut impl FnMut(ExportItem) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ReadError> {
        let mut from = run.first;
        loop {
            let mut items = Vec::new();
            {
                let connection = self.connection()?;
                let mut statement = connection.prepare_cached(
                    "SELECT seq, at_ms, body FROM journal
                     WHERE seq >= ?1 AND seq <= ?2 AND run = ?3 ORDER BY seq LIMIT ?4",
                )?;
                let last = run.last.unwrap_or(i64::MAX);
                let mut rows = statement.query(params![from, last, run.run, ROWS_AT_A_TIME])?;
                while let Some(row) = rows.next()? {
                    let seq: i64 = row.get(0)?;
                    from = seq + 1;
                    items.push(ExportItem::Event {
                        seq: seq.cast_unsigned(),
                        at_ms: row.get::<_, i64>(1)?.cast_unsigned(),
                        event: from_str(&row.get::<_, String>(2)?)?,
                    });
                }
            }
            if items.is_empty() {
                return Ok(ControlFlow::Continue(()));
            }
            if items.into_iter().try_for_each(&mut *show).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }

    fn export_output(
        &self,
        run: &OfSession,
        show: &mut impl FnMut(ExportItem) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ReadError> {
        let mut after = 0_i64;
        loop {
            let mut items = Vec::new();
            {
                let connection = self.connection()?;
                let mut statement = connection.prepare_cached(
                    "SELECT seq, at_ms, stream, bytes FROM output
                     WHERE run = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
                )?;
                let mut rows = statement.query(params![run.run, after, ROWS_AT_A_TIME])?;
                while let Some(row) = rows.next()? {
                    after = row.get(0)?;
                    items.push(ExportItem::Output {
                        run: RunId::new(run.run.clone()),
                        seq: after.cast_unsigned(),
                        at_ms: row.get::<_, i64>(1)?.cast_unsigned(),
                        stream: stream_of(row.get_ref(2)?.as_str().unwrap_or_default()),
                        bytes: row.get(3)?,
                    });
                }
            }
            if items.is_empty() {
                return Ok(ControlFlow::Continue(()));
            }
            if items.into_iter().try_for_each(&mut *show).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
}

fn text_or_bytes<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
    match std::str::from_utf8(bytes) {
        Ok(text) => to.serialize_str(text),
        Err(_) => bytes.serialize(to),
    }
}
