//! Whether somebody is let in: what `access` has to know is gathered and asked here, in the order
//! that gives nothing away. First the page it comes from, then whether it may try at all, then its
//! key, then the secret, then what is approved for it.

use hatchery_access::connect::{
    Admission, Admitted, Arrival, AuthMode, DoorPolicy, ProvenDevice, SharedFailure, SharedProof,
    exemptions_refused,
};
use hatchery_access::pairing::PublicKey;
use hatchery_access::{
    Page, Refusal, SharedSecret, Shown, Throttle, ThrottleSettings, check_origin, verify_device,
};
use hatchery_protocol::{ConnectParams, ProtocolVersion, Secret};
use tokio::sync::Mutex;

use super::closing::Farewell;
use super::visitor::Visitor;
use crate::clock::now_ms;
use crate::config::{self, Config};
use crate::gateway::Shared;

/// Who may guess a secret, and how often.
#[derive(Debug)]
pub(crate) struct Guesses(Mutex<Throttle>);

impl Guesses {
    pub(crate) fn new(config: &Config) -> Self {
        Self(Mutex::new(Throttle::new(settings(config))))
    }

    /// Changes the limits for what happens from now on.
    pub(crate) async fn configure(&self, config: &Config) {
        self.0.lock().await.set_settings(settings(config));
    }
}

fn settings(config: &Config) -> ThrottleSettings {
    let limit = config.gateway.auth.rate_limit;
    ThrottleSettings::new(limit.max_attempts, limit.window_ms, limit.lockout_ms)
}

/// Decides about somebody who has answered the challenge.
pub(super) async fn admit(
    shared: &Shared,
    visitor: &Visitor,
    params: &ConnectParams,
    version: ProtocolVersion,
    nonce: &str,
) -> Result<Box<Admitted>, Farewell> {
    let config = shared.supervisor.settings.config();
    let turned_away = |refusal: Refusal| {
        shared.supervisor.note_stranger(visitor.source.address, &refusal, "connect");
        Farewell::refused(refusal)
    };
    let allowed = &config.gateway.control_ui.allowed_origins;
    let page = check_origin(&visitor.browser, Some(&params.client), allowed)
        .map_err(|fault| turned_away(fault.into()))?;
    let may_try = |throttle: &Throttle| throttle.may_try(&visitor.source, now_ms());
    may_try(&*shared.guesses.0.lock().await).map_err(|retry| turned_away(retry.into()))?;
    let device = match &params.device {
        None => None,
        Some(_) => {
            let verified = verify_device(params, nonce, now_ms())
                .map_err(|fault| turned_away(fault.into()))?;
            let key = PublicKey::from_bytes(verified.public_key().as_bytes());
            Some(ProvenDevice { id: verified.id().clone(), key })
        }
    };
    // From looking at a secret until its outcome is counted nobody else's is looked at: a thousand
    // connections at once get no try more than one after another would.
    let mut throttle = shared.guesses.0.lock().await;
    may_try(&throttle).map_err(|retry| turned_away(retry.into()))?;
    let arrival = Arrival {
        params,
        version,
        device,
        address: visitor.source.address,
        direct_loopback: visitor.source.direct_loopback,
        via_proxy: visitor.source.via_proxy,
        origin: (page != Page::None).then(|| visitor.browser.origin.as_deref().unwrap_or("")),
        shared: shared_proof(&config, visitor, params, shared.is_exposed()),
    };
    let policy = policy_in_force(&config, shared.is_exposed());
    let admission = shared.pairing.connect(&arrival, &policy).await;
    let source = &visitor.source;
    let secret_is_right = arrival.shared.is_secret();
    match admission {
        Admission::Admitted(admitted) => {
            if secret_is_right {
                throttle.succeeded(source, Shown::SharedSecret, now_ms());
            } else if admitted.by_device_token {
                throttle.succeeded(source, Shown::OwnToken, now_ms());
            }
            Ok(admitted)
        }
        Admission::Pending(pending) => {
            if secret_is_right {
                throttle.succeeded(source, Shown::SharedSecret, now_ms());
            }
            Err(Farewell::denied(&pending.denial))
        }
        Admission::Refused(denial) => {
            if denial.failed_secret.is_some() {
                throttle.failed(source, now_ms());
            }
            Err(Farewell::denied(&denial))
        }
    }
}

