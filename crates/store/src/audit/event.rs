//! What the journal keeps beside the life of runs, for whoever wants to know later who came in,
//! who was turned away and what was changed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Something that is kept as evidence and decides nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum AuditEvent {
    /// Entries from before there was a chain were taken into it. What happened to them until then
    /// nobody can say.
    JournalSealed {
        /// How many.
        entries: u64,
    },
    /// The end of the journal was not where this program had left it.
    JournalDamaged {
        /// What was found.
        found: String,
    },
    /// The gateway has started.
    GatewayStarted {
        /// The program's version.
        version: String,
        /// Where it listens, if it does.
        address: Option<String>,
        /// The settings that take protection away.
        exemptions: Vec<String>,
    },
    /// Somebody was let in at the device door.
    Connected {
        /// The device, where it showed a key.
        device: Option<String>,
        /// Its program, as it says itself.
        client: String,
        /// From where.
        source: String,
        /// What it was known by.
        method: String,
        /// As what.
        role: String,
        /// What it may do.
        scopes: Vec<String>,
    },
    /// What one source caused within a minute, where that could be any number of things.
    Folded {
        /// When the minute began, in milliseconds since 1970.
        since_ms: u64,
        /// The source; none where there were too many to name.
        source: Option<String>,
        /// How often it was let in, beyond what has entries of its own.
        connects: u64,
        /// How often it was refused, by the refusal's stable name.
        refusals: BTreeMap<String, u64>,
    },
    /// What is known of a device has changed, or it wants to be known.
    PairingChanged {
        /// What happened.
        change: String,
        /// The device.
        device: Option<String>,
        /// The request it was about.
        request: Option<String>,
        /// The role it was about.
        role: Option<String>,
        /// The scopes it was about.
        scopes: Vec<String>,
        /// Who decided.
        by: String,
        /// Whether it is on disk.
        durable: bool,
    },
    /// Somebody answered a run's question.
    ApprovalDecided {
        /// The question's id.
        approval: String,
        /// What it was about.
        subject: String,
        /// The answer.
        decision: String,
        /// Who answered.
        by: String,
    },
    /// A node was asked to do something.
    NodeInvoked {
        /// The node.
        node: String,
        /// What it was asked.
        command: String,
        /// By whom.
        by: String,
        /// How that went.
        outcome: String,
    },
    /// A shared secret or a setting that guards a door is another one now.
    DoorChanged {
        /// What.
        what: String,
        /// How many connections were closed for it.
        closed: u64,
    },
}

impl AuditEvent {
    /// The entry's kind, as the journal names it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::JournalSealed { .. } => "journal_sealed",
            Self::JournalDamaged { .. } => Self::DAMAGED,
            Self::GatewayStarted { .. } => "gateway_started",
            Self::Connected { .. } => "connected",
            Self::Folded { .. } => "folded",
            Self::PairingChanged { .. } => "pairing_changed",
            Self::ApprovalDecided { .. } => "approval_decided",
            Self::NodeInvoked { .. } => "node_invoked",
            Self::DoorChanged { .. } => "door_changed",
        }
    }

    /// The kind that verification reports.
    pub(crate) const DAMAGED: &'static str = "journal_damaged";
}
