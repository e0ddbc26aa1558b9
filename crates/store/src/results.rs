//! Results of runs, for whoever waited for them.

use hatchery_protocol::{RunId, SessionId};
use hatchery_spawn::Outcome;
use rusqlite::OptionalExtension;

use crate::read::outcome_of;
use crate::{ReadError, Store};

/// How a run ended, and whose it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunResult {
    /// The run.
    pub run: RunId,
    /// Its session.
    pub session: SessionId,
    /// Its name for people.
    pub label: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
}

impl Store {
    /// The results of these runs, in this order. A run that is unknown or not over has none.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn results(&self, runs: &[RunId]) -> Result<Vec<RunResult>, ReadError> {
        let connection = self.connection()?;
        let mut statement = connection.prepare_cached(
            "SELECT s.id, s.label, e.body FROM runs r JOIN sessions s ON s.number = r.session
             JOIN journal e ON e.seq = r.ended WHERE r.id = ?1",
        )?;
        let mut results = Vec::new();
        for run in runs {
            let found = statement
                .query_row([run.as_str()], |row| {
                    Ok((row.get::<_, String>(0)?, row.get(1)?, row.get::<_, String>(2)?))
                })
                .optional()?;
            let Some((session, label, ended)) = found else { continue };
            let Some(outcome) = outcome_of(&ended)? else { continue };
            let session = SessionId::new(session);
            results.push(RunResult { run: run.clone(), session, label, outcome });
        }
        Ok(results)
    }
}
