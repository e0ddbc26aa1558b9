//! What happens to devices. Events carry hashes and never a secret, so that they can be kept.

use std::collections::BTreeSet;
use std::net::IpAddr;

use hatchery_protocol::{Role, Scope};
use serde::{Deserialize, Serialize};

use super::node::NodeRequest;
use super::{
    ApprovedVia, PairedDevice, PendingRequest, PublicKey, Reason, RequestId, SetupCode, TokenHash,
};
use crate::DeviceId;

/// Something that happened to a device or a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum PairingEvent {
    /// A device asks, anew or once more.
    Requested {
        /// What it asks.
        request: Box<PendingRequest>,
        /// Whether it asked the same before.
        again: bool,
    },
    /// A request ended without the device being let in.
    Dropped {
        /// The request.
        request: RequestId,
        /// The device.
        device: DeviceId,
        /// Why.
        because: Dropped,
        /// Who, as the journal names callers.
        by: String,
        /// When.
        at_ms: u64,
    },
    /// A device was let in, or for more than before.
    Approved {
        /// The request, where somebody was asked.
        request: Option<RequestId>,
        /// The device, as it is now.
        record: Box<PairedDevice>,
        /// The role.
        role: Role,
        /// What was asked for it.
        scopes: BTreeSet<Scope>,
        /// Why it had to ask.
        reason: Reason,
        /// By what.
        via: ApprovedVia,
        /// Who, as the journal names callers.
        by: String,
        /// When.
        at_ms: u64,
    },
    /// A device's wish lies within what was approved for it, so nobody has to be asked.
    WithinApproval {
        /// The request.
        request: RequestId,
        /// The device.
        device: DeviceId,
        /// When.
        at_ms: u64,
    },
    /// A device was forgotten.
    Removed {
        /// The device.
        device: DeviceId,
        /// Who.
        by: String,
        /// When.
        at_ms: u64,
    },
    /// A device got another name.
    Renamed {
        /// The device.
        device: DeviceId,
        /// The name.
        label: Option<String>,
        /// Who.
        by: String,
    },
    /// A device got its token.
    TokenIssued {
        /// The device.
        device: DeviceId,
        /// The role.
        role: Role,
        /// What is kept of the token.
        hash: TokenHash,
        /// When.
        at_ms: u64,
    },
    /// A token was exchanged for another, and the old one is void.
    TokenRotated {
        /// The device.
        device: DeviceId,
        /// The role.
        role: Role,
        /// What is kept of the new one; `None` where the device has yet to fetch it.
        hash: Option<TokenHash>,
        /// What it is good for.
        scopes: BTreeSet<Scope>,
        /// Whether it was narrowed by somebody other than the device.
        held_down: bool,
        /// Who.
        by: String,
        /// When.
        at_ms: u64,
    },
    /// A token was revoked.
    TokenRevoked {
        /// The device.
        device: DeviceId,
        /// The role.
        role: Role,
        /// Who.
        by: String,
        /// When.
        at_ms: u64,
    },
    /// A device showed that it has its token, or connected otherwise.
    Seen {
        /// The device.
        device: DeviceId,
        /// The role.
        role: Role,
        /// Whether it showed its token.
        by_token: bool,
        /// Whence.
        address: IpAddr,
        /// When.
        at_ms: u64,
    },
    /// A setup code was made.
    SetupCodeIssued {
        /// The code.
        code: Box<SetupCode>,
    },
    /// A setup code was used, and belongs to that device now.
    SetupCodeUsed {
        /// What is kept of the code.
        hash: TokenHash,
        /// The device.
        device: DeviceId,
        /// Its key.
        key: PublicKey,
    },
    /// Every setup code was made void.
    SetupCodesCleared {
        /// Who.
        by: String,
    },
    /// A node offers commands that nobody has approved.
    NodeAsked {
        /// What it offers.
        request: Box<NodeRequest>,
        /// Whether it asked the same before.
        again: bool,
    },
    /// A node's commands were approved, or taken back where there are none.
    NodeDecided {
        /// The request, where it was one.
        request: Option<RequestId>,
        /// The node.
        device: DeviceId,
        /// What may be asked of it from now on.
        commands: BTreeSet<String>,
        /// Who.
        by: String,
        /// When.
        at_ms: u64,
    },
    /// A node's request ended without approval.
    NodeDropped {
        /// The request.
        request: RequestId,
        /// The node.
        device: DeviceId,
        /// Who.
        by: String,
        /// When.
        at_ms: u64,
    },
}

/// Why a request ended without the device being let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dropped {
    /// Somebody turned it down.
    Rejected,
    /// The device asks something else instead.
    Superseded,
    /// Its source asked for too many, and it was the oldest of that source.
    Crowded,
    /// Nobody decided it in time.
    Expired,
    /// It was cleared away, or its device was.
    Cleared,
}

/// Connections that an event ends at once, with close code 4001, together with what they started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disconnect {
    /// Those of this device,
    pub device: DeviceId,
    /// and, where one is named, of this role.
    pub role: Option<Role>,
    /// The reason on the wire.
    pub reason: &'static str,
}

impl PairingEvent {
    /// The connections it ends. The caller's own may be among them: its answer goes out first.
    #[must_use]
    pub fn disconnects(&self) -> Option<Disconnect> {
        match self {
            Self::Removed { device, .. } => {
                Some(Disconnect { device: device.clone(), role: None, reason: "device removed" })
            }
            Self::TokenRotated { device, role, .. } | Self::TokenRevoked { device, role, .. } => {
                Some(Disconnect {
                    device: device.clone(),
                    role: Some(*role),
                    reason: "device removed",
                })
            }
            Self::NodeDecided { device, request: None, .. } => Some(Disconnect {
                device: device.clone(),
                role: Some(Role::Node),
                reason: "client invalidated: node commands removed",
            }),
            Self::Requested { .. }
            | Self::Dropped { .. }
            | Self::Approved { .. }
            | Self::WithinApproval { .. }
            | Self::Renamed { .. }
            | Self::TokenIssued { .. }
            | Self::Seen { .. }
            | Self::SetupCodeIssued { .. }
            | Self::SetupCodeUsed { .. }
            | Self::SetupCodesCleared { .. }
            | Self::NodeAsked { .. }
            | Self::NodeDecided { .. }
            | Self::NodeDropped { .. } => None,
        }
    }

    /// The device whose record the store has to write after the event is applied (or to delete,
    /// where the state has none any more). Requests and setup codes are not kept, and that a
    /// device was seen can wait.
    #[must_use]
    pub fn record_to_keep(&self) -> Option<&DeviceId> {
        match self {
            Self::Approved { record, .. } => Some(&record.device_id),
            Self::Removed { device, .. }
            | Self::Renamed { device, .. }
            | Self::TokenIssued { device, .. }
            | Self::TokenRotated { device, .. }
            | Self::TokenRevoked { device, .. }
            | Self::NodeDecided { device, .. } => Some(device),
            Self::Requested { .. }
            | Self::Dropped { .. }
            | Self::WithinApproval { .. }
            | Self::Seen { .. }
            | Self::SetupCodeIssued { .. }
            | Self::SetupCodeUsed { .. }
            | Self::SetupCodesCleared { .. }
            | Self::NodeAsked { .. }
            | Self::NodeDropped { .. } => None,
        }
    }
}
