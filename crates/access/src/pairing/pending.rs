//! Pending requests: who asks to be let in, kept for five minutes and in bounded number.

use std::collections::BTreeSet;
use std::net::IpAddr;

use hatchery_protocol::{Role, Scope};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::PublicKey;
use crate::DeviceId;

/// How long a request waits to be decided after it was last made, in milliseconds.
pub const PENDING_TTL_MS: u64 = 5 * 60 * 1000;

/// How many requests wait at a time, loopback's own not counted.
pub const MAX_PENDING: usize = 128;

/// How many requests wait at a time from one source. Whoever asks for more pushes out its own
/// oldest, and nobody else's.
pub const MAX_PENDING_PER_SOURCE: usize = 8;

/// The name of a request: the same for the same ask, however often it is made and also after a
/// restart, so that the command a refusal names still works after the client tried again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(String);

/// Why a device has to be asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The device, or this key of it, is not known.
    NotPaired,
    /// It is known but not for this role, or the role's token was revoked.
    RoleUpgrade,
    /// It asks for more than it was approved for.
    ScopeUpgrade,
    /// It says it is another kind of machine than before.
    MetadataUpgrade,
}

/// Why a request is not approved without anybody being asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotSilent {
    /// It does not come straight from this machine.
    Elsewhere,
    /// A page sent it.
    Page,
    /// The shared secret was not shown.
    NoSecret,
    /// `gateway.nodes.pairing.autoApproveLocal` is false.
    TurnedOff,
    /// The role's token was revoked.
    Revoked,
    /// The device's scopes were lowered.
    HeldDown,
    /// The device is known, and asks to be a node as well.
    AnotherRole,
    /// The device's id is known with another key.
    AnotherKey,
    /// It was asked by a connection that is up, not by a new one.
    Live,
}

impl NotSilent {
    /// Its meaning in a few words.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Elsewhere => "it does not come straight from this machine",
            Self::Page => "it comes from a web page",
            Self::NoSecret => "it did not show the gateway's shared secret",
            Self::TurnedOff => "gateway.nodes.pairing.autoApproveLocal is false",
            Self::Revoked => "the device's token for this role was revoked",
            Self::HeldDown => "the device's scopes were lowered",
            Self::AnotherRole => "a known device asks to be a node as well",
            Self::AnotherKey => "the device's id is known with another key",
            Self::Live => "a device that is connected asks for more",
        }
    }
}

/// A device that asks to be let in, or for more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingRequest {
    /// The request's name.
    pub request_id: RequestId,
    /// The device.
    pub device_id: DeviceId,
    /// Its key, which it has proved to hold.
    pub public_key: PublicKey,
    /// What it says of itself.
    pub about: About,
    /// As what it wants to connect.
    pub role: Role,
    /// What it wants to be allowed.
    pub scopes: BTreeSet<Scope>,
    /// Why it has to ask.
    pub reason: Reason,
    /// Why the owner is asked, and it is not approved without.
    pub because: NotSilent,
    /// Whence it asks.
    pub remote_ip: IpAddr,
    /// The page it asks from, where it is a browser.
    pub browser_origin: Option<String>,
    /// Whether the device is known already.
    pub is_repair: bool,
    /// When it asked first.
    pub created_at_ms: u64,
    /// When it asked last.
    pub asked_at_ms: u64,
}

/// What a device says of itself, cut to length and without control characters. None of it grants
/// anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct About {
    /// Its name for people.
    pub display_name: Option<String>,
    /// The system it runs on.
    pub platform: String,
    /// What kind of device it is.
    pub device_family: Option<String>,
    /// Its program.
    pub client_id: String,
    /// What its program is used as.
    pub client_mode: String,
}

