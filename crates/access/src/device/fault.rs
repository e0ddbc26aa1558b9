//! What can be wrong with a device, and what to do about it.

use hatchery_protocol::ErrorCode;

use super::MAX_SIGNATURE_SKEW_MS;
use crate::{Refusal, Remedy};

/// What is wrong with the device in a `connect`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceFault {
    /// There is none.
    #[error("device identity required")]
    Missing,
    /// The id is not the hash of the key.
    #[error("device identity mismatch: the id does not belong to the public key")]
    IdMismatch,
    /// It was signed too long ago, or in the future.
    #[error("device signature expired: it was signed {} s {}", .skew_ms / 1000,
        if *.behind { "ago" } else { "in the future" })]
    SignatureExpired {
        /// Whether the client's clock is the one that lags.
        behind: bool,
        /// How far the clocks are apart.
        skew_ms: u64,
    },
    /// There is no nonce.
    #[error("device nonce required")]
    NonceMissing,
    /// The nonce is not this connection's.
    #[error("device nonce mismatch: it is not the one of this connection's challenge")]
    NonceMismatch,
    /// The signature is not the key's over what was sent.
    #[error("device signature invalid: it does not cover what was sent")]
    SignatureInvalid,
    /// The key is no Ed25519 public key, or one with which anybody can sign.
    #[error("device public key invalid")]
    PublicKeyInvalid,
    /// A field is longer than anything true would be.
    #[error("device identity invalid: `{0}` is too long")]
    FieldTooLong(&'static str),
    /// A field holds the sign that separates fields, so the signature could mean something else.
    #[error("device identity invalid: `{0}` must not hold a separator")]
    FieldAmbiguous(&'static str),
}

impl DeviceFault {
    /// The refusal's stable name, as clients know it.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Missing => "DEVICE_IDENTITY_REQUIRED",
            Self::IdMismatch => "DEVICE_AUTH_DEVICE_ID_MISMATCH",
            Self::SignatureExpired { .. } => "DEVICE_AUTH_SIGNATURE_EXPIRED",
            Self::NonceMissing => "DEVICE_AUTH_NONCE_REQUIRED",
            Self::NonceMismatch => "DEVICE_AUTH_NONCE_MISMATCH",
            Self::SignatureInvalid => "DEVICE_AUTH_SIGNATURE_INVALID",
            Self::PublicKeyInvalid => "DEVICE_AUTH_PUBLIC_KEY_INVALID",
            Self::FieldTooLong(_) | Self::FieldAmbiguous(_) => "DEVICE_AUTH_INVALID",
        }
    }

    /// The wire's word for it.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Missing => "device-required",
            Self::IdMismatch => "device-id-mismatch",
            Self::SignatureExpired { .. } => "device-signature-stale",
            Self::NonceMissing => "device-nonce-missing",
            Self::NonceMismatch => "device-nonce-mismatch",
            Self::SignatureInvalid => "device-signature",
            Self::PublicKeyInvalid => "device-public-key",
            Self::FieldTooLong(_) => "device-field-too-long",
            Self::FieldAmbiguous(_) => "device-field-ambiguous",
        }
    }

    fn class(self) -> ErrorCode {
        match self {
            Self::Missing => ErrorCode::NotPaired,
            Self::IdMismatch
            | Self::SignatureExpired { .. }
            | Self::NonceMissing
            | Self::NonceMismatch
            | Self::SignatureInvalid
            | Self::PublicKeyInvalid
            | Self::FieldTooLong(_)
            | Self::FieldAmbiguous(_) => ErrorCode::InvalidRequest,
        }
    }

    fn advice(self) -> String {
        match self {
            Self::Missing => "connect with a client that has a device key; a page in a browser \
                has one where it was opened over https or on localhost"
                .to_owned(),
            Self::IdMismatch | Self::PublicKeyInvalid => "let the client make a new device \
                identity (the OpenClaw command line does after its file identity/device.json is \
                moved away), and pair it"
                .to_owned(),
            Self::SignatureExpired { .. } => format!(
                "set the clock of the client's machine right; it may be {} s off at most",
                MAX_SIGNATURE_SKEW_MS / 1000
            ),
            Self::NonceMissing | Self::NonceMismatch => {
                "sign the nonce of the `connect.challenge` \
                that came over this connection, and connect anew for each try"
                    .to_owned()
            }
            Self::SignatureInvalid => "sign exactly what is sent: client, role, scopes in their \
                order, time, token and nonce; a program between the client and the gateway must \
                not change them"
                .to_owned(),
            Self::FieldTooLong(field) | Self::FieldAmbiguous(field) => {
                format!("let the client send a plain, short `{field}`")
            }
        }
    }
}

impl From<DeviceFault> for Refusal {
    fn from(fault: DeviceFault) -> Self {
        let remedy = Remedy::Advice(fault.advice());
        Self::forbidden(fault.code(), "device door", fault.to_string(), remedy)
            .in_class(fault.class())
            .with_detail("reason", fault.reason())
    }
}
