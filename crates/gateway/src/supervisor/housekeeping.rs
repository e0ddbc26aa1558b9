//! What is done now and then without anybody asking: sessions that are over leave the lists, and
//! the journal's file is looked at.

use std::sync::Arc;
use std::time::Duration;

use hatchery_sandbox::give_memory_back;
use hatchery_spawn::Command;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::Supervisor;
use crate::clock::now_ms;

/// How often it is looked for sessions that are over for long enough.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// How many sessions leave the lists in one commit; the next ones follow at once.
const ARCHIVED_AT_ONCE: u32 = 256;

/// How long nothing may have been at work before memory that is free is given back.
const QUIET: Duration = Duration::from_secs(3);

/// The longest that it is kept where something is at work all the time.
const KEPT_FOR: Duration = Duration::from_secs(60);

impl Supervisor {
    /// Keeps the house until the task is ended.
    pub(crate) async fn keep_house(self: Arc<Self>) {
        self.check_journal().await;
        loop {
            self.archive_old_sessions().await;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Gives memory back that a busy time has left, until the task is ended. Whoever wants memory
    /// waits meanwhile, so it is done when nobody is likely to.
    pub(crate) async fn give_memory_back(self: Arc<Self>) {
        let mut changes = self.changes.subscribe();
        let mut given = Instant::now();
        while changes.changed().await.is_ok() {
            tokio::time::sleep(QUIET).await;
            let is_quiet = self.core().state.at_work() == 0;
            if is_quiet || given.elapsed() >= KEPT_FOR {
                changes.mark_unchanged();
                if spawn_blocking(give_memory_back).await.is_err() {
                    return;
                }
                given = Instant::now();
            }
        }
    }

    /// Has the sessions of runs that are over for long enough leave the lists.
    async fn archive_old_sessions(self: &Arc<Self>) {
        let minutes = self.settings.config().agents.defaults.subagents.archive_after_minutes;
        if minutes == 0 {
            return;
        }
        // A clock that was set back makes it later, never earlier.
        let before = now_ms().saturating_sub(u64::from(minutes) * 60_000);
        loop {
            let supervisor = Arc::clone(self);
            let due =
                spawn_blocking(move || supervisor.store.due_for_archive(before, ARCHIVED_AT_ONCE));
            let sessions = match due.await {
                Ok(Ok(sessions)) => sessions,
                Ok(Err(error)) => return tracing::error!("old sessions cannot be found: {error}"),
                Err(_) => return,
            };
            if sessions.is_empty() || !self.takes_what_happens() {
                return;
            }
            tracing::info!(count = sessions.len(), "sessions are archived");
            self.note(&Command::Archive { sessions });
            self.settled().await;
        }
    }

    /// Looks at the journal's file once. What is damaged in it would else be found only by who
    /// needs it.
    async fn check_journal(self: &Arc<Self>) {
        let supervisor = Arc::clone(self);
        match spawn_blocking(move || supervisor.store.check()).await {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(fault))) => {
                tracing::error!("the journal's file is damaged: {fault}");
                self.core().journal_fault = Some(fault);
            }
            Ok(Err(error)) => tracing::error!("the journal's file cannot be checked: {error}"),
            Err(_) => tracing::error!("the journal's file could not be checked"),
        }
    }
}
