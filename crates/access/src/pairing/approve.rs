//! Letting a device in: what its record is afterwards, and who may do it.

use std::collections::{BTreeMap, BTreeSet};

use hatchery_protocol::{ErrorCode, Role, Scope};

use super::hand::{Hand, unknown_request};
use super::{
    ApprovedVia, Decision, DeviceToken, MAX_PAIRED, PairedDevice, PairingEvent, PairingState,
    PendingRequest, Reply, RequestId,
};
use crate::{Refusal, Remedy};

/// The record of a device after a request of it was approved. Roles and scopes are added to those
/// it has; another key under the same id begins anew with nothing.
pub(crate) fn record_after(
    known: Option<&PairedDevice>,
    request: &PendingRequest,
    via: ApprovedVia,
    now_ms: u64,
) -> PairedDevice {
    let known = known.filter(|known| known.public_key == request.public_key);
    let mut record = known.cloned().unwrap_or_else(|| PairedDevice {
        device_id: request.device_id.clone(),
        public_key: request.public_key.clone(),
        display_name: None,
        operator_label: None,
        platform: String::new(),
        device_family: None,
        client_id: String::new(),
        client_mode: String::new(),
        roles: BTreeSet::new(),
        scopes: BTreeSet::new(),
        tokens: BTreeMap::new(),
        node_commands: BTreeSet::new(),
        remote_ip: None,
        approved_via: via.clone(),
        created_at_ms: now_ms,
        approved_at_ms: now_ms,
        last_seen_at_ms: None,
    });
    let about = &request.about;
    record.display_name = about.display_name.clone().or(record.display_name);
    if !about.platform.is_empty() {
        record.platform.clone_from(&about.platform);
    }
    record.device_family = about.device_family.clone().or(record.device_family);
    record.client_id.clone_from(&about.client_id);
    record.client_mode.clone_from(&about.client_mode);
    record.remote_ip = Some(request.remote_ip);
    record.approved_via = via;
    record.approved_at_ms = now_ms;
    record.roles.insert(request.role);
    // A node has no scopes: what it may be asked is a list of commands.
    let scopes: BTreeSet<Scope> = match request.role {
        Role::Operator => request.scopes.clone(),
        Role::Node => BTreeSet::new(),
    };
    // What was approved before a revocation does not come back with the next approval.
    let was_revoked = record.tokens.get(&request.role).is_some_and(|token| !token.is_live());
    if request.role == Role::Operator && was_revoked {
        record.scopes.clear();
    }
    record.scopes.extend(&scopes);
    match record.tokens.get_mut(&request.role) {
        Some(token) if token.is_live() => {
            token.scopes.extend(&scopes);
            token.held_down = token.held_down && !record.scopes.is_subset(&token.scopes);
        }
        _ => {
            record.tokens.insert(request.role, DeviceToken::awaiting(scopes, now_ms));
        }
    }
    record
}

/// Refuses another device where there is no room for one.
pub(crate) fn room_for(state: &PairingState, request: &PendingRequest) -> Result<(), Refusal> {
    if state.devices.contains_key(&request.device_id) || state.devices.len() < MAX_PAIRED {
        return Ok(());
    }
    Err(Refusal::forbidden(
        "TOO_MANY_DEVICES",
        "pairing.devices",
        format!("{MAX_PAIRED} devices are paired already"),
        Remedy::Command("hatchery devices list".to_owned()),
    )
    .in_class(ErrorCode::Unavailable))
}

/// Approves a request by a caller's hand.
pub(crate) fn approve(
    state: &PairingState,
    hand: &Hand<'_>,
    id: &RequestId,
    now_ms: u64,
) -> Result<Decision, Refusal> {
    let request = visible(state, hand, id, now_ms)?;
    if hand.is(&request.device_id) {
        return Err(self_approval(hand));
    }
    if request.role != Role::Operator {
        hand.must_hold(Scope::Admin)?;
    }
    hand.must_cover(&request.scopes)?;
    room_for(state, request)?;
    let via = hand.as_via();
    let known = state.devices.get(&request.device_id);
    let record = record_after(known, request, via.clone(), now_ms);
    Ok(Decision {
        reply: Reply::Approved { request: id.clone(), device: Box::new(record.clone()) },
        events: vec![PairingEvent::Approved {
            request: Some(id.clone()),
            record: Box::new(record),
            role: request.role,
            scopes: request.scopes.clone(),
            reason: request.reason,
            via,
            by: hand.name.clone(),
            at_ms: now_ms,
        }],
    })
}

/// A device asks, and somebody else answers: whatever it holds already.
pub(crate) fn self_approval(hand: &Hand<'_>) -> Refusal {
    Refusal::forbidden(
        "SELF_APPROVAL",
        "pairing.approve",
        "a device cannot approve its own request",
        Remedy::Command(hand.owners_command.clone()),
    )
    .with_log(hand.name.clone())
}

/// A request that waits and that the caller may know of.
pub(crate) fn visible<'s>(
    state: &'s PairingState,
    hand: &Hand<'_>,
    id: &RequestId,
    now_ms: u64,
) -> Result<&'s PendingRequest, Refusal> {
    let request = state.pending.get(id).filter(|request| request.is_live(now_ms));
    request.filter(|request| hand.reaches(&request.device_id)).ok_or_else(unknown_request)
}
