//! After a life of the gateway that ended without a word.

use std::sync::Arc;
use std::time::Duration;

use hatchery_failpoints::{Point, reach};
use hatchery_sandbox::{ProcessIdentity, reap};
use hatchery_spawn::{Command, Event, LastWords};

use super::Supervisor;
use crate::error::StartError;

/// How long what was left behind may take to end before it is killed: longer than a keeper's own
/// patience with its tree.
const PATIENCE: Duration = Duration::from_secs(4);

impl Supervisor {
    /// Makes sure that nothing of the last life still runs, and marks what was going on then as
    /// interrupted. Called once, before any door opens.
    pub(crate) async fn recover(self: &Arc<Self>) -> Result<(), StartError> {
        let left_over = self.store.interrupted_runs()?;
        if left_over.is_empty() {
            return Ok(());
        }
        reach(Point::RecoveryBegun);
        let keepers: Vec<ProcessIdentity> = left_over
            .iter()
            .filter_map(|run| run.process.clone())
            .map(|mark| ProcessIdentity {
                pid: mark.pid,
                start_time: mark.start_time,
                boot_id: mark.boot_id,
            })
            .collect();
        for reaped in reap(&keepers, PATIENCE).await {
            tracing::info!(?reaped, "looked after a process of the last life");
        }
        reach(Point::RecoveryReaped);
        let mut said = Vec::with_capacity(left_over.len());
        {
            let mut core = self.core();
            for interrupted in left_over {
                let run = interrupted.run.id.clone();
                core.state.apply(&Event::RunAccepted { run: Box::new(interrupted.run) });
                said.push(LastWords {
                    run,
                    tail: interrupted.tail,
                    output_bytes: interrupted.output_bytes,
                });
            }
        }
        if let Err(refusal) = self.command(&Command::Recover { said }) {
            tracing::error!("interrupted runs could not be marked: {refusal}");
        }
        // Whoever looks next must not find them running.
        self.settled().await;
        reach(Point::RecoveryMarked);
        match self.core().journal_error.clone() {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }
}
