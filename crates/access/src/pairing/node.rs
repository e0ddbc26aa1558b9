//! What may be asked of a node: nothing, until somebody approves what it offers.

use std::collections::BTreeSet;

use hatchery_protocol::Scope;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::pending::PENDING_TTL_MS;
use super::{PairingEvent, PairingState, RequestId};
use crate::DeviceId;

/// How many commands of a node are looked at.
pub const MAX_NODE_COMMANDS: usize = 256;

/// How long the name of a node's command may be.
pub const MAX_NODE_COMMAND_CHARS: usize = 128;

/// A node that offers commands which nobody has approved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeRequest {
    /// The request's name, the same for the same offer.
    pub request_id: RequestId,
    /// The node.
    pub device_id: DeviceId,
    /// All that it offers.
    pub commands: BTreeSet<String>,
    /// When it offered it first.
    pub created_at_ms: u64,
    /// When it offered it last.
    pub asked_at_ms: u64,
}

impl NodeRequest {
    /// Whether it still waits.
    #[must_use]
    pub fn is_live(&self, now_ms: u64) -> bool {
        now_ms < self.asked_at_ms.saturating_add(PENDING_TTL_MS)
    }

    /// The scopes that whoever approves it must have.
    #[must_use]
    pub fn needs(&self) -> BTreeSet<Scope> {
        let mut needs: BTreeSet<Scope> = [Scope::Pairing].into();
        if !self.commands.is_empty() {
            needs.insert(Scope::Write);
        }
        if self.commands.iter().any(|command| is_dangerous(command)) {
            needs.insert(Scope::Admin);
        }
        needs
    }

    /// The request as `node.pair.list` shows it.
    #[must_use]
    pub fn view(&self) -> Value {
        json!({
            "requestId": self.request_id,
            "nodeId": self.device_id,
            "commands": self.commands,
            "requiredScopes": self.needs(),
            "ts": self.asked_at_ms,
        })
    }
}

/// Whether a command hands over the node's machine, so that only an administrator may open it.
#[must_use]
pub fn is_dangerous(command: &str) -> bool {
    let command = command.to_ascii_lowercase();
    command == "fs.listdir"
        || ["system.run", "browser.proxy", "system.execapprovals."]
            .iter()
            .any(|prefix| command.starts_with(prefix))
}

/// The commands a node offers, cleaned: bounded in number and length, plain words only.
#[must_use]
pub(crate) fn offered(commands: &[String]) -> BTreeSet<String> {
    commands
        .iter()
        .take(MAX_NODE_COMMANDS)
        .map(|command| command.trim())
        .filter(|command| {
            !command.is_empty()
                && command.len() <= MAX_NODE_COMMAND_CHARS
                && command.bytes().all(|byte| byte.is_ascii_graphic())
        })
        .map(str::to_owned)
        .collect()
}

/// What follows from a paired node's offer: a request, where it offers more than was approved.
pub(crate) fn offer(
    state: &PairingState,
    device: &DeviceId,
    offered: &BTreeSet<String>,
    approved: &BTreeSet<String>,
    now_ms: u64,
) -> Option<PairingEvent> {
    if offered.is_subset(approved) {
        return None;
    }
    let mut parts = vec![device.as_str()];
    parts.extend(offered.iter().map(String::as_str));
    let request_id = RequestId::derive(&state.install_key, "node", &parts);
    let before = state.node_requests.get(device);
    let known = before.filter(|known| known.request_id == request_id && known.is_live(now_ms));
    let request = NodeRequest {
        request_id,
        device_id: device.clone(),
        commands: offered.clone(),
        created_at_ms: known.map_or(now_ms, |known| known.created_at_ms),
        asked_at_ms: now_ms,
    };
    Some(PairingEvent::NodeAsked { again: known.is_some(), request: Box::new(request) })
}
