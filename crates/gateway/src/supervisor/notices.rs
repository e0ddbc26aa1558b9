//! Telling results on the routes that were named at the spawn.

use std::sync::Arc;
use std::time::Duration;

use hatchery_access::{Permit, Refusal, Write};
use hatchery_protocol::RunId;
use hatchery_spawn::{Command, Notice};
use tokio::time::sleep;

use super::Supervisor;
use crate::clock::now_ms;

impl Supervisor {
    /// Tells a result on its route once that is due.
    pub(super) fn deliver(self: &Arc<Self>, run: &RunId) {
        let Some(notice) = self.core().state.notices().get(run).cloned() else { return };
        let (supervisor, run) = (Arc::clone(self), run.clone());
        self.tasks.spawn(async move { supervisor.deliver_when_due(run, notice).await });
    }

    async fn deliver_when_due(self: Arc<Self>, run: RunId, notice: Notice) {
        sleep(Duration::from_millis(notice.due_at_ms.saturating_sub(now_ms()))).await;
        // Somebody may have decided otherwise meanwhile.
        if self.core().state.notices().get(&run) != Some(&notice) {
            return;
        }
        let reason = format!("there is no channel '{}'", notice.route.channel);
        self.note(&Command::DeliveryFailed { run, reason, for_good: true });
    }

    /// Has a result that could not be told told again.
    pub(crate) fn retry_notice(
        self: &Arc<Self>,
        permit: &Permit<Write>,
        run: RunId,
    ) -> Result<(), Refusal> {
        self.command(&Command::RetryNotice { caller: permit.caller().clone(), run })
    }

    /// Gives up a result that is not told yet.
    pub(crate) fn dismiss_notice(
        self: &Arc<Self>,
        permit: &Permit<Write>,
        run: RunId,
    ) -> Result<(), Refusal> {
        self.command(&Command::DismissNotice { caller: permit.caller().clone(), run })
    }

    /// The results that are not told yet, by run.
    pub(crate) fn notices(&self) -> Vec<(RunId, Notice)> {
        let core = self.core();
        let open = core.state.notices().iter();
        open.map(|(run, notice)| (run.clone(), notice.clone())).collect()
    }
}
