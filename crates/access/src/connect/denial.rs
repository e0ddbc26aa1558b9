//! Refusals of the device door, as the wire wants them (OpenClaw protocol §1.6).

use std::collections::BTreeSet;

use hatchery_protocol::{ErrorCode, ProtocolVersion, Role, Scope, WireError};
use serde_json::{Map, Value, json};

use super::arrival::{Arrival, SharedFailure};
use crate::pairing::{PairedDevice, PendingRequest};
use crate::{Refusal, Remedy};

/// How long a close reason may be: a control frame holds no more.
pub const MAX_CLOSE_REASON_BYTES: usize = 123;

/// The close code of a refusal by rule.
const POLICY_VIOLATION: u16 = 1008;

/// A refusal at the door: the answer, and the close after it.
#[derive(Clone, Debug, PartialEq)]
pub struct Denial {
    /// The refusal.
    pub refusal: Refusal,
    /// The close code.
    pub close_code: u16,
    /// The close reason, short enough.
    pub close_reason: String,
    /// The secret that was shown and wrong, for the throttle to count. A missing one counts for
    /// nothing.
    pub failed_secret: Option<SecretBucket>,
    details: Map<String, Value>,
    retry_after_ms: Option<u64>,
}

/// Which kind of secret was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretBucket {
    /// The shared token or password.
    Shared,
    /// A device's token.
    DeviceToken,
    /// A setup code.
    SetupCode,
}

impl Denial {
    /// A refusal closed with 1008 and its own words.
    #[must_use]
    pub fn new(refusal: Refusal) -> Self {
        Self {
            close_code: POLICY_VIOLATION,
            close_reason: cut(&refusal.message).to_owned(),
            failed_secret: None,
            details: Map::new(),
            retry_after_ms: None,
            refusal,
        }
    }

    /// The same with another close.
    #[must_use]
    pub fn closing(mut self, code: u16, reason: &str) -> Self {
        self.close_code = code;
        cut(reason).clone_into(&mut self.close_reason);
        self
    }