/// What comes of the shared secret.
fn shared_proof(
    config: &Config,
    visitor: &Visitor,
    params: &ConnectParams,
    exposed: bool,
) -> SharedProof {
    use SharedFailure as Failure;
    let auth = &config.gateway.auth;
    let shown = params.auth.as_ref();
    match auth.mode {
        config::AuthMode::None if is_refused(config, exposed) => {
            SharedProof::Failed(Failure::TokenNotConfigured)
        }
        config::AuthMode::None => SharedProof::Open,
        config::AuthMode::TrustedProxy => match &visitor.person {
            Ok(user) => SharedProof::Proxy { user: user.clone() },
            Err(failure) => SharedProof::Failed(*failure),
        },
        config::AuthMode::Token => {
            let shown = shown.and_then(|auth| auth.token.as_ref());
            match compare(auth.token.as_ref(), shown) {
                Compared::Same => SharedProof::Token,
                Compared::Different => SharedProof::Failed(Failure::TokenMismatch),
                Compared::NotShown => SharedProof::Failed(Failure::TokenMissing),
                Compared::NotConfigured => SharedProof::Failed(Failure::TokenNotConfigured),
            }
        }
        config::AuthMode::Password => {
            let shown = shown.and_then(|auth| auth.password.as_ref());
            match compare(auth.password.as_ref(), shown) {
                Compared::Same => SharedProof::Password,
                Compared::Different => SharedProof::Failed(Failure::PasswordMismatch),
                Compared::NotShown => SharedProof::Failed(Failure::PasswordMissing),
                Compared::NotConfigured => SharedProof::Failed(Failure::PasswordNotConfigured),
            }
        }
    }
}

enum Compared {
    Same,
    Different,
    NotShown,
    NotConfigured,
}

fn compare(configured: Option<&config::Secret>, shown: Option<&Secret>) -> Compared {
    let configured = configured.and_then(|secret| SharedSecret::new(secret.expose()).ok());
    match (configured, shown.filter(|shown| !shown.is_empty())) {
        (None, _) => Compared::NotConfigured,
        (Some(_), None) => Compared::NotShown,
        (Some(secret), Some(shown)) if secret.matches(shown) => Compared::Same,
        (Some(_), Some(_)) => Compared::Different,
    }
}

/// The settings that bear on who is let in, as far as they hold. A gateway that was started behind
/// closed doors does not open them because a file has changed.
pub(super) fn policy_in_force(config: &Config, exposed: bool) -> DoorPolicy {
    let policy = door_policy(config);
    if is_refused(config, exposed) { policy.without_exemptions() } else { policy }
}

/// Whether what lets somebody in without pairing does not hold, as others can reach the gateway.
pub(super) fn is_refused(config: &Config, exposed: bool) -> bool {
    let beyond = config.security.allow_exemptions_beyond_loopback;
    exemptions_refused(&door_policy(config), !exposed, beyond).is_some()
}

/// The settings that bear on who is let in, as they are written.
pub(crate) fn door_policy(config: &Config) -> DoorPolicy {
    let (gateway, security) = (&config.gateway, &config.security);
    DoorPolicy {
        auth_mode: match gateway.auth.mode {
            config::AuthMode::Token => AuthMode::Token,
            config::AuthMode::Password => AuthMode::Password,
            config::AuthMode::None => AuthMode::None,
            config::AuthMode::TrustedProxy => AuthMode::TrustedProxy,
        },
        auto_approve_local: gateway.nodes.pairing.auto_approve_local,
        loopback_exempt: gateway.pairing.loopback_exempt,
        skip_for_loopback: security.device_pairing.skip_for_loopback,
        require_for_external: security.device_pairing.require_for_external,
        enforce_pairing: security.enforce_pairing,
        control_ui_insecure: gateway.control_ui.allow_insecure_auth,
        control_ui_without_device: gateway.control_ui.dangerously_disable_device_auth,
    }
}
