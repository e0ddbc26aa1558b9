//! Paired devices: what was approved for each, and its tokens.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use hatchery_protocol::{Role, Scope};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{PublicKey, TokenHash};
use crate::DeviceId;

/// A device that was let in, as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PairedDevice {
    /// Its id.
    pub device_id: DeviceId,
    /// Its key.
    pub public_key: PublicKey,
    /// How it names itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// How the owner names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator_label: Option<String>,
    /// The system it said it runs on. A device of the same key that says otherwise is asked about.
    #[serde(default)]
    pub platform: String,
    /// What kind of device it said it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_family: Option<String>,
    /// Its program.
    #[serde(default)]
    pub client_id: String,
    /// What its program is used as.
    #[serde(default)]
    pub client_mode: String,
    /// The roles it was approved for.
    pub roles: BTreeSet<Role>,
    /// The scopes it was approved for: the baseline no token of it exceeds.
    pub scopes: BTreeSet<Scope>,
    /// Its token for each role. A role that was approved has one, be it that nobody fetched it yet.
    #[serde(default)]
    pub tokens: BTreeMap<Role, DeviceToken>,
    /// The commands others may ask of it, where it is a node: none until they are approved.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub node_commands: BTreeSet<String>,
    /// Whence it asked to be let in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_ip: Option<IpAddr>,
    /// Who or what let it in last.
    pub approved_via: ApprovedVia,
    /// When it was let in first.
    pub created_at_ms: u64,
    /// When it was approved last.
    pub approved_at_ms: u64,
    /// When it was connected last, as far as the store was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen_at_ms: Option<u64>,
}

/// A device's token for one role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceToken {
    /// What is kept of the token; `None` where the device has yet to fetch it, which it does by
    /// connecting with another proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<TokenHash>,
    /// What it is good for, and the ceiling of the role however the device proves itself. Never
    /// more than the device's baseline.
    pub scopes: BTreeSet<Scope>,
    /// Whether somebody other than the device narrowed it below the baseline. Such a decision is
    /// never undone silently.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held_down: bool,
    /// When the role got its first token.
    pub created_at_ms: u64,
    /// When the token was last exchanged for another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated_at_ms: Option<u64>,
    /// When it was revoked. A revoked token closes its role until somebody approves it anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at_ms: Option<u64>,
    /// When it was last shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at_ms: Option<u64>,
}

/// Who or what let a device in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApprovedVia {
    /// Nobody was asked: it came directly over loopback with the shared secret.
    Silent,
    /// The owner.
    Owner,
    /// Another device.
    Device(DeviceId),
    /// Somebody without a device key who showed the shared secret.
    SharedSecret,
    /// A setup code the owner made.
    SetupCode,
}

impl ApprovedVia {
    /// Its name on the wire.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Owner => "owner",
            Self::Device(_) => "device",
            Self::SharedSecret => "shared-secret",
            Self::SetupCode => "setup-code",
        }
    }
}

impl DeviceToken {
    /// A token nobody has fetched yet.
    #[must_use]
    pub(crate) fn awaiting(scopes: BTreeSet<Scope>, now_ms: u64) -> Self {
        Self {
            hash: None,
            scopes,
            held_down: false,
            created_at_ms: now_ms,
            rotated_at_ms: None,
            revoked_at_ms: None,
            last_used_at_ms: None,
        }
    }

    /// Whether it opens its role.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.revoked_at_ms.is_none()
    }
}

impl PairedDevice {
    /// What the device may do at most in a role: nothing where the role is not approved or its
    /// token was revoked, else what its token is good for, within the baseline.
    #[must_use]
    pub fn ceiling(&self, role: Role) -> BTreeSet<Scope> {
        match (role, self.live_token(role)) {
            (Role::Operator, Some(token)) => {
                token.scopes.iter().copied().filter(|scope| covered(*scope, &self.scopes)).collect()
            }
            (Role::Operator | Role::Node, _) => BTreeSet::new(),
        }
    }

    /// The role's token, where the role is approved and the token was not revoked.
    #[must_use]
    pub fn live_token(&self, role: Role) -> Option<&DeviceToken> {
        self.tokens.get(&role).filter(|token| self.roles.contains(&role) && token.is_live())
    }

    /// How people are told of it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.operator_label.as_deref().or(self.display_name.as_deref()).unwrap_or(&self.client_id)
    }

    /// The device as `device.pair.list` shows it (OpenClaw protocol §2). No hash is in it.
    #[must_use]
    pub fn view(&self) -> Value {
        let tokens: Vec<Value> = self
            .tokens
            .iter()
            .map(|(role, token)| {
                let mut view = json!({
                    "role": role, "scopes": token.scopes, "createdAtMs": token.created_at_ms,
                });
                let times = [
                    ("rotatedAtMs", token.rotated_at_ms),
                    ("revokedAtMs", token.revoked_at_ms),
                    ("lastUsedAtMs", token.last_used_at_ms),
                ];
                for (name, at) in times {
                    if let Some(at) = at {
                        view[name] = json!(at);
                    }
                }
                view
            })
            .collect();
        let mut view = json!({
            "deviceId": self.device_id,
            "publicKey": self.public_key,
            "platform": self.platform,
            "clientId": self.client_id,
            "clientMode": self.client_mode,
            "role": self.roles.iter().next(),
            "roles": self.roles,
            "scopes": self.scopes,
            "approvedScopes": self.scopes,
            "approvedVia": self.approved_via.as_str(),
            "createdAtMs": self.created_at_ms,
            "approvedAtMs": self.approved_at_ms,
            "tokens": tokens,
        });
        let optional = [
            ("displayName", self.display_name.clone().map(Value::from)),
            ("operatorLabel", self.operator_label.clone().map(Value::from)),
            ("deviceFamily", self.device_family.clone().map(Value::from)),
            ("remoteIp", self.remote_ip.map(|ip| json!(ip))),
            ("lastSeenAtMs", self.last_seen_at_ms.map(Value::from)),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                view[name] = value;
            }
        }
        view
    }
}

/// Whether one of the scopes held is enough for the one that is wanted.
#[must_use]
pub(crate) fn covered(wanted: Scope, held: &BTreeSet<Scope>) -> bool {
    held.iter().any(|scope| scope.covers(wanted))
}

/// Those of the wanted scopes that the held ones cover.
#[must_use]
pub(crate) fn within(wanted: &BTreeSet<Scope>, held: &BTreeSet<Scope>) -> BTreeSet<Scope> {
    wanted.iter().copied().filter(|scope| covered(*scope, held)).collect()
}
