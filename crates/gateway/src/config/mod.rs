//! Configuration: what is set, and where it was set.
//!
//! Two JSON5 files (`hatchery.json`, and beside it `gateway.json` for the sections `gateway`,
//! `security` and `acp`), the environment and the command line enter; a typed [`Config`] leaves,
//! with the origin of every value. A flag wins over the environment, the environment over the
//! files, `gateway.json` over `hatchery.json`, and anything over the default.
//!
//! This module reads; it never decides who may do what. It never reads the process's environment
//! (except to find the platform's directory in [`hatchery_json`]) and never shows a secret. Every
//! known key is one line of the table in `schema`; nothing else in the program names them all.

mod acp;
mod agents;
mod allowed;
mod bind;
mod document;
mod edit;
mod error;
mod exemptions;
mod file;
mod files;
mod gateway;
mod kind;
mod layers;
mod location;
mod model_kinds;
mod models;
mod origin;
mod schema;
mod secret;
mod security;
mod sources;
mod typed;
mod unknown;

#[cfg(test)]
mod tests;

pub use acp::AcpConfig;
pub use agents::{
    AcpCommand, AgentDefaults, AgentEntry, AgentRuntime, AgentRuntimeKind, AgentsConfig,
    SubagentDefaults, SubagentOverrides, TreeBudget,
};
pub use allowed::Allowed;
pub use bind::{Bind, UnknownBind};
pub use edit::{AllowList, Changed, EditError, allow_agent};
pub use error::{ConfigError, Place};
pub use files::Fingerprint;
pub use gateway::{
    AuthConfig, AuthMode, ControlUiConfig, GatewayConfig, Mode, NodePairingConfig, NodesConfig,
    PairingConfig, RateLimitConfig, TlsConfig, TrustedProxyConfig,
};
pub use hatchery_access::{AddressRange, InvalidAddressRange};
pub use location::{NoConfigDirectory, hatchery_json};
pub use models::{ModelApi, ModelChoice, ModelEntry, ModelsConfig, ModelsMode, ProviderConfig};
pub use origin::{Origin, REDACTED, Setting};
pub use secret::Secret;
pub use security::{DevicePairingConfig, SecurityConfig};
pub use sources::{Flags, Lookup, Sources};

use layers::Layers;

/// Everything that is configured, with defaults filled in.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the gateway listens and how it knows its callers.
    pub gateway: GatewayConfig,
    /// Which callers have to pair.
    pub security: SecurityConfig,
    /// Which agents may be run over ACP.
    pub acp: AcpConfig,
    /// The agents and the limits of what they start.
    pub agents: AgentsConfig,
    /// The providers of models.
    pub models: ModelsConfig,
    settings: Vec<Setting>,
}

impl Config {
    /// Reads the files, lays environment and flags over them, and checks every value, also one
    /// that another source overrides. A file that does not exist is fine. Blocks on the disk.
    ///
    /// # Errors
    /// [`ConfigError`] for the first thing that is wrong, with its place and what to do about it.
    pub fn load(sources: &Sources<'_>) -> Result<Self, ConfigError> {
        let layers = Layers::read(sources)?;
        let (typed, settings) = (layers.typed()?, layers.settings());
        let typed::Typed { gateway, security, acp, agents, models } = typed;
        Ok(Self { gateway, security, acp, agents, models, settings })
    }

    /// Every known key with its value and origin, in the order of the documentation. A secret
    /// shows as [`REDACTED`], a key without a value as null. Keys of `agents.entries` and
    /// `models.providers` appear once for each agent and provider there is.
    #[must_use]
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }
}
