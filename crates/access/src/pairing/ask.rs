//! Asking to be let in: how a request is named, refreshed, superseded and bounded.

use std::collections::BTreeSet;
use std::net::IpAddr;

use hatchery_protocol::{ClientInfo, ErrorCode, Role, Scope};

use super::pending::same_source;
use super::{
    About, Dropped, MAX_PENDING, MAX_PENDING_PER_SOURCE, NotSilent, PairingEvent, PairingState,
    PendingRequest, PublicKey, Reason, RequestId,
};
use crate::{DeviceId, Refusal, Remedy};

/// How much is kept of each thing a device says of itself, in characters.
const MAX_WORDS: usize = 96;

/// What a device asks, once it has proved to hold its key.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) device: DeviceId,
    pub(crate) key: PublicKey,
    pub(crate) about: About,
    pub(crate) role: Role,
    pub(crate) scopes: BTreeSet<Scope>,
    pub(crate) reason: Reason,
    pub(crate) because: NotSilent,
    pub(crate) address: IpAddr,
    pub(crate) origin: Option<String>,
}

impl About {
    /// What a client says of itself, cut to length and without control characters.
    #[must_use]
    pub fn of(client: &ClientInfo) -> Self {
        Self {
            display_name: client.display_name.as_deref().and_then(words),
            platform: words(&client.platform).unwrap_or_default(),
            device_family: client.device_family.as_deref().and_then(words),
            client_id: words(&client.id).unwrap_or_default(),
            client_mode: words(&client.mode).unwrap_or_default(),
        }
    }
}

/// Text that can be shown in a terminal and kept: `None` where nothing is left.
pub(crate) fn words(text: &str) -> Option<String> {
    let is_plain = |c: &char| !c.is_control() && !is_invisible(*c);
    let cut: String = text.chars().filter(is_plain).take(MAX_WORDS).collect();
    let cut = cut.trim();
    (!cut.is_empty()).then(|| cut.to_owned())
}

/// Characters that change how the text around them is shown.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

impl Ask {
    /// The request this is, with the name that the same ask always has.
    pub(crate) fn request(&self, state: &PairingState, now_ms: u64) -> PendingRequest {
        let scopes: Vec<&str> = self.scopes.iter().map(|scope| scope.as_str()).collect();
        let parts = [
            self.device.as_str(),
            self.key.as_str(),
            self.role.as_str(),
            &scopes.join(","),
            self.reason.as_str(),
        ];
        let request_id = RequestId::derive(&state.install_key, "device", &parts);
        let known = state.pending.get(&request_id).filter(|known| known.is_live(now_ms));
        PendingRequest {
            request_id,
            device_id: self.device.clone(),
            public_key: self.key.clone(),
            about: self.about.clone(),
            role: self.role,
            scopes: self.scopes.clone(),
            reason: self.reason,
            because: self.because,
            remote_ip: self.address.to_canonical(),
            browser_origin: self.origin.as_deref().and_then(words),
            is_repair: state.devices.contains_key(&self.device),
            created_at_ms: known.map_or(now_ms, |known| known.created_at_ms),
            asked_at_ms: now_ms,
        }
    }

    /// What asking does: the request is there, for five minutes from now; what the device asked
    /// before in this role is there no more; and of a source that asks for too many the oldest
    /// is not. Requests of others are never pushed out.
    ///
    /// # Errors
    /// A [`Refusal`] where so many wait that there is no room.
    pub(crate) fn put(
        &self,
        state: &PairingState,
        now_ms: u64,
    ) -> Result<(PendingRequest, Vec<PairingEvent>), Refusal> {
        let request = self.request(state, now_ms);
        let mut events = Vec::new();
        let mut staying = Vec::new();
        let drop = |one: &PendingRequest, because| PairingEvent::Dropped {
            request: one.request_id.clone(),
            device: one.device_id.clone(),
            because,
            by: "the gateway".to_owned(),
            at_ms: now_ms,
        };
        for one in state.pending.values().filter(|one| one.request_id != request.request_id) {
            if !one.is_live(now_ms) {
                events.push(drop(one, Dropped::Expired));
            } else if one.device_id == request.device_id && one.role == request.role {
                events.push(drop(one, Dropped::Superseded));
            } else {
                staying.push(one);
            }
        }
        let again = state.pending.get(&request.request_id).is_some_and(|one| one.is_live(now_ms));
        let mut own: Vec<&PendingRequest> = staying
            .iter()
            .copied()
            .filter(|one| same_source(one.remote_ip, request.remote_ip))
            .collect();
        own.sort_by_key(|one| std::cmp::Reverse(one.asked_at_ms));
        let mut count = staying.len();
        while own.len() >= MAX_PENDING_PER_SOURCE
            && let Some(oldest) = own.pop()
        {
            events.push(drop(oldest, Dropped::Crowded));
            count -= 1;
        }
        if count >= MAX_PENDING
            && let Some(oldest) = own.pop()
        {
            events.push(drop(oldest, Dropped::Crowded));
            count -= 1;
        }
        // Loopback's few always have room: strangers cannot keep the owner's programs from asking.
        if count >= MAX_PENDING && !request.remote_ip.is_loopback() {
            return Err(Refusal::forbidden(
                "PAIRING_BUSY",
                "pairing.pending",
                format!("{MAX_PENDING} devices already wait to be approved"),
                Remedy::Command("hatchery devices clear --pending".to_owned()),
            )
            .in_class(ErrorCode::Unavailable));
        }
        events.push(PairingEvent::Requested { request: Box::new(request.clone()), again });
        Ok((request, events))
    }
}
