//! What has become of setup codes, for the one who made them and waits.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};

use hatchery_access::DeviceId;
use hatchery_access::pairing::{MAX_SETUP_CODES, SetupCode, SetupProfile, TokenHash};

use super::PairingService;

/// Setup codes of this life of the gateway, used or not.
#[derive(Debug, Default)]
pub(super) struct Setups(BTreeMap<TokenHash, Setup>);

/// How a setup code stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setup {
    /// When it stops being good.
    expires_at_ms: u64,
    /// What it gives.
    pub(crate) profile: SetupProfile,
    /// Who used it.
    pub(crate) used: Option<SetupUse>,
}

/// The use of a setup code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SetupUse {
    pub(crate) device: DeviceId,
    /// When, in milliseconds since 1970.
    pub(crate) at_ms: u64,
}

impl Setups {
    pub(super) fn issued(&mut self, code: &SetupCode, now_ms: u64) {
        if self.0.len() >= 2 * MAX_SETUP_CODES {
            self.0.retain(|_, setup| now_ms < setup.expires_at_ms);
        }
        let setup =
            Setup { expires_at_ms: code.expires_at_ms, profile: code.profile.clone(), used: None };
        self.0.insert(code.hash.clone(), setup);
    }

    pub(super) fn used(&mut self, hash: &TokenHash, device: &DeviceId, now_ms: u64) {
        if let Some(setup) = self.0.get_mut(hash) {
            setup.used = Some(SetupUse { device: device.clone(), at_ms: now_ms });
        }
    }

    pub(super) fn cleared(&mut self) {
        self.0.clear();
    }
}

impl PairingService {
    pub(super) fn setups(&self) -> MutexGuard<'_, Setups> {
        // Every change to it is complete before anything can panic.
        self.setups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How a setup code stands, by what is kept of it.
    pub(crate) fn setup(&self, hash: &TokenHash) -> Option<Setup> {
        self.setups().0.get(hash).cloned()
    }
}
