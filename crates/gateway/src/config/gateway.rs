//! The section `gateway`.

use std::path::PathBuf;

use hatchery_access::AllowedOrigin;
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
    /// How long a device may take to say who it is, in milliseconds. Default: 15000.
    pub handshake_timeout_ms: u64,
    /// Whether the TCP port speaks TLS.
    pub tls: TlsConfig,
    /// The page in the browser.
    pub control_ui: ControlUiConfig,
    /// What concerns devices and nodes.
    pub nodes: NodesConfig,
    /// Who is spared from pairing.
    pub pairing: PairingConfig,
}

/// Whether the TCP port speaks TLS, and with which certificate.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TlsConfig {
    /// Whether it does. Default: false.
    pub enabled: bool,
    /// Whether a certificate is made where none is named. Default: true.
    pub auto_generate: bool,
    /// The certificate and what it is signed with, in PEM. Default: none.
    pub cert_path: Option<PathBuf>,
    /// The certificate's private key, in PEM. Default: none.
    pub key_path: Option<PathBuf>,
}

/// The page in the browser.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ControlUiConfig {
    /// Whether it is served. Default: true.
    pub enabled: bool,
    /// The path it is served under. Default: the root.
    pub base_path: Option<String>,
    /// The directory its files are in. Default: none.
    pub root: Option<PathBuf>,
    /// The origins of pages from elsewhere that may connect. Default: none.
    pub allowed_origins: Vec<AllowedOrigin>,
    /// Whether the page may connect without a device key from this machine. Default: false.
    pub allow_insecure_auth: bool,
    /// Whether it may from anywhere. Default: false.
    pub dangerously_disable_device_auth: bool,
}

/// What concerns devices and nodes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodesConfig {
    /// How they are paired.
    pub pairing: NodePairingConfig,
}

/// How devices and nodes are paired.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodePairingConfig {
    /// Whether a program on this machine that shows the shared secret is let in without asking.
    /// Default: true.
    pub auto_approve_local: bool,
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
    /// How often strangers may guess.
    pub rate_limit: RateLimitConfig,
    /// What a trusted proxy says of a person.
    pub trusted_proxy: TrustedProxyConfig,
}

/// How often strangers may guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateLimitConfig {
    /// How many wrong secrets an address may show within the window. Default: 10.
    pub max_attempts: u32,
    /// How long they count, in milliseconds. Default: 60000.
    pub window_ms: u64,
    /// How long it is locked out after that, in milliseconds. Default: 300000.
    pub lockout_ms: u64,
}

/// What a trusted proxy says of a person, where `gateway.auth.mode` is `trusted-proxy`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrustedProxyConfig {
    /// The header that names the person. Default: none, and then nobody is let in this way.
    pub user_header: Option<String>,
    /// Headers that have to be there besides. Default: none.
    pub required_headers: Vec<String>,
    /// The people who are let in. Default: whoever the proxy names.
    pub allow_users: Vec<String>,
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
