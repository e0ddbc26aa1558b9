//! Reading back what the gateway's state is made of: a snapshot, and what happened since.

use hatchery_protocol::RunId;
use hatchery_spawn::Event;
use serde_json::from_str;

use crate::{ReadError, Store, snapshots};

/// How many bytes of a run's last words are given, in bytes.
pub(crate) const TAIL_BYTES: usize = 64 * 1024;

/// What the state is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// The newest snapshot, a state as JSON; none where there is none.
    pub snapshot: Option<String>,
    /// What happened to runs since, in order, each with its time in milliseconds since 1970.
    pub events: Vec<(u64, Event)>,
    /// How many newer snapshots were there that the gateway had not written so, and that were not
    /// used. Anything but 0 means that something else wrote to the file.
    pub passed_over: u32,
}

/// The last of what a run said, as far as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastWords {
    /// The end of it, at most 64 KiB.
    pub tail: String,
    /// How many bytes are kept of it.
    pub output_bytes: u64,
    /// The number of the last piece; 0 where it said nothing.
    pub last_seq: u64,
}

impl Store {
    /// The newest snapshot, and every event of a run after it. The cost follows from the size of
    /// the snapshot and from [`entries_since_snapshot`](Self::entries_since_snapshot).
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn recover(&self) -> Result<Replay, ReadError> {
        let found = snapshots::newest(&*self.connection()?, &self.chain)?;
        let mut events = Vec::new();
        self.replay_after(found.seq, |at_ms, event| events.push((at_ms, event)))?;
        Ok(Replay { snapshot: found.body, events, passed_over: found.passed_over })
    }

    /// Every event of a run there ever was: for who cannot read the snapshot. The cost, in time
    /// and memory, follows from the whole history; see [`replay_after`](Self::replay_after).
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn recover_from_start(&self) -> Result<Replay, ReadError> {
        let mut events = Vec::new();
        self.replay_after(0, |at_ms, event| events.push((at_ms, event)))?;
        Ok(Replay { snapshot: None, events, passed_over: 0 })
    }

    /// Shows every event of a run after the entry of that number, in order and one at a time, with
    /// its time in milliseconds since 1970. Nothing else may read while this goes on.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn replay_after(
        &self,
        seq: u64,
        mut show: impl FnMut(u64, Event),
    ) -> Result<(), ReadError> {
        let connection = self.connection()?;
        // What is evidence alone is about no run.
        let mut statement = connection.prepare(
            "SELECT at_ms, body FROM journal WHERE seq > ?1 AND run IS NOT NULL ORDER BY seq",
        )?;
        let mut rows = statement.query([seq.cast_signed()])?;
        while let Some(row) = rows.next()? {
            let event = from_str(row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?)?;
            show(row.get::<_, i64>(0)?.cast_unsigned(), event);
        }
        Ok(())
    }

    /// The last of what a run said. Reads what it gives and no more.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn last_words(&self, run: &RunId) -> Result<LastWords, ReadError> {
        let connection = self.connection()?;
        let (bytes, last_seq): (i64, Option<i64>) = connection
            .prepare_cached(
                "SELECT COALESCE(sum(length(bytes)), 0), max(seq) FROM output WHERE run = ?1",
            )?
            .query_row([run.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let Some(last_seq) = last_seq else { return Ok(LastWords::default()) };
        let mut statement = connection
            .prepare_cached("SELECT bytes FROM output WHERE run = ?1 ORDER BY seq DESC")?;
        let mut rows = statement.query([run.as_str()])?;
        let mut pieces = Vec::new();
        let mut length = 0;
        while length < TAIL_BYTES
            && let Some(row) = rows.next()?
        {
            let piece: Vec<u8> = row.get(0)?;
            length += piece.len();
            pieces.push(piece);
        }
        let said: Vec<u8> = pieces.into_iter().rev().flatten().collect();
        let tail = &said[said.len().saturating_sub(TAIL_BYTES)..];
        Ok(LastWords {
            tail: String::from_utf8_lossy(tail).into_owned(),
            output_bytes: bytes.cast_unsigned(),
            last_seq: last_seq.cast_unsigned(),
        })
    }
}
