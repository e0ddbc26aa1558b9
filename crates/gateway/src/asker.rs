//! Whoever asked for a run, and how it is answered.

use hatchery_protocol::{Response, SpawnAccepted, WireError};
use hatchery_store::CommitError;
use serde_json::json;

use crate::hub::ConnectionId;
use crate::outbox::{Outbox, Share};
use crate::supervisor::unavailable;
use crate::watchers::Watcher;

/// Whoever asked for a run: its connection, and the request that gets the receipt and, on a
/// stream, the end.
#[derive(Debug)]
pub(crate) struct Asker {
    /// The connection the request came on.
    pub(crate) connection: ConnectionId,
    pub(crate) outbox: Outbox,
    pub(crate) request: String,
    /// The request's place among the open requests of its connection, until it is answered.
    pub(crate) share: Share,
}

impl Asker {
    /// The same asker as one who watches the run.
    pub(crate) fn watcher(&self) -> Watcher {
        Watcher::new(self.connection, self.outbox.clone(), self.request.clone())
    }

    /// Gives the receipt of what is durable now, or says why it is not.
    pub(crate) fn answer(self, durable: Result<(), CommitError>, receipt: Option<SpawnAccepted>) {
        let response = match durable {
            Ok(()) => Response::ok(self.request, json!(receipt)),
            Err(error) => {
                let refusal = unavailable("JOURNAL_UNAVAILABLE", error);
                Response::error(self.request, WireError::from(refusal))
            }
        };
        self.outbox.answer(response, self.share);
    }
}
