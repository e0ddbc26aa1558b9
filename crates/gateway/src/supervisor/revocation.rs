//! Runs whose authority is gone.

use std::sync::Arc;

use hatchery_access::{Caller, DeviceId};
use hatchery_protocol::SessionId;
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
        let sessions: Vec<SessionId> = {
            let core = self.core();
            let runs = core.callers.iter().filter(|(_, caller)| of(caller));
            runs.filter_map(|(run, _)| Some(core.state.get(run)?.run.session.clone())).collect()
        };
        for session in &sessions {
            // It is the gateway itself that stops them, on its owner's word.
            let kill = Command::Kill { caller: Caller::Owner, session: session.clone() };
            if let Err(refusal) = self.command(&kill) {
                tracing::debug!(%session, "a run had ended before it was stopped: {refusal}");
            }
        }
        sessions.len()
    }
}
