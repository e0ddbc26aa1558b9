//! Stopping what somebody started who may no longer.

use std::sync::Arc;

use hatchery_access::{Caller, DeviceId};
use hatchery_protocol::SessionId;
use hatchery_spawn::Command;

use super::Supervisor;

impl Supervisor {
    /// Stops every tree that a device started. Says how many.
    pub(crate) fn stop_runs_of(self: &Arc<Self>, device: &DeviceId) -> usize {
        let sessions: Vec<SessionId> = {
            let core = self.core();
            let of_device =
                core.callers.iter().filter(|(_, caller)| caller.device() == Some(device));
            let live = of_device.filter_map(|(run, _)| core.state.get(run));
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
