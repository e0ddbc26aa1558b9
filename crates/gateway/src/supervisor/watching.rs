//! Watching a run that somebody else has started, or that was started before.

use std::sync::Arc;

use bytes::Bytes;
use hatchery_protocol::{OutputStream, RunId, RunStatus, SessionId};
use hatchery_store::{CommitError, Entry};

use super::Supervisor;
use crate::clock::now_ms;
use crate::watchers::{AlreadyWatched, Progress, Watcher};

/// What a watcher has joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joined {
    /// A live run, with what had been told of it before. Everything after that is held for the
    /// watcher until it has caught up.
    Live(RunStatus, Progress),
    /// A run that is over, and whose end is in the journal.
    Over,
}

impl Supervisor {
    /// The run at work in a session.
    pub(crate) fn at_work_in(&self, session: &SessionId) -> Option<RunId> {
        self.core().state.in_session(session).map(|live| live.run.id.clone())
    }

    /// Keeps how many pieces of output a run had, where the last of them is not kept.
    pub(super) fn count_pieces(self: &Arc<Self>, run: &RunId, seq: u64) {
        let bytes = Bytes::new();
        let count = Entry::Output { run: run.clone(), seq, stream: OutputStream::Stdout, bytes };
        let supervisor = Arc::clone(self);
        let afterwards = move |durable: Result<(), CommitError>| {
            if let Err(error) = durable {
                supervisor.journal_broke(&error, &[]);
            }
        };
        self.store.append(now_ms(), vec![count], Box::new(afterwards));
    }

    /// From now on nothing of the run escapes this watcher.
    pub(crate) async fn join(
        &self,
        run: &RunId,
        watcher: Watcher,
    ) -> Result<Joined, AlreadyWatched> {
        {
            // What is told is told under this lock, so nothing happens between the look and the
            // joining. The end of a run that is live here is told after this.
            let mut core = self.core();
            // What waited for its slot when the journal broke never begins.
            let never = core.journal_error.is_some() && !core.tasks.contains_key(run);
            if let Some(live) = core.state.get(run).filter(|_| !never) {
                let status = live.status();
                let progress = core.watchers.join(run, watcher)?;
                return Ok(Joined::Live(status, progress));
            }
        }
        self.settled().await;
        Ok(Joined::Over)
    }
}
