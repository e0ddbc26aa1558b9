//! Commands about devices, and what they answer.

use std::collections::BTreeSet;

use hatchery_protocol::{Role, Scope, Secret};

use super::{FreshToken, PairedDevice, PairingEvent, RequestId, SetupProfile};
use crate::DeviceId;

/// What somebody wants done about devices.
#[derive(Clone, Debug)]
pub enum Command {
    /// Let a device in as it asks.
    Approve {
        /// The request.
        request: RequestId,
    },
    /// Do not let it in.
    Reject {
        /// The request.
        request: RequestId,
    },
    /// Forget a device. It is a stranger afterwards.
    Remove {
        /// The device.
        device: DeviceId,
    },
    /// Give a device another name.
    Rename {
        /// The device.
        device: DeviceId,
        /// The name; `None` takes away the one it was given.
        label: Option<String>,
    },
    /// Exchange a token for another.
    Rotate {
        /// The device.
        device: DeviceId,
        /// The role.
        role: Role,
        /// What the token is to be good for; what it was good for where nothing is said.
        scopes: Option<BTreeSet<Scope>>,
        /// The new token.
        fresh: FreshToken,
        /// Whether the caller's connection was let in by the very token that is exchanged.
        by_own_token: bool,
        /// Whether the owner asks to see the new token. Nobody else is shown it by this.
        reveal: bool,
    },
    /// Revoke a token, which closes its role until somebody approves it anew.
    Revoke {
        /// The device.
        device: DeviceId,
        /// The role.
        role: Role,
    },
    /// Forget many at once.
    Clear(Cleared),
    /// Make a setup code.
    IssueSetupCode {
        /// What it gives.
        profile: SetupProfile,
        /// Its secret.
        fresh: FreshToken,
    },
    /// A connected device asks for more.
    RequestUpgrade {
        /// What it wants.
        scopes: BTreeSet<Scope>,
        /// The page it asks from, where it is a browser.
        origin: Option<String>,
        /// Whence it is connected.
        address: std::net::IpAddr,
    },
    /// A device fetches what came of its own request, with a token of that breadth.
    ClaimUpgrade {
        /// The request.
        request: RequestId,
        /// The new token.
        fresh: FreshToken,
    },
    /// Let others ask of a node what it offers.
    ApproveNode {
        /// The node's request.
        request: RequestId,
    },
    /// Do not.
    RejectNode {
        /// The node's request.
        request: RequestId,
    },
    /// Take back what others may ask of a node.
    RemoveNode {
        /// The node.
        device: DeviceId,
    },
}

/// What [`Command::Clear`] forgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleared {
    /// The requests that wait.
    Pending,
    /// Requests, devices and setup codes.
    Everything,
}

/// What a command does and what it answers. The events are to be applied and kept before the
/// reply goes out.
#[derive(Clone, Debug)]
pub struct Decision {
    /// What happened.
    pub events: Vec<PairingEvent>,
    /// What the caller is told.
    pub reply: Reply,
}

/// What the caller of a command is told.
#[derive(Clone, Debug)]
pub enum Reply {
    /// A device was let in.
    Approved {
        /// The request.
        request: RequestId,
        /// The device, as it is now.
        device: Box<PairedDevice>,
    },
    /// A request was turned down.
    Rejected {
        /// The request.
        request: RequestId,
        /// The device.
        device: DeviceId,
    },
    /// A device was forgotten, or renamed, or its commands were taken back.
    Changed {
        /// The device.
        device: DeviceId,
    },
    /// A token was exchanged.
    Rotated {
        /// The device.
        device: DeviceId,
        /// The role.
        role: Role,
        /// What the token is good for.
        scopes: BTreeSet<Scope>,
        /// When.
        rotated_at_ms: u64,
        /// The token, where the caller may have it. Elsewhere the wire says
        /// `tokenDelivery: "withheld-cross-device"`.
        token: Option<Secret>,
    },
    /// A token was revoked.
    Revoked {
        /// The device.
        device: DeviceId,
        /// The role.
        role: Role,
        /// When.
        revoked_at_ms: u64,
    },
    /// Many were forgotten.
    Cleared {
        /// How many devices.
        devices: usize,
        /// How many requests.
        requests: usize,
    },
    /// A setup code was made.
    SetupCode {
        /// Its secret.
        secret: Secret,
        /// What it gives.
        profile: SetupProfile,
        /// When it stops being good.
        expires_at_ms: u64,
    },
    /// A device's wish for more is known.
    UpgradeAsked {
        /// The request.
        request: RequestId,
    },
    /// A device got the more it asked for.
    UpgradeClaimed {
        /// The token that is good for it.
        token: Secret,
        /// What the token is good for.
        scopes: BTreeSet<Scope>,
        /// When it was made.
        issued_at_ms: u64,
    },
    /// A node's commands were approved.
    NodeApproved {
        /// The request.
        request: RequestId,
        /// The node, as it is now.
        device: Box<PairedDevice>,
    },
}
