//! Ed25519 keys of devices: reading, naming, checking, signing.

use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use hatchery_protocol::{ConnectParams, DeviceParams};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{DeviceFault, PayloadVersion, device_payload};
use crate::DeviceId;

/// Reads base64 with or without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

const PEM_HEAD: &str = "-----BEGIN PUBLIC KEY-----";
const PEM_FOOT: &str = "-----END PUBLIC KEY-----";

/// What stands before the raw key in the DER form of an Ed25519 public key (RFC 8410).
const SPKI_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The public key of a device, raw. Written in base64url without padding, whatever form it came
/// in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PublicKey([u8; 32]);

/// A text that is no Ed25519 public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no Ed25519 public key")]
pub struct InvalidPublicKey;

impl PublicKey {
    /// Reads a key: raw in base64url or base64, or SPKI in PEM.
    ///
    /// # Errors
    /// [`InvalidPublicKey`] for anything else. Whether the bytes are a point that can sign is
    /// seen when a signature is checked.
    pub fn parse(text: &str) -> Result<Self, InvalidPublicKey> {
        let text = text.trim();
        let raw = match text.strip_prefix(PEM_HEAD) {
            Some(rest) => {
                let body = rest.strip_suffix(PEM_FOOT).ok_or(InvalidPublicKey)?;
                let body: String = body.split_ascii_whitespace().collect();
                let der = decode(&body).ok_or(InvalidPublicKey)?;
                der.strip_prefix(&SPKI_PREFIX).ok_or(InvalidPublicKey)?.to_vec()
            }
            None => decode(text).ok_or(InvalidPublicKey)?,
        };
        raw.try_into().map(Self).map_err(|_| InvalidPublicKey)
    }

    /// The raw key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The id of the device whose key this is.
    #[must_use]
    pub fn id(&self) -> DeviceId {
        DeviceId::new(format!("{:x}", Sha256::digest(self.0)))
    }

    /// Whether the signature over the message is this key's. A signature that anybody can make is
    /// none: keys and nonces of small order are refused.
    pub(super) fn has_signed(&self, message: &[u8], signature: &str) -> Result<bool, DeviceFault> {
        let key = VerifyingKey::from_bytes(&self.0).map_err(|_| DeviceFault::PublicKeyInvalid)?;
        if key.is_weak() {
            return Err(DeviceFault::PublicKeyInvalid);
        }
        let signature = decode(signature.trim()).and_then(|raw| Signature::from_slice(&raw).ok());
        let signature = signature.ok_or(DeviceFault::SignatureInvalid)?;
        Ok(key.verify_strict(message, &signature).is_ok())
    }
}

/// Reads either alphabet of base64, with or without padding.
fn decode(text: &str) -> Option<Vec<u8>> {
    LENIENT.decode(text.replace('-', "+").replace('_', "/")).ok()
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for PublicKey {
    type Error = InvalidPublicKey;

    fn try_from(text: String) -> Result<Self, InvalidPublicKey> {
        Self::parse(&text)
    }
}

impl From<InvalidPublicKey> for DeviceFault {
    fn from(_: InvalidPublicKey) -> Self {
        Self::PublicKeyInvalid
    }
}

/// The private key of a device: what a client of ours signs with.
#[derive(Clone)]
pub struct DeviceKey(SigningKey);

impl DeviceKey {
    /// The key that follows from 32 random bytes.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&seed))
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// The device's id.
    #[must_use]
    pub fn id(&self) -> DeviceId {
        self.public_key().id()
    }

    /// What a client puts into `device` of a `connect` with these parameters, on a connection
    /// whose challenge was `nonce`. Any change to the parameters afterwards breaks the signature.
    #[must_use]
    pub fn prove(
        &self,
        params: &ConnectParams,
        nonce: &str,
        signed_at: i64,
        version: PayloadVersion,
    ) -> DeviceParams {
        let id = self.id();
        let text = device_payload(params, id.as_str(), signed_at, nonce, version);
        DeviceParams {
            id: id.as_str().to_owned(),
            public_key: self.public_key().to_string(),
            signature: URL_SAFE_NO_PAD.encode(self.0.sign(text.as_bytes()).to_bytes()),
            signed_at,
            nonce: nonce.to_owned(),
        }
    }
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceKey(of {})", self.id())
    }
}
