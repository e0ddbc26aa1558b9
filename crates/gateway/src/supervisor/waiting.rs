//! Runs that wait: for results of their sub-agents, or for somebody's permission.

use std::sync::Arc;
use std::time::Duration;

use hatchery_access::{Permit, Refusal, Remedy, Write};
use hatchery_protocol::{ErrorCode, RunId};
use hatchery_spawn::Command;
use tokio::sync::oneshot;

use super::{Core, Supervisor};

impl Supervisor {
    /// Waits in a run's name until enough results have come, and gives the runs whose results
    /// they are. When `limit` has passed it gives what has come until then.
    pub(crate) async fn wait_for_results(
        self: &Arc<Self>,
        permit: &Permit<Write>,
        wanted: Option<u32>,
        limit: Option<Duration>,
    ) -> Result<Vec<RunId>, Refusal> {
        let Some(grant) = permit.caller().grant() else { return Err(not_a_run()) };
        let run = grant.run().clone();
        let (tell, mut told) = oneshot::channel();
        {
            let policy = self.settings.policy();
            let mut core = self.core();
            let wait = Command::Yield { run: run.clone(), wanted };
            let step = core.decide(&policy, &wait).map_err(Refusal::from)?;
            // Told after the commit, like everything else.
            core.yielders.insert(run.clone(), tell);
            self.keep(&mut core, step, |_| {});
        }
        let results = match limit {
            None => (&mut told).await,
            Some(limit) => match tokio::time::timeout(limit, &mut told).await {
                Ok(results) => results,
                Err(_) => {
                    self.note(&Command::StopWaiting { run });
                    told.await
                }
            },
        };
        // The sender is gone where the run itself has ended.
        Ok(results.unwrap_or_default())
    }

    /// A run waits for somebody's permission while `decision` is awaited.
    pub(crate) async fn while_waiting<T>(
        self: &Arc<Self>,
        run: Option<&RunId>,
        decision: impl Future<Output = T>,
    ) -> T {
        let Some(run) = run else { return decision.await };
        self.note(&Command::AwaitApproval { run: run.clone() });
        let decided = decision.await;
        self.note(&Command::ApprovalDecided { run: run.clone() });
        decided
    }
}

impl Core {
    /// Whoever waits in a run's name has these results now.
    pub(super) fn give_results(&mut self, run: &RunId, results: &[RunId]) {
        if let Some(yielder) = self.yielders.remove(run)
            && yielder.send(results.to_vec()).is_err()
        {
            tracing::debug!(%run, "nobody waits for these results any more");
        }
    }
}

fn not_a_run() -> Refusal {
    Refusal::forbidden(
        "NOT_A_RUN",
        "waiting of the run",
        "only a run waits for its sub-agents".to_owned(),
        Remedy::Command("hatchery sessions list --tree".to_owned()),
    )
    .in_class(ErrorCode::InvalidRequest)
}
