//! The section `gateway`.

use serde::Deserialize;

use super::{AddressRange, Bind, Secret};

/// Where the gateway listens and how it knows its callers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GatewayConfig {
    /// The TCP port; 0 lets the system choose one. Default: 18789.
    pub port: u16,
    /// The addresses to listen on. Default: loopback.
    pub bind: Bind,
    /// Where the gateway runs. Default: local.
    pub mode: Mode,
    /// How devices prove that they know the owner.
    pub auth: AuthConfig,
    /// The proxies whose forwarding headers are read. Default: none.
    pub trusted_proxies: Vec<AddressRange>,
    /// Who is spared from pairing.
    pub pairing: PairingConfig,
}

/// Where the gateway runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// On this machine; the only mode there is.
    Local,
}

/// How devices prove that they know the owner.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuthConfig {
    /// What is asked for. Default: the token; the password where a password is set and no token.
    pub mode: AuthMode,
    /// The token. Default: none.
    pub token: Option<Secret>,
    /// The password. Default: none.
    pub password: Option<Secret>,
}

/// What the gateway asks a device for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthMode {
    /// The token.
    Token,
    /// The password.
    Password,
    /// Nothing.
    None,
    /// A header set by a trusted proxy.
    TrustedProxy,
}

impl AuthMode {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Password => "password",
            Self::None => "none",
            Self::TrustedProxy => "trusted-proxy",
        }
    }
}

/// Who is spared from pairing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PairingConfig {
    /// Whether devices on loopback are. Default: false.
    pub loopback_exempt: bool,
    /// Whether a spawn is. Default: true.
    pub internal_spawn_bypass: bool,
}
