//! Somebody who was let in.

use std::collections::BTreeSet;

use hatchery_access::Caller;
use hatchery_access::pairing::MAX_NODE_COMMANDS;
use hatchery_protocol::{ConnectParams, ProtocolVersion, Role};

use crate::clock::now_ms;
use crate::gateway::Shared;
use crate::hub::{ConnectionId, Joining};
use crate::outbox::Outbox;
use crate::presence::Seen;

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
    pub(crate) fn join(&self, shared: &Shared, params: &ConnectParams, origin: &Origin<'_>) {
        self.outbox.speak(self.version);
        let (number, outbox) = (self.number, &self.outbox);
        shared.supervisor.with_watchers(|watchers| watchers.connected(number, outbox.clone()));
        let joining = Joining {
            caller: self.caller.clone(),
            by_secret: origin.by_secret,
            by_own_token: origin.by_own_token,
            caps: params.caps.as_slice().iter().take(MAX_CAPS).cloned().collect(),
            commands: match self.caller.role() {
                Role::Node => {
                    let commands = params.commands.as_slice().iter();
                    commands.take(MAX_NODE_COMMANDS).map(|command| command.trim().into()).collect()
                }
                Role::Operator => BTreeSet::new(),
            },
            outbox: outbox.clone(),
            // Of a local socket the kernel tells when the other end is gone.
            is_pinged: origin.address.is_some(),
            seen: Seen { client: Some(&params.client), address: origin.address, now_ms: now_ms() },
        };
        shared.hub.join(number, joining);
    }
}

/// How many of the abilities a client names are kept.
const MAX_CAPS: usize = 64;

/// Where a speaker came from, and how.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Origin<'a> {
    /// Whether it was known by the shared secret or by what stood in its place.
    pub(crate) by_secret: bool,
    /// Whether it showed its device's own token.
    pub(crate) by_own_token: bool,
    /// Its address, where it came over the network.
    pub(crate) address: Option<&'a str>,
}