    /// The same with one more detail for the client.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.details.insert(name.to_owned(), value);
        self
    }

    /// The same, to be counted by the throttle.
    #[must_use]
    pub(crate) fn counting(mut self, bucket: SecretBucket) -> Self {
        self.failed_secret = Some(bucket);
        self
    }

    /// The answer to `connect`.
    #[must_use]
    pub fn wire(&self) -> WireError {
        let mut wire = WireError::from(self.refusal.clone());
        if let Some(Value::Object(details)) = &mut wire.details {
            details.extend(self.details.clone());
        }
        if self.retry_after_ms.is_some() {
            wire.retryable = Some(true);
            wire.retry_after_ms = self.retry_after_ms;
        }
        wire
    }

    /// Too many wrong secrets came from there.
    #[must_use]
    pub fn rate_limited(retry_after_ms: u64) -> Self {
        let refusal = invalid(
            "AUTH_RATE_LIMITED",
            "gateway.auth.rateLimit",
            "unauthorized: too many failed attempts, try again later".to_owned(),
            Remedy::Advice(format!("wait {} seconds", retry_after_ms.div_ceil(1000))),
        );
        let mut denial = Self::unauthorized(refusal, "rate_limited", "wait_then_retry");
        denial.retry_after_ms = Some(retry_after_ms);
        denial
    }

    /// The role that was asked for does not exist.
    pub(crate) fn invalid_role() -> Self {
        Self::new(invalid(
            "INVALID_ROLE",
            "connect.role",
            "invalid role".to_owned(),
            Remedy::Advice("connect as operator or node".to_owned()),
        ))
    }

    /// Nothing that was shown counts.
    pub(crate) fn shared_secret(failure: SharedFailure, arrival: &Arrival<'_>) -> Self {
        use SharedFailure as F;
        let (code, reason, rule, words, step) = match failure {
            F::TokenMissing => (
                "AUTH_TOKEN_MISSING",
                "token_missing",
                "gateway.auth.token",
                "gateway token missing",
                "update_auth_configuration",
            ),
            F::TokenMismatch => (
                "AUTH_TOKEN_MISMATCH",
                "token_mismatch",
                "gateway.auth.token",
                "gateway token mismatch",
                "update_auth_credentials",
            ),
            F::TokenNotConfigured => (
                "AUTH_TOKEN_NOT_CONFIGURED",
                "token_missing_config",
                "gateway.auth.token",
                "the gateway has no token to compare with",
                "update_auth_configuration",
            ),
            F::PasswordMissing => (
                "AUTH_PASSWORD_MISSING",
                "password_missing",
                "gateway.auth.password",
                "gateway password missing",
                "update_auth_configuration",
            ),
            F::PasswordMismatch => (
                "AUTH_PASSWORD_MISMATCH",
                "password_mismatch",
                "gateway.auth.password",
                "gateway password mismatch",
                "update_auth_credentials",
            ),
            F::PasswordNotConfigured => (
                "AUTH_PASSWORD_NOT_CONFIGURED",
                "password_missing_config",
                "gateway.auth.password",
                "the gateway has no password to compare with",
                "update_auth_configuration",
            ),
            F::ProxyIdentityMissing => (
                "AUTH_IDENTITY_HEADER_REQUIRED",
                "identity_header_required",
                "gateway.auth.trustedProxy",
                "no identity from a trusted proxy",
                "review_auth_configuration",
            ),
            F::ProxyUserRefused => (
                "AUTH_VERIFIED_USER_REQUIRED",
                "verified_user_required",
                "gateway.auth.trustedProxy",
                "the proxy names nobody who is allowed",
                "review_auth_configuration",
            ),
        };
        let remedy = match failure {
            F::TokenMissing | F::TokenMismatch | F::PasswordMissing | F::PasswordMismatch => {
                format!("give the client the value of {rule} of the gateway")
            }
            F::TokenNotConfigured | F::PasswordNotConfigured => {
                format!("set {rule} in the gateway's configuration")
            }
            F::ProxyIdentityMissing | F::ProxyUserRefused => {
                "see gateway.trustedProxies and gateway.auth.trustedProxy".to_owned()
            }
        };
        let refusal = invalid(code, rule, format!("unauthorized: {words}"), Remedy::Advice(remedy));
        let may_retry = failure == F::TokenMismatch
            && arrival.device.is_some()
            && arrival.shows(|auth| auth.device_token.as_ref()).is_none();
        let step = if may_retry { "retry_with_device_token" } else { step };
        let denial = Self::unauthorized(refusal, reason, step)
            .with("canRetryWithDeviceToken", json!(may_retry));
        match failure {
            F::TokenMismatch | F::PasswordMismatch => denial.counting(SecretBucket::Shared),
            _ => denial,
        }
    }

    /// The device's token is wrong, revoked or of another device: which of them is not told.
    pub(crate) fn device_token() -> Self {
        let refusal = invalid(
            "AUTH_DEVICE_TOKEN_MISMATCH",
            "pairing.token",
            "unauthorized: device token mismatch".to_owned(),
            Remedy::Advice(
                "connect once with the gateway's shared secret, or ask the owner for a setup \
                 code (`hatchery pair`)"
                    .to_owned(),
            ),
        );
        Self::unauthorized(refusal, "device_token_mismatch", "update_auth_credentials")
            .counting(SecretBucket::DeviceToken)
    }

    /// The setup code is wrong, lapsed or used: which of them is not told.
    pub(crate) fn setup_code() -> Self {
        let refusal = invalid(
            "AUTH_BOOTSTRAP_TOKEN_INVALID",
            "pairing.setupCode",
            "unauthorized: setup code invalid, lapsed or used".to_owned(),
            Remedy::Command("hatchery pair".to_owned()),
        );
        Self::unauthorized(refusal, "bootstrap_token_invalid", "update_auth_credentials")
            .counting(SecretBucket::SetupCode)
    }

    /// A client without a device key is not let in this way.
    pub(crate) fn device_required(rule: &'static str, advice: &str) -> Self {
        Self::new(
            Refusal::forbidden(
                "DEVICE_IDENTITY_REQUIRED",
                rule,
                "device identity required",
                Remedy::Advice(advice.to_owned()),
            )
            .in_class(ErrorCode::NotPaired),
        )
    }

    /// The Control UI without a device key.
    pub(crate) fn control_ui_device_required() -> Self {
        Self::new(invalid(
            "CONTROL_UI_DEVICE_IDENTITY_REQUIRED",
            "gateway.controlUi",
            "the Control UI needs a device identity: open it over https or from localhost"
                .to_owned(),
            Remedy::Advice(
                "open the page over https or as http://localhost, where a browser lets it keep \
                 a key"
                    .to_owned(),
            ),
        ))
    }

    /// The device has to be approved first.
    pub(crate) fn pairing_required(
        request: &PendingRequest,
        known: Option<&PairedDevice>,
        arrival: &Arrival<'_>,
    ) -> Self {
        let (id, command) = (&request.request_id, request.approve_command());
        let words = request.reason.in_words();
        let refusal = Refusal::forbidden(
            "PAIRING_REQUIRED",
            "pairing",
            format!("pairing required: {words} (requestId: {id}); run `{command}` where the gateway runs"),
            Remedy::Command(command.clone()),
        )
        .in_class(ErrorCode::NotPaired)
        .with_log(format!("device {} as {}", request.device_id.short(), request.role));
        let denial =
            Self::new(refusal).with("requestId", json!(id)).with("reason", json!(request.reason));
        if arrival.version == ProtocolVersion::V3 {
            return denial.closing(POLICY_VIOLATION, "pairing required");
        }
        let approved: BTreeSet<Scope> =
            known.map(|known| known.ceiling(Role::Operator)).unwrap_or_default();
        let roles: Vec<Role> = known.map_or_else(Vec::new, |known| {
            known.roles.iter().copied().filter(|role| known.live_token(*role).is_some()).collect()
        });
        let reason = format!("pairing required: {words} (requestId: {id})");
        let denial = denial
            .closing(POLICY_VIOLATION, &reason)
            .with("remediationHint", json!(format!("Run `{command}` on the gateway's machine.")))
            .with("deviceId", json!(request.device_id))
            .with("requestedRole", json!(request.role))
            .with("requestedScopes", json!(request.scopes))
            .with("approvedRoles", json!(roles))
            .with("approvedScopes", json!(approved));
        // A program that stays up comes back by itself; a command ends and says what to do.
        if matches!(arrival.params.client.mode.as_str(), "ui" | "webchat" | "node") {
            return denial
                .with("recommendedNextStep", json!("wait_then_retry"))
                .with("retryable", json!(true))
                .with("pauseReconnect", json!(false));
        }
        denial
    }

    /// So many wait that this device cannot even ask.
    pub(crate) fn busy(refusal: Refusal) -> Self {
        Self::new(refusal).with("recommendedNextStep", json!("wait_then_retry"))
    }

    fn unauthorized(refusal: Refusal, reason: &str, step: &str) -> Self {
        Self::new(refusal)
            .with("authReason", json!(reason))
            .with("canRetryWithDeviceToken", json!(false))
            .with("recommendedNextStep", json!(step))
    }
}

fn invalid(code: &'static str, rule: &'static str, message: String, remedy: Remedy) -> Refusal {
    Refusal::forbidden(code, rule, message, remedy).in_class(ErrorCode::InvalidRequest)
}

/// As much of a close reason as fits, ending between characters.
fn cut(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(MAX_CLOSE_REASON_BYTES)]
}

#[cfg(test)]
mod tests {
    use super::{MAX_CLOSE_REASON_BYTES, cut};

    #[test]
    fn a_close_reason_fits_and_ends_between_characters() {
        for (length, kept) in [(122, 122), (123, 123), (124, 123), (500, 123)] {
            assert_eq!(cut(&"x".repeat(length)).len(), kept);
        }
        assert_eq!(cut(&"ö".repeat(100)).len(), MAX_CLOSE_REASON_BYTES - 1);
    }
}
