//! The settings of the device door that bear on who is let in.

use hatchery_protocol::ErrorCode;

use super::SharedProof;
use super::arrival::Arrival;
use crate::{Refusal, Remedy};

/// What the gateway asks for before anything else (`gateway.auth.mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMode {
    /// The shared token.
    Token,
    /// The shared password.
    Password,
    /// Nothing. Every device still has to be approved.
    None,
    /// The word of a proxy.
    TrustedProxy,
}

/// The settings of the device door that bear on who is let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoorPolicy {
    /// `gateway.auth.mode`.
    pub auth_mode: AuthMode,
    /// `gateway.nodes.pairing.autoApproveLocal`: whether the owner by another way is let in
    /// without asking.
    pub auto_approve_local: bool,
    /// `gateway.pairing.loopbackExempt`: whether what comes straight from this machine needs no
    /// pairing.
    pub loopback_exempt: bool,
    /// `security.devicePairing.skipForLoopback`: the same by another name.
    pub skip_for_loopback: bool,
    /// `security.devicePairing.requireForExternal`: whether what comes from elsewhere needs
    /// pairing.
    pub require_for_external: bool,
    /// `security.enforcePairing`: whether anything needs pairing.
    pub enforce_pairing: bool,
    /// `gateway.controlUi.allowInsecureAuth`: whether the Control UI on this machine may come
    /// without a device key.
    pub control_ui_insecure: bool,
    /// `gateway.controlUi.dangerouslyDisableDeviceAuth`: whether it may from anywhere.
    pub control_ui_without_device: bool,
}

impl Default for DoorPolicy {
    fn default() -> Self {
        Self {
            auth_mode: AuthMode::Token,
            auto_approve_local: true,
            loopback_exempt: false,
            skip_for_loopback: false,
            require_for_external: true,
            enforce_pairing: true,
            control_ui_insecure: false,
            control_ui_without_device: false,
        }
    }
}

impl DoorPolicy {
    /// The setting by which an arrival needs no pairing, where there is one.
    ///
    /// The secret is still asked for where the mode asks for one. No setting opens the door to
    /// somebody from elsewhere, or to a page, who showed nothing.
    pub(crate) fn exempts(&self, arrival: &Arrival<'_>) -> Option<&'static str> {
        let shown = match arrival.shared {
            SharedProof::Token | SharedProof::Password | SharedProof::Proxy { .. } => true,
            SharedProof::Open => false,
            SharedProof::Failed(_) => return None,
        };
        let direct = arrival.is_direct();
        let rules = [
            (self.loopback_exempt && direct, "gateway.pairing.loopbackExempt"),
            (self.skip_for_loopback && direct, "security.devicePairing.skipForLoopback"),
            (!self.enforce_pairing && (direct || shown), "security.enforcePairing"),
            (
                !self.require_for_external && !arrival.direct_loopback && shown,
                "security.devicePairing.requireForExternal",
            ),
        ];
        rules.into_iter().find_map(|(holds, rule)| holds.then_some(rule))
    }

    /// The same without any setting that lets somebody in without pairing.
    #[must_use]
    pub fn without_exemptions(self) -> Self {
        Self {
            loopback_exempt: false,
            skip_for_loopback: false,
            require_for_external: true,
            enforce_pairing: true,
            control_ui_insecure: false,
            control_ui_without_device: false,
            ..self
        }
    }

    /// The settings in force that let somebody in without pairing, for the log at start.
    #[must_use]
    pub fn exemptions(&self) -> Vec<&'static str> {
        let rules = [
            (self.loopback_exempt, "gateway.pairing.loopbackExempt: true"),
            (self.skip_for_loopback, "security.devicePairing.skipForLoopback: true"),
            (!self.enforce_pairing, "security.enforcePairing: false"),
            (!self.require_for_external, "security.devicePairing.requireForExternal: false"),
            (
                self.control_ui_without_device,
                "gateway.controlUi.dangerouslyDisableDeviceAuth: true",
            ),
        ];
        rules.into_iter().filter_map(|(holds, rule)| holds.then_some(rule)).collect()
    }
}

/// Whether the gateway must not start: a setting that lets somebody in without pairing, or with
/// no secret at all, together with an address that others can reach. `beyond` is the second
/// setting by which the owner says that this is meant
/// (`security.allowExemptionsBeyondLoopback`).
#[must_use]
pub fn exemptions_refused(
    policy: &DoorPolicy,
    bind_is_loopback: bool,
    beyond: bool,
) -> Option<Refusal> {
    if bind_is_loopback || beyond {
        return None;
    }
    let mut found = policy.exemptions();
    if policy.auth_mode == AuthMode::None {
        found.insert(0, "gateway.auth.mode: \"none\"");
    }
    if found.is_empty() {
        return None;
    }
    Some(
        Refusal::forbidden(
            "EXEMPTION_BEYOND_LOOPBACK",
            "security.allowExemptionsBeyondLoopback",
            format!("{} together with an address that others can reach", found.join(", ")),
            Remedy::Advice(
                "set gateway.bind to \"loopback\", or take the setting back, or say that it is \
                 meant with security.allowExemptionsBeyondLoopback: true"
                    .to_owned(),
            ),
        )
        .in_class(ErrorCode::InvalidRequest),
    )
}
