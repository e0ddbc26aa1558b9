//! What becomes of sessions that nobody needs at hand: archived, or deleted.
//!
//! An archived session is out of the usual lists and otherwise as it was. A deleted one is gone,
//! and with its transcript gone, so is what was said in it, as far as it is the gateway's to
//! forget: the journal is evidence and stays as it was written, with the task of a run and the end
//! of its output in it.

use hatchery_protocol::SessionId;
use rusqlite::{Connection, OptionalExtension, params};

use crate::{ReadError, Store};

impl Store {
    /// Sessions of runs that were over before a moment, in milliseconds since 1970, and are not
    /// archived yet: at most so many, the longest over first. None in which a run is live, none
    /// for a conversation, none that is pinned. The cost follows from how many there are.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn due_for_archive(&self, before_ms: u64, limit: u32) -> Result<Vec<SessionId>, ReadError> {
        let connection = self.connection()?;
        let mut statement = connection.prepare_cached(
            "SELECT id FROM sessions INDEXED BY sessions_by_end
             WHERE ended_at_ms IS NOT NULL AND archived_at_ms IS NULL AND deleted_at_ms IS NULL
                 AND ended_at_ms < ?1 AND instr(settings, '\"pinned\":true') = 0
             ORDER BY ended_at_ms LIMIT ?2",
        )?;
        let before = i64::try_from(before_ms).unwrap_or(i64::MAX);
        let ids = statement.query_map(params![before, limit], |row| row.get(0))?;
        Ok(ids.map(|id| id.map(SessionId::new)).collect::<Result<_, _>>()?)
    }
}

/// Archives a session. One in which a run is live is no such session, whoever says so.
pub(crate) fn archive(
    connection: &Connection,
    at_ms: i64,
    session: &SessionId,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE sessions SET archived_at_ms = ?2 WHERE id = ?1 AND live = 0")?
        .execute(params![session.as_str(), at_ms])
        .map(drop)
}

/// Takes a session out of the archive. It is due again only as if it had ended now.
pub(crate) fn reopen(
    connection: &Connection,
    at_ms: i64,
    session: &SessionId,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE sessions SET archived_at_ms = NULL, updated_at_ms = ?2,
                 ended_at_ms = CASE WHEN ended_at_ms IS NOT NULL THEN ?2 END
             WHERE id = ?1 AND archived_at_ms IS NOT NULL",
        )?
        .execute(params![session.as_str(), at_ms])
        .map(drop)
}

/// Deletes a session, and what was said in it where that is wanted.
pub(crate) fn delete(
    connection: &Connection,
    at_ms: i64,
    session: &SessionId,
    with_transcript: bool,
) -> rusqlite::Result<()> {
    let freed = format!("deleted:{session}:{at_ms}");
    let number: Option<i64> = connection
        .prepare_cached(
            "UPDATE sessions SET deleted_at_ms = ?2, key = ?3 WHERE id = ?1 RETURNING number",
        )?
        .query_row(params![session.as_str(), at_ms, freed], |row| row.get(0))
        .optional()?;
    let Some(number) = number.filter(|_| with_transcript) else { return Ok(()) };
    // Without a row and as one that has rows, it says nothing any more.
    connection.execute(
        "UPDATE sessions SET has_rows = 1, title = NULL, preview = NULL, settings = '{}'
         WHERE number = ?1",
        [number],
    )?;
    connection.execute(
        "DELETE FROM output WHERE run IN (
             SELECT r.id FROM sessions s JOIN runs r ON r.accepted = s.opened_for
                 WHERE s.number = ?1
             UNION SELECT run FROM messages WHERE session = ?2 AND kind = 'task')",
        params![number, session.as_str()],
    )?;
    connection.execute("DELETE FROM messages WHERE session = ?1", [session.as_str()])?;
    connection.execute("DELETE FROM message_keys WHERE session = ?1", [session.as_str()])?;
    connection
        .execute("UPDATE runs SET announced_to = NULL WHERE announced_to = ?1", [number])
        .map(drop)
}
