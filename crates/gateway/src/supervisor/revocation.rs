//! Runs whose authority is gone.

use std::sync::Arc;

use hatchery_access::{Caller, DeviceId};
use hatchery_protocol::{RunId, SessionId};
use hatchery_spawn::Command;

use super::Supervisor;

impl Supervisor {
    /// Stops every run a device has started, and all that is below them; says how many there
    /// were. Returns before they are gone.
    pub(crate) fn stop_runs_of(self: &Arc<Self>, device: &DeviceId) -> usize {
        self.stop_runs(|caller| caller.device() == Some(device))
    }

    /// Stops every run that such a caller has started, and all that is below them.
    pub(crate) fn stop_runs(self: &Arc<Self>, of: impl Fn(&Caller) -> bool) -> usize {
        let runs: Vec<(RunId, SessionId, bool)> = {
            let core = self.core();
            let runs = core.callers.iter().filter(|(_, caller)| of(caller));
            let runs = runs.filter_map(|(run, _)| core.state.get(run)).map(|live| &live.run);
            runs.map(|run| (run.id.clone(), run.session.clone(), run.is_turn())).collect()
        };
        for (run, session, is_turn) in &runs {
            // It is the gateway itself that stops them, on its owner's word. Of a conversation
            // only the turns of whoever is gone: others may have theirs in it.
            let (caller, session) = (Caller::Owner, session.clone());
            let stop = match is_turn {
                true => Command::Hush { caller, session, only: Some(run.clone()) },
                false => Command::Kill { caller, session },
            };
            if let Err(refusal) = self.command(&stop) {
                tracing::debug!(%run, "a run had ended before it was stopped: {refusal}");
            }
        }
        runs.len()
    }
}
