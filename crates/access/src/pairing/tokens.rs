//! Tokens: exchanging, revoking, fetching.

use std::collections::BTreeSet;

use hatchery_protocol::{ErrorCode, Role, Scope};

use super::hand::{Hand, unknown_device};
use super::paired::covered;
use super::{
    Decision, FreshToken, Outcome, PairedDevice, PairingEvent, PairingState, Reply, RequestId,
    within,
};
use crate::{Caller, DeviceId, Refusal, Remedy};

/// What [`super::Command::Rotate`] says.
pub(crate) struct Rotation {
    pub(crate) device: DeviceId,
    pub(crate) role: Role,
    pub(crate) scopes: Option<BTreeSet<Scope>>,
    pub(crate) fresh: FreshToken,
    pub(crate) by_own_token: bool,
    pub(crate) reveal: bool,
}

/// Exchanges a token. It never opens a role that is not approved, and never makes a token good
/// for more than the device's baseline or than the caller has.
pub(crate) fn rotate(
    state: &PairingState,
    hand: &Hand<'_>,
    rotation: Rotation,
    now_ms: u64,
) -> Result<Decision, Refusal> {
    let Rotation { device, role, scopes, fresh, by_own_token, reveal } = rotation;
    let record = reached(state, hand, &device)?;
    let token = record.live_token(role).ok_or_else(|| role_closed(role, &device))?;
    let wanted = match role {
        Role::Operator => scopes.clone().unwrap_or_else(|| token.scopes.clone()),
        Role::Node => BTreeSet::new(),
    };
    if let Some(beyond) = wanted.iter().find(|scope| !covered(**scope, &record.scopes)) {
        return Err(Refusal::forbidden(
            "SCOPE_BEYOND_APPROVAL",
            "pairing.rotate",
            format!("{beyond} was not approved for this device"),
            Remedy::Command(format!("hatchery devices explain {device}")),
        )
        .in_class(ErrorCode::InvalidRequest));
    }
    // What the owner or another narrowed, the device does not widen by itself.
    if hand.is(&device) && token.held_down && wanted != within(&wanted, &token.scopes) {
        return Err(held_down(&device));
    }
    if role != Role::Operator && !hand.is(&device) {
        hand.must_hold(Scope::Admin)?;
    }
    hand.must_cover(&wanted)?;
    let held_down = if hand.is(&device) {
        token.held_down
    } else if scopes.is_some() {
        record.scopes.iter().any(|scope| !covered(*scope, &wanted))
    } else {
        token.held_down
    };
    let shown = (hand.is_owner() && reveal) || (hand.is(&device) && by_own_token);
    let hash = shown.then(|| fresh.hash().clone());
    Ok(Decision {
        reply: Reply::Rotated {
            device: device.clone(),
            role,
            scopes: wanted.clone(),
            rotated_at_ms: now_ms,
            token: shown.then(|| fresh.into_secret()),
        },
        events: vec![PairingEvent::TokenRotated {
            device,
            role,
            hash,
            scopes: wanted,
            held_down,
            by: hand.name.clone(),
            at_ms: now_ms,
        }],
    })
}

/// Revokes a token.
pub(crate) fn revoke(
    state: &PairingState,
    hand: &Hand<'_>,
    device: DeviceId,
    role: Role,
    now_ms: u64,
) -> Result<Decision, Refusal> {
    let record = reached(state, hand, &device)?;
    let token = record.tokens.get(&role).ok_or_else(|| role_closed(role, &device))?;
    let reply = |revoked_at_ms| Reply::Revoked { device: device.clone(), role, revoked_at_ms };
    if let Some(revoked_at_ms) = token.revoked_at_ms {
        return Ok(Decision { reply: reply(revoked_at_ms), events: Vec::new() });
    }
    Ok(Decision {
        reply: reply(now_ms),
        events: vec![PairingEvent::TokenRevoked {
            device: device.clone(),
            role,
            by: hand.name.clone(),
            at_ms: now_ms,
        }],
    })
}

/// Hands a device the token for what it asked for and was approved, once the word has come.
pub(crate) fn claim(
    state: &PairingState,
    caller: &Caller,
    request: &RequestId,
    fresh: FreshToken,
    now_ms: u64,
) -> Result<Decision, Refusal> {
    let device = caller.device().ok_or_else(unknown_device)?;
    let role = caller.role();
    let token = state.devices.get(device).and_then(|record| record.live_token(role));
    let (Outcome::Approved, Some(token)) = (state.outcome(device, request, now_ms), token) else {
        return Err(super::hand::unknown_request());
    };
    Ok(Decision {
        events: vec![PairingEvent::TokenIssued {
            device: device.clone(),
            role,
            hash: fresh.hash().clone(),
            at_ms: now_ms,
        }],
        reply: Reply::UpgradeClaimed {
            token: fresh.into_secret(),
            scopes: token.scopes.clone(),
            issued_at_ms: now_ms,
        },
    })
}

/// A device that is known and that the caller may know of.
pub(crate) fn reached<'s>(
    state: &'s PairingState,
    hand: &Hand<'_>,
    device: &DeviceId,
) -> Result<&'s PairedDevice, Refusal> {
    let record = state.devices.get(device);
    record.filter(|_| hand.reaches(device)).ok_or_else(unknown_device)
}

fn role_closed(role: Role, device: &DeviceId) -> Refusal {
    Refusal::forbidden(
        "ROLE_NOT_APPROVED",
        "pairing.role",
        format!("the role {role} is not approved for this device"),
        Remedy::Command(format!("hatchery devices explain {device}")),
    )
    .in_class(ErrorCode::InvalidRequest)
}

fn held_down(device: &DeviceId) -> Refusal {
    Refusal::forbidden(
        "SCOPES_HELD_DOWN",
        "pairing.rotate",
        "the device's scopes were lowered, and the device cannot raise them itself",
        Remedy::Command(format!("hatchery devices explain {device}")),
    )
}
