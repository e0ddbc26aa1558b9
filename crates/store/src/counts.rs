//! How many sessions and runs there are, of which kind.

use std::collections::BTreeMap;

use hatchery_protocol::{RunStatus, SessionId, SessionKind};

use crate::read::{kind_of, status_of};
use crate::{ReadError, Store};

/// How many sessions there are, by agent and by what became of their runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionCounts {
    /// How many sessions each agent has.
    pub by_agent: BTreeMap<String, u64>,
    /// How many runs are of each kind and in each state.
    pub runs: Vec<(SessionKind, RunStatus, u64)>,
}

impl Store {
    /// Counts the sessions, or those that are `below` or stand below it. Looks at all of them.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn count_sessions(&self, below: Option<&SessionId>) -> Result<SessionCounts, ReadError> {
        let connection = self.connection()?;
        let mut statement = connection.prepare_cached(
            "WITH RECURSIVE tree (id) AS (
                 SELECT ?1 UNION SELECT c.id FROM sessions c JOIN tree t ON c.parent = t.id)
             SELECT s.agent, s.kind, r.status, count(*)
             FROM sessions s LEFT JOIN runs r ON r.accepted = s.run
             WHERE (?1 IS NULL OR s.id IN tree) AND s.deleted_at_ms IS NULL GROUP BY 1, 2, 3",
        )?;
        let mut rows = statement.query([below.map(SessionId::as_str)])?;
        let mut counts = SessionCounts::default();
        while let Some(row) = rows.next()? {
            let count = row.get::<_, i64>(3)?.cast_unsigned();
            *counts.by_agent.entry(row.get(0)?).or_default() += count;
            if let Some(status) = row.get::<_, Option<String>>(2)? {
                let kind = kind_of(&row.get::<_, String>(1)?)?;
                counts.runs.push((kind, status_of(&status)?, count));
            }
        }
        Ok(counts)
    }
}
