//! What became of results that were to be told on a route, from the run's end on.
//!
//! The live ones are in the state too; here stays how each of them came to its end.

use hatchery_protocol::RunId;
use hatchery_spawn::{Event, Route};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use crate::read::{SESSION_COLUMNS, SESSION_JOINS, session_view};
use crate::schema::Circumstances;
use crate::{ReadError, SessionView, Store};

/// How many candidates an ambiguous beginning names.
const NAMED_CANDIDATES: u32 = 5;

const TABLES: &str = "
CREATE TABLE deliveries (
    run TEXT PRIMARY KEY,
    session TEXT NOT NULL,
    channel TEXT NOT NULL,
    recipient TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    reason TEXT,
    at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_by_state ON deliveries (state, session);
";

/// The condition of a list of sessions by how far their results are.
pub(crate) const SESSIONS_IN_STATE: &str =
    "s.id IN (SELECT d.session FROM deliveries d WHERE d.state = ?)";

/// How far a result is on its route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// It is told, or tried again, when its time has come.
    Pending,
    /// It was told.
    Delivered,
    /// It could not be told, and somebody has to decide.
    Blocked,
    /// It is not to be told any more.
    Dismissed,
}

/// What became of a result on its route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Where to.
    pub route: Route,
    /// How far it is.
    pub state: DeliveryState,
    /// How often it was tried and failed since it was new, or was last told to be tried again.
    pub attempts: u32,
    /// Why it is not told, or who wanted no more of it.
    pub reason: Option<String>,
    /// Since when that is so, in milliseconds since 1970.
    pub at_ms: u64,
}

impl DeliveryState {
    /// Its name, on the wire and in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Blocked => "blocked",
            Self::Dismissed => "dismissed",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let all = [Self::Pending, Self::Delivered, Self::Blocked, Self::Dismissed];
        all.into_iter().find(|state| state.as_str() == name)
    }
}

/// The table of deliveries.
pub(crate) fn tables(transaction: &Transaction<'_>, _: &Circumstances<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(TABLES)
}

/// Folds in what befell a result on its route; anything else is none of this table's.
pub(crate) fn project(connection: &Connection, at_ms: i64, event: &Event) -> rusqlite::Result<()> {
    let set = |run: &RunId, state: DeliveryState, failed: u32, reason: Option<&str>| {
        connection
            .prepare_cached(
                "UPDATE deliveries SET state = ?2, attempts = attempts + ?3, reason = ?4,
                     at_ms = ?5 WHERE run = ?1",
            )?
            .execute(params![run.as_str(), state.as_str(), failed, reason, at_ms])
            .map(drop)
    };
    match event {
        Event::NoticeDue { run, notice } => connection
            .prepare_cached(
                "INSERT OR REPLACE INTO deliveries
                     (run, session, channel, recipient, state, attempts, at_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                run.as_str(),
                notice.session.as_str(),
                notice.route.channel,
                notice.route.to,
                DeliveryState::Pending.as_str(),
                notice.attempts,
                at_ms
            ])
            .map(drop),
        Event::NoticeDelivered { run } => set(run, DeliveryState::Delivered, 0, None),
        Event::NoticeBlocked { run, reason } => set(run, DeliveryState::Blocked, 1, Some(reason)),
        Event::NoticeDismissed { run, by } => set(run, DeliveryState::Dismissed, 0, Some(by)),
        _ => Ok(()),
    }
}

impl Store {
    /// What became of a run's result on its route; none where it has no route, or is not over.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn delivery(&self, run: &RunId) -> Result<Option<Delivery>, ReadError> {
        let connection = self.connection()?;
        let mut statement = connection.prepare_cached(
            "SELECT channel, recipient, state, attempts, reason, at_ms FROM deliveries
             WHERE run = ?1",
        )?;
        Ok(statement.query_row([run.as_str()], delivery).optional()?)
    }

    /// The session that was opened for a run, also when it was deleted since.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn session_of_run(&self, run: &RunId) -> Result<Option<SessionView>, ReadError> {
        let connection = self.connection()?;
        let sql = format!(
            "SELECT {SESSION_COLUMNS} {SESSION_JOINS}
             WHERE s.number = (SELECT session FROM runs WHERE id = ?1)"
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query([run.as_str()])?;
        rows.next()?.map(session_view).transpose()
    }

    /// The runs whose names begin so, a few of them; the run of that name alone where there is one.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn runs_named(&self, beginning: &str) -> Result<Vec<RunId>, ReadError> {
        let connection = self.connection()?;
        // A half-open range uses the index; `~` sorts behind every character an id can have.
        let mut statement = connection.prepare_cached(
            "SELECT id FROM runs WHERE id >= ?1 AND id < ?1 || '~' ORDER BY id LIMIT ?2",
        )?;
        let ids = statement
            .query_map(params![beginning, NAMED_CANDIDATES], |row| row.get::<_, String>(0))?;
        let mut runs = ids.map(|id| id.map(RunId::new)).collect::<Result<Vec<_>, _>>()?;
        if runs.first().is_some_and(|first| first.as_str() == beginning) {
            runs.truncate(1);
        }
        Ok(runs)
    }
}

fn delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    let state: String = row.get(2)?;
    Ok(Delivery {
        route: Route { channel: row.get(0)?, to: row.get(1)? },
        state: DeliveryState::parse(&state).unwrap_or(DeliveryState::Blocked),
        attempts: row.get(3)?,
        reason: row.get(4)?,
        at_ms: row.get::<_, i64>(5)?.cast_unsigned(),
    })
}

#[cfg(test)]
mod tests {
    use super::DeliveryState;

    #[test]
    fn every_state_has_its_name() {
        for state in ["pending", "delivered", "blocked", "dismissed"] {
            assert_eq!(DeliveryState::parse(state).map(DeliveryState::as_str), Some(state));
        }
        assert_eq!(DeliveryState::parse("lost"), None);
    }
}
