//! By what somebody with a device key is known: a setup code, the shared secret or its token.

use hatchery_protocol::Role;

use super::arrival::{Arrival, ProvenDevice, SharedFailure, SharedProof};
use super::denial::{Denial, SecretBucket};
use crate::pairing::{PairedDevice, PairingState, SetupCode};

/// By what somebody was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMethod {
    /// The shared token.
    Token,
    /// The shared password.
    Password,
    /// Its own token.
    DeviceToken,
    /// A setup code.
    BootstrapToken,
    /// A proxy's word, and its approval.
    TrustedProxy,
    /// Its approval alone, or a setting that asks for nothing.
    None,
}

impl AuthMethod {
    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Password => "password",
            Self::DeviceToken => "device-token",
            Self::BootstrapToken => "bootstrap-token",
            Self::TrustedProxy => "trusted-proxy",
            Self::None => "none",
        }
    }

    /// What the shared secret, or what stands in its place, makes of it.
    pub(crate) fn by_shared(shared: &SharedProof) -> Result<Self, SharedFailure> {
        match shared {
            SharedProof::Token => Ok(Self::Token),
            SharedProof::Password => Ok(Self::Password),
            SharedProof::Open => Ok(Self::None),
            SharedProof::Proxy { .. } => Ok(Self::TrustedProxy),
            SharedProof::Failed(failure) => Err(*failure),
        }
    }
}

/// What a device with a key has shown beside it.
pub(crate) struct Credential<'s> {
    pub(crate) method: AuthMethod,
    /// The setup code, where it is one.
    pub(crate) code: Option<&'s SetupCode>,
    /// Whether it showed the live token of the role, however it was let in.
    pub(crate) has_token: bool,
    /// Whether it showed a device token that is not the live one, so that it holds none.
    pub(crate) has_stale_token: bool,
}

/// Finds what counts: a setup code first, then the shared secret, then the device's token.
pub(crate) fn credential<'s>(
    state: &'s PairingState,
    arrival: &Arrival<'_>,
    device: &ProvenDevice,
    role: Role,
    now_ms: u64,
) -> Result<Credential<'s>, Box<Denial>> {
    let record = known(state, device);
    let live = record.and_then(|record| record.live_token(role));
    let matches = |shown: &hatchery_protocol::Secret| {
        live.and_then(|token| token.hash.as_ref()).is_some_and(|hash| hash.matches(shown))
    };
    let shown = arrival.shows(|auth| auth.device_token.as_ref());
    let has_token = shown.is_some_and(matches);
    // Some programs send whatever they have in every field.
    let is_shared_secret = arrival.shared.is_secret()
        && (shown == arrival.shows(|auth| auth.token.as_ref())
            || shown == arrival.shows(|auth| auth.password.as_ref()));
    let has_stale_token = shown.is_some() && !has_token && !is_shared_secret;
    let of = |method, code| Credential { method, code, has_token, has_stale_token };

    let setup = arrival.shows(|auth| auth.bootstrap_token.as_ref());
    if let Some(secret) = setup
        && let Some(code) = state.setup_code(secret, &device.id, &device.key, now_ms)
        && code.profile.roles.contains(&role)
    {
        return Ok(of(AuthMethod::BootstrapToken, Some(code)));
    }
    let failure = match AuthMethod::by_shared(&arrival.shared) {
        // Where nothing or little was shown, the device's own token says more.
        Ok(AuthMethod::None | AuthMethod::TrustedProxy) if has_token => {
            return Ok(of(AuthMethod::DeviceToken, None));
        }
        Ok(method) => return Ok(of(method, None)),
        Err(failure) => failure,
    };
    let candidate = shown.or_else(|| arrival.shows(|auth| auth.token.as_ref()));
    if candidate.is_some_and(matches) {
        let has_token = true;
        let method = AuthMethod::DeviceToken;
        return Ok(Credential { method, code: None, has_token, has_stale_token: false });
    }
    // Whatever was wrong is counted, whichever field it came in.
    let denial = if shown.is_some() {
        Denial::device_token()
    } else if setup.is_some() && arrival.shows(|auth| auth.token.as_ref()).is_none() {
        Denial::setup_code()
    } else {
        Denial::shared_secret(failure, arrival)
    };
    let wrong_shared =
        matches!(failure, SharedFailure::TokenMismatch | SharedFailure::PasswordMismatch);
    Err(Box::new(if wrong_shared { denial.counting(SecretBucket::Shared) } else { denial }))
}

/// The device's record, where the key is the one it was approved with.
pub(crate) fn known<'s>(
    state: &'s PairingState,
    device: &ProvenDevice,
) -> Option<&'s PairedDevice> {
    state.device(&device.id).filter(|record| record.public_key == device.key)
}
