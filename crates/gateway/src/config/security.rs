//! The section `security`.

use serde::Deserialize;

/// Which callers have to pair. These keys concern strangers and the owner's own devices; a spawn
/// is never asked to pair, whatever they say.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecurityConfig {
    /// Whether devices have to be paired at all. Default: true.
    pub enforce_pairing: bool,
    /// Whether settings that spare somebody from pairing may hold where others can reach the
    /// gateway. Default: false.
    pub allow_exemptions_beyond_loopback: bool,
    /// Which devices have to be.
    pub device_pairing: DevicePairingConfig,
}

/// Which devices have to pair.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DevicePairingConfig {
    /// Whether devices that connect from another machine have to. Default: true.
    pub require_for_external: bool,
    /// Whether devices that connect over loopback need not. Default: false.
    pub skip_for_loopback: bool,
}
