//! Stopping what somebody started who may no longer.

use std::sync::Arc;

use hatchery_access::{Caller, DeviceId};
use hatchery_protocol::SessionId;
use hatchery_spawn::Command;

use super::Supervisor;

impl Supervisor {
    /// Stops every tree that a device started. Says how many.
    pub(crate) fn stop_runs_of(self: &Arc<Self>, device: &DeviceId) -> usize {
        self.stop_runs(|caller| caller.device() == Some(device))
    }

    /// Stops every tree that such a caller started. Says how many.
    pub(crate) fn stop_runs(self: &Arc<Self>, of: impl Fn(&Caller) -> bool) -> usize {
        let sessions: Vec<SessionId> = {
            let core = self.core();
            let theirs = core.callers.iter().filter(|(_, caller)| of(caller));
            let live = theirs.filter_map(|(run, _)| core.state.get(run));
            live.map(|live| live.run.session.clone()).collect()
        };
        for session in &sessions {
            let command = Command::Kill { caller: Caller::Owner, session: session.clone() };
            if let Err(refusal) = self.command(&command) {
                tracing::debug!(%session, "a run ended before it could be stopped: {refusal}");
            }
        }
        sessions.len()
    }
}
