//! Device keys: whether a client holds the key it names (OpenClaw protocol §1.4).
//!
//! A client signs what it says of itself together with the nonce of this very connection. Who
//! passes is known by its key and by nothing else: neither what it is called nor what it asks for
//! becomes true by being signed. This module never decides what a device may do.

mod fault;
mod key;
mod payload;

use hatchery_protocol::{ConnectParams, DeviceParams};

pub use fault::DeviceFault;
pub use key::{DeviceKey, InvalidPublicKey, PublicKey};
pub use payload::{PayloadVersion, device_payload, normalized_metadata};

use crate::DeviceId;

/// How far the time of signing may lie from the gateway's clock, either way.
pub const MAX_SIGNATURE_SKEW_MS: u64 = 120_000;

/// The longest public key that is read, in bytes; one in PEM has about 115.
pub const MAX_PUBLIC_KEY_TEXT: usize = 512;

/// The longest signature that is read, in bytes; one in base64 has 88.
pub const MAX_SIGNATURE_TEXT: usize = 256;

/// The longest word a client may say of itself where its signature covers it, in bytes.
pub const MAX_SIGNED_WORD: usize = 256;

/// How many scopes a signature may cover.
pub const MAX_SIGNED_SCOPES: usize = 64;

/// The longest secret a signature may cover, in bytes.
pub const MAX_SIGNED_SECRET: usize = 4096;

/// A client that holds its device's key, as only [`verify_device`] can say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedDevice {
    pub(crate) id: DeviceId,
    pub(crate) public_key: PublicKey,
    pub(crate) payload: PayloadVersion,
}

impl VerifiedDevice {
    /// The device's id.
    #[must_use]
    pub fn id(&self) -> &DeviceId {
        &self.id
    }

    /// The device's key.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// What the signature covers: the second version says nothing of platform and device family,
    /// so those are mere words there.
    #[must_use]
    pub fn payload(&self) -> PayloadVersion {
        self.payload
    }
}

/// Checks the device in a `connect`, on a connection whose challenge was `nonce`, at `now_ms`.
///
/// # Errors
/// The first [`DeviceFault`], in the order clients know: id, time, nonce, signature.
pub fn verify_device(
    params: &ConnectParams,
    nonce: &str,
    now_ms: u64,
) -> Result<VerifiedDevice, DeviceFault> {
    let device = params.device.as_ref().ok_or(DeviceFault::Missing)?;
    check_sizes(params, device)?;
    let public_key = PublicKey::parse(&device.public_key)?;
    let id = public_key.id();
    if device.id != id.as_str() {
        return Err(DeviceFault::IdMismatch);
    }
    check_time(device.signed_at, now_ms)?;
    let shown = device.nonce.trim();
    if shown.is_empty() {
        return Err(DeviceFault::NonceMissing);
    }
    if shown != nonce.trim() {
        return Err(DeviceFault::NonceMismatch);
    }
    let signed_by = |version| {
        let text = device_payload(params, id.as_str(), device.signed_at, shown, version);
        public_key.has_signed(text.as_bytes(), &device.signature)
    };
    for version in [PayloadVersion::V3, PayloadVersion::V2] {
        if signed_by(version)? {
            return Ok(VerifiedDevice { id, public_key, payload: version });
        }
    }
    Err(DeviceFault::SignatureInvalid)
}

fn check_time(signed_at: i64, now_ms: u64) -> Result<(), DeviceFault> {
    let signed_at = u64::try_from(signed_at).unwrap_or(0);
    let skew_ms = now_ms.abs_diff(signed_at);
    if skew_ms > MAX_SIGNATURE_SKEW_MS {
        return Err(DeviceFault::SignatureExpired { behind: signed_at < now_ms, skew_ms });
    }
    Ok(())
}

/// Nothing large is hashed, and nothing is signed whose parts could be told apart in two ways: the
/// payload joins its parts without escaping.
fn check_sizes(params: &ConnectParams, device: &DeviceParams) -> Result<(), DeviceFault> {
    let client = &params.client;
    let words = [
        ("client.id", client.id.as_str()),
        ("client.mode", &client.mode),
        ("client.platform", &client.platform),
        ("client.deviceFamily", client.device_family.as_deref().unwrap_or_default()),
        ("role", params.role.as_deref().unwrap_or_default()),
    ];
    for (name, word) in words {
        check_length(name, word, MAX_SIGNED_WORD)?;
        if word.contains('|') {
            return Err(DeviceFault::FieldAmbiguous(name));
        }
    }
    let scopes = params.scopes.as_deref().unwrap_or_default();
    if scopes.len() > MAX_SIGNED_SCOPES {
        return Err(DeviceFault::FieldTooLong("scopes"));
    }
    for scope in scopes {
        check_length("scopes", scope, MAX_SIGNED_WORD)?;
        if scope.contains(['|', ',']) {
            return Err(DeviceFault::FieldAmbiguous("scopes"));
        }
    }
    check_length("auth", payload::signed_secret(params), MAX_SIGNED_SECRET)?;
    check_length("device.nonce", &device.nonce, MAX_SIGNED_WORD)?;
    check_length("device.publicKey", &device.public_key, MAX_PUBLIC_KEY_TEXT)?;
    check_length("device.signature", &device.signature, MAX_SIGNATURE_TEXT)
}

fn check_length(name: &'static str, text: &str, limit: usize) -> Result<(), DeviceFault> {
    if text.len() > limit { Err(DeviceFault::FieldTooLong(name)) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
