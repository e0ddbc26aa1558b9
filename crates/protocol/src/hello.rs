//! The answer to a good `connect` (OpenClaw protocol §1.7).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ClientInfo, ConnectParams, Role, Scope, Secret};

/// The version of the wire this gateway speaks where the client does too.
pub const PROTOCOL_VERSION: u32 = 4;

/// The oldest version of the wire this gateway speaks.
pub const OLDEST_PROTOCOL_VERSION: u32 = 3;

/// A version of the wire that both sides speak. The two differ in how events are numbered, in what
/// `hello-ok` has to carry and in the code of a missing scope (OpenClaw protocol §0).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProtocolVersion {
    /// Version 3.
    V3,
    /// Version 4.
    V4,
}

impl ProtocolVersion {
    /// The newest version that lies in the client's range.
    #[must_use]
    pub fn settle(params: &ConnectParams) -> Option<Self> {
        let spoken = |version: u32| (params.min_protocol..=params.max_protocol).contains(&version);
        [Self::V4, Self::V3].into_iter().find(|version| spoken(version.number()))
    }

    /// The version's number on the wire.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::V3 => OLDEST_PROTOCOL_VERSION,
            Self::V4 => PROTOCOL_VERSION,
        }
    }
}

/// The answer to a good `connect`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HelloOk {
    /// Always `hello-ok`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The version that was settled on.
    pub protocol: u32,
    /// The gateway.
    pub server: ServerInfo,
    /// What the gateway can be asked and what it tells.
    pub features: Features,
    /// How things stand: presence, health, state version, session defaults.
    pub snapshot: Value,
    /// What the caller may do.
    pub auth: HelloAuth,
    /// The limits of this connection.
    pub policy: HelloPolicy,
}

/// The gateway, as it introduces itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerInfo {
    /// Its program's version.
    pub version: String,
    /// This connection's name.
    pub conn_id: String,
}

/// What the gateway can be asked and what it tells. Clients hide what is not named here.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Features {
    /// The methods there are; what a caller may do of them follows from its scopes.
    pub methods: Vec<String>,
    /// The events there are.
    pub events: Vec<String>,
    /// Particular abilities.
    #[serde(default)]
    pub capabilities: Vec<String>,
}

/// What a caller was found to be and given.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HelloAuth {
    /// As what it is connected.
    pub role: Role,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// By what it was known: `token`, `password`, `device-token`, `none`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The device's token, for it to keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_token: Option<Secret>,
    /// When the token was made, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_at_ms: Option<u64>,
}

/// The limits of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HelloPolicy {
    /// The longest frame that is taken, in bytes.
    pub max_payload: usize,
    /// How much may wait to be read by the client, in bytes.
    pub max_buffered_bytes: usize,
    /// How often a sign of life comes, in milliseconds.
    pub tick_interval_ms: u64,
}

impl ConnectParams {
    /// A plain request to connect, as a local client makes it.
    #[must_use]
    pub fn local(client: ClientInfo) -> Self {
        Self {
            min_protocol: PROTOCOL_VERSION,
            max_protocol: PROTOCOL_VERSION,
            client,
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ProtocolVersion;
    use crate::ConnectParams;

    #[test]
    fn the_newest_version_both_speak_is_settled_on() {
        use ProtocolVersion::{V3, V4};
        let cases = [
            ((3, 3), Some(V3)),
            ((4, 4), Some(V4)),
            ((3, 4), Some(V4)),
            ((1, 3), Some(V3)),
            ((1, 9), Some(V4)),
            ((1, 2), None),
            ((5, 9), None),
            ((4, 3), None),
        ];
        for ((min_protocol, max_protocol), expected) in cases {
            let params = ConnectParams { min_protocol, max_protocol, ..Default::default() };
            assert_eq!(
                ProtocolVersion::settle(&params),
                expected,
                "{min_protocol}..{max_protocol}"
            );
        }
    }
}
