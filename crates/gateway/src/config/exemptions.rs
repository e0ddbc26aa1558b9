//! Settings that take protection away.

use super::{AuthMode, Config};

impl Config {
    /// The settings in force that let somebody in who would otherwise have to prove or to ask
    /// for something, each as it would be written.
    #[must_use]
    pub fn exemptions(&self) -> Vec<String> {
        let devices = &self.security.device_pairing;
        let page = &self.gateway.control_ui;
        [
            (self.gateway.auth.mode == AuthMode::None, "gateway.auth.mode: none"),
            (self.gateway.pairing.loopback_exempt, "gateway.pairing.loopbackExempt: true"),
            (!self.security.enforce_pairing, "security.enforcePairing: false"),
            (!devices.require_for_external, "security.devicePairing.requireForExternal: false"),
            (devices.skip_for_loopback, "security.devicePairing.skipForLoopback: true"),
            (page.allow_insecure_auth, "gateway.controlUi.allowInsecureAuth: true"),
            (
                page.dangerously_disable_device_auth,
                "gateway.controlUi.dangerouslyDisableDeviceAuth: true",
            ),
        ]
        .into_iter()
        .filter(|(is_set, _)| *is_set)
        .map(|(_, words)| words.to_owned())
        .collect()
    }
}
