//! Somebody who was let in.

use std::collections::BTreeSet;
use std::sync::Arc;

use hatchery_access::Caller;
use hatchery_protocol::{ClientInfo, ConnectParams, ProtocolVersion};

use crate::gateway::Shared;
use crate::hub::ConnectionId;
use crate::outbox::Outbox;

/// Somebody who was let in, on one connection.
#[derive(Debug)]
pub(crate) struct Speaker {
    pub(crate) number: ConnectionId,
    pub(crate) caller: Caller,
    pub(crate) version: ProtocolVersion,
    pub(crate) outbox: Outbox,
}

impl Speaker {
    /// From here on the connection hears what concerns it.
    pub(crate) fn join(self: &Arc<Self>, shared: &Shared, params: &ConnectParams) {
        let caps: BTreeSet<String> = params.caps.as_slice().iter().cloned().collect();
        self.outbox.speak(self.version);
        let (number, outbox) = (self.number, &self.outbox);
        shared.supervisor.with_watchers(|watchers| watchers.connected(number, outbox.clone()));
        shared.hub.join(number, self.caller.clone(), caps, outbox.clone());
    }
}

/// What logs call a client's program.
pub(crate) fn describe(client: &ClientInfo) -> String {
    client.to_string().chars().take(64).filter(|c| !c.is_control()).collect()
}
