//! Setup codes: a secret the owner hands to one new device, good for ten minutes and one device.

use std::collections::BTreeSet;

use hatchery_protocol::{Role, Scope};
use serde::{Deserialize, Serialize};

use super::{PublicKey, TokenHash};
use crate::DeviceId;

/// How long a setup code is good, in milliseconds.
pub const SETUP_CODE_TTL_MS: u64 = 10 * 60 * 1000;

/// How many setup codes are good at a time.
pub const MAX_SETUP_CODES: usize = 16;

/// What no setup code gives, since who shows one has proved nothing but to have seen a picture;
/// and what a stranger from elsewhere who showed no secret cannot ask for at first.
pub const NOT_FOR_STRANGERS: [Scope; 2] = [Scope::Admin, Scope::Pairing];

/// A setup code that is still good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetupCode {
    /// What is kept of its secret.
    pub hash: TokenHash,
    /// What it gives.
    pub profile: SetupProfile,
    /// Who made it.
    pub made_by: String,
    /// When it stops being good.
    pub expires_at_ms: u64,
    /// The device that used it. It stays good for that device, whose answer may have been lost,
    /// until the device shows the token it got.
    pub bound_to: Option<(DeviceId, PublicKey)>,
}

/// What a setup code gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetupProfile {
    /// The roles.
    pub roles: BTreeSet<Role>,
    /// The scopes, at most.
    pub scopes: BTreeSet<Scope>,
}

impl Default for SetupProfile {
    /// Somebody who talks with agents and answers them, from a telephone or a browser.
    fn default() -> Self {
        Self {
            roles: [Role::Operator].into(),
            scopes: [Scope::Approvals, Scope::Questions, Scope::Read, Scope::Talk, Scope::Write]
                .into(),
        }
    }
}

impl SetupCode {
    /// Whether it is good for this device now.
    #[must_use]
    pub(crate) fn is_good_for(&self, device: &DeviceId, key: &PublicKey, now_ms: u64) -> bool {
        now_ms < self.expires_at_ms
            && self.bound_to.as_ref().is_none_or(|(id, bound)| id == device && bound == key)
    }
}