impl RequestId {
    /// Takes an id that somebody typed.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Derives the id of an ask. The key makes it unforeseeable for whoever does not hold it.
    #[must_use]
    pub(crate) fn derive(key: &[u8; 32], kind: &str, parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        hash.update(key);
        for part in std::iter::once(&kind).chain(parts) {
            // Each part with its length before it, so that no two asks read alike.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let digest = hash.finalize();
        let mut hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        // The form of a UUID whose bits have a meaning of their own (version 8).
        hex.replace_range(12..13, "8");
        hex.replace_range(16..17, "a");
        for at in [8, 13, 18, 23] {
            hex.insert(at, '-');
        }
        Self(hex)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Reason {
    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotPaired => "not-paired",
            Self::RoleUpgrade => "role-upgrade",
            Self::ScopeUpgrade => "scope-upgrade",
            Self::MetadataUpgrade => "metadata-upgrade",
        }
    }

    /// Its meaning in a few words.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::NotPaired => "this device is not approved yet",
            Self::RoleUpgrade => "this role is not approved for the device",
            Self::ScopeUpgrade => "more scopes are asked than were approved",
            Self::MetadataUpgrade => "the device now claims another platform",
        }
    }
}

impl PendingRequest {
    /// Whether it still waits.
    #[must_use]
    pub fn is_live(&self, now_ms: u64) -> bool {
        now_ms < self.expires_at_ms()
    }

    /// When it stops waiting.
    #[must_use]
    pub fn expires_at_ms(&self) -> u64 {
        self.asked_at_ms.saturating_add(PENDING_TTL_MS)
    }

    /// The command that lets it in.
    #[must_use]
    pub fn approve_command(&self) -> String {
        format!("hatchery devices approve {}", self.request_id)
    }

    /// The request as `device.pair.list` shows it: what is announced of it, why it has to ask, and
    /// until when it stands.
    #[must_use]
    pub fn view(&self) -> Value {
        let mut view = self.announcement();
        view["reason"] = json!(self.reason);
        view["expiresAtMs"] = json!(self.expires_at_ms());
        view
    }

    /// The request as `device.pair.requested` tells it (OpenClaw protocol §2), which has no room
    /// for more.
    #[must_use]
    pub fn announcement(&self) -> Value {
        let mut view = json!({
            "requestId": self.request_id,
            "deviceId": self.device_id,
            "publicKey": self.public_key,
            "platform": self.about.platform,
            "clientId": self.about.client_id,
            "clientMode": self.about.client_mode,
            "role": self.role,
            "roles": [self.role],
            "scopes": self.scopes,
            "remoteIp": self.remote_ip,
            "silent": false,
            "isRepair": self.is_repair,
            "ts": self.asked_at_ms,
        });
        let optional = [
            ("displayName", &self.about.display_name),
            ("deviceFamily", &self.about.device_family),
            ("browserOrigin", &self.browser_origin),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                view[name] = json!(value);
            }
        }
        view
    }
}

/// Whether two addresses are one source: the same IPv4 address, or the same IPv6 network of 64
/// bits, which one machine has to itself.
#[must_use]
pub(crate) fn same_source(one: IpAddr, other: IpAddr) -> bool {
    match (one.to_canonical(), other.to_canonical()) {
        (IpAddr::V6(one), IpAddr::V6(other)) => one.segments()[..4] == other.segments()[..4],
        (one, other) => one == other,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{RequestId, same_source};

    #[test]
    fn an_id_is_stable_tells_asks_apart_and_looks_like_a_uuid() {
        let id = RequestId::derive(&[1; 32], "device", &["ab", "c"]);
        assert_eq!(id, RequestId::derive(&[1; 32], "device", &["ab", "c"]));
        for other in [
            RequestId::derive(&[2; 32], "device", &["ab", "c"]),
            RequestId::derive(&[1; 32], "device", &["a", "bc"]),
            RequestId::derive(&[1; 32], "node", &["ab", "c"]),
        ] {
            assert_ne!(id, other);
        }
        let parts: Vec<usize> = id.as_str().split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert_eq!(id.as_str().as_bytes()[14], b'8');
    }

    #[test]
    fn a_mapped_address_and_a_neighbour_in_the_same_network_are_one_source() {
        let cases = [
            ("127.0.0.1", "::ffff:127.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true),
            ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
        ];
        for (one, other, same) in cases {
            assert_eq!(
                same_source(one.parse().unwrap(), other.parse().unwrap()),
                same,
                "{one} {other}"
            );
        }
    }
}
