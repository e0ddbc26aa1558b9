//! The first request of every connection, and its answer (OpenClaw protocol §1.3, §1.7).

use serde::{Deserialize, Serialize};

use crate::Scope;

/// The version of the wire this gateway speaks.
pub const PROTOCOL_VERSION: u32 = 4;

/// What a client says of itself when it connects. Fields of other clients are ignored; none of
/// them grants anything.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectParams {
    /// The oldest version the client speaks.
    pub min_protocol: u32,
    /// The newest version the client speaks.
    pub max_protocol: u32,
    /// The client's program.
    pub client: ClientInfo,
    /// What the client has to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<ConnectAuth>,
}

/// A client's program.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClientInfo {
    /// Its name.
    pub id: String,
    /// Its version.
    pub version: String,
    /// The system it runs on.
    pub platform: String,
    /// What it is used as.
    pub mode: String,
}

/// What a client has to show. It is a secret, so it has no `Debug` of its own words.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct ConnectAuth {
    /// A ticket, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
}

impl std::fmt::Debug for ConnectAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let given = if self.ticket.is_some() { "given" } else { "none" };
        write!(f, "ConnectAuth {{ ticket: {given} }}")
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
    /// The gateway's program version.
    pub version: String,
    /// What the caller may do.
    pub scopes: Vec<Scope>,
    /// The methods the gateway has; what a caller may do of them follows from its scopes.
    pub methods: Vec<String>,
    /// The events the gateway has.
    pub events: Vec<String>,
}
