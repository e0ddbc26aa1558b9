//! The first request of every connection (OpenClaw protocol §1.3).

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{OptionalList, Secret};

/// What a client says of itself when it connects. Fields that are not named here are ignored, and
/// none of them grants anything: scopes and role are what is asked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectParams {
    /// The oldest version of the wire the client speaks.
    pub min_protocol: u32,
    /// The newest version of the wire the client speaks.
    pub max_protocol: u32,
    /// The client's program.
    pub client: ClientInfo,
    /// As what it wants to connect; `operator` where it says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// What it wants to be allowed, exactly as sent: the signature covers it. `None` where it
    /// asks for nothing in particular.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// What it can do, such as `tool-events`.
    #[serde(default, skip_serializing_if = "OptionalList::is_empty")]
    pub caps: OptionalList,
    /// What a node lets others ask of it.
    #[serde(default, skip_serializing_if = "OptionalList::is_empty")]
    pub commands: OptionalList,
    /// What the system of a node allows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Value>,
    /// What it has to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<ConnectAuth>,
    /// Its device key, and the proof that it holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceParams>,
    /// Its language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// Its browser.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

/// A client's program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientInfo {
    /// Its name, such as `cli`.
    pub id: String,
    /// Its version.
    pub version: String,
    /// The system it runs on.
    pub platform: String,
    /// What it is used as, such as `cli`, `ui`, `probe`.
    pub mode: String,
    /// Its name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// What kind of device it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_family: Option<String>,
    /// Which model of device it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_identifier: Option<String>,
    /// Which of several instances it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
}

/// What a client has to show.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectAuth {
    /// The shared token; some clients put a device token here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    /// The shared password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// The token this gateway gave the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_token: Option<Secret>,
    /// The secret of a setup code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap_token: Option<Secret>,
    /// A ticket of a run, in base64. Only the local socket takes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<Secret>,
}

/// A device key and the proof that the client holds it (OpenClaw protocol §1.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceParams {
    /// The device's id: the SHA-256 of the raw public key, in lower-case hexadecimal.
    pub id: String,
    /// The Ed25519 public key: raw in base64url, or PEM.
    pub public_key: String,
    /// The signature over the payload, in base64url or base64.
    pub signature: String,
    /// When it was signed, in milliseconds since 1970.
    pub signed_at: i64,
    /// The nonce of this connection's challenge.
    #[serde(default)]
    pub nonce: String,
}

impl fmt::Display for ClientInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.id, self.mode)
    }
}
