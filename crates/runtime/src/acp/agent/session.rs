//! A session: where it works, and the one turn that may run in it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hatchery_agent::Cancel;

use crate::acp::rpc::RequestId;

type Slot = Arc<Mutex<Option<(RequestId, Cancel)>>>;

/// A session of a client.
pub(crate) struct Session {
    cwd: PathBuf,
    /// Shared with the turn, which leaves it before it is answered.
    turn: Slot,
}

/// The right to run a turn in a session. Dropping it frees the session.
pub(crate) struct Running {
    slot: Slot,
    cancel: Cancel,
}

impl Session {
    /// A session that works in `cwd`.
    pub(crate) fn new(cwd: PathBuf) -> Self {
        Self { cwd, turn: Slot::default() }
    }

    /// Where it works.
    pub(crate) fn cwd(&self) -> &Path {
        &self.cwd
    }

    /// Begins the turn asked for by `request`; none while another one runs.
    pub(crate) fn begin(&self, request: RequestId) -> Option<Running> {
        let mut turn = lock(&self.turn);
        if turn.is_some() {
            return None;
        }
        let cancel = Cancel::new();
        *turn = Some((request, cancel.clone()));
        Some(Running { slot: self.turn.clone(), cancel })
    }

    /// Cancels the turn that runs, if one does. A cancel that comes late never hits the next turn.
    pub(crate) fn cancel(&self) {
        if let Some((_, cancel)) = &*lock(&self.turn) {
            cancel.cancel();
        }
    }

    /// Cancels the turn that `request` asked for, if it still runs.
    pub(crate) fn cancel_request(&self, request: Option<&RequestId>) {
        if let Some((running, cancel)) = &*lock(&self.turn)
            && Some(running) == request
        {
            cancel.cancel();
        }
    }

    /// Stops the turn because the client is gone.
    pub(crate) fn leave(&self) {
        if let Some((_, cancel)) = &*lock(&self.turn) {
            cancel.cancel_now();
        }
    }
}

impl Running {
    /// The wish to stop this turn.
    pub(crate) fn cancel(&self) -> Cancel {
        self.cancel.clone()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        *lock(&self.slot) = None;
    }
}

fn lock(slot: &Slot) -> MutexGuard<'_, Option<(RequestId, Cancel)>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::{RequestId, Session};

    fn id(number: u64) -> RequestId {
        RequestId::new(json!(number)).unwrap()
    }

    #[test]
    fn one_turn_runs_in_a_session_at_a_time() {
        let session = Session::new("/".into());
        let running = session.begin(id(1)).unwrap();
        assert!(session.begin(id(2)).is_none());
        drop(running);
        assert!(session.begin(id(2)).is_some());
    }

    #[test]
    fn a_cancel_hits_the_turn_it_means_and_no_later_one() {
        let session = Session::new("/".into());
        let first = session.begin(id(1)).unwrap();
        session.cancel_request(Some(&id(2)));
        session.cancel_request(None);
        assert!(!first.cancel().is_cancelled());
        session.cancel_request(Some(&id(1)));
        assert!(first.cancel().is_cancelled());
        drop(first);
        session.cancel();
        assert!(!session.begin(id(2)).unwrap().cancel().is_cancelled());
    }
}
