//! What is known of devices, as a fold over events.

use std::collections::BTreeMap;

use hatchery_protocol::{Role, Secret};

use super::pending::PENDING_TTL_MS;
use super::{
    DeviceToken, Dropped, NodeRequest, PairedDevice, PairingEvent, PendingRequest, PublicKey,
    RequestId, SETUP_CODE_TTL_MS, SetupCode, TokenHash,
};
use crate::{Caller, DeviceCaller, DeviceId};

/// How many devices are let in at most.
pub const MAX_PAIRED: usize = 10_000;

/// How many decided requests are remembered, for those who wait for the word.
pub const MAX_OUTCOMES: usize = 256;

/// How many of them are of one device.
pub const MAX_OUTCOMES_PER_DEVICE: usize = 8;

/// Which devices there are, and who asks to be one.
#[derive(Clone, Debug)]
pub struct PairingState {
    pub(crate) install_key: [u8; 32],
    pub(crate) devices: BTreeMap<DeviceId, PairedDevice>,
    pub(crate) pending: BTreeMap<RequestId, PendingRequest>,
    pub(crate) node_requests: BTreeMap<DeviceId, NodeRequest>,
    pub(crate) setup_codes: BTreeMap<TokenHash, SetupCode>,
    pub(crate) outcomes: BTreeMap<RequestId, Decided>,
}

/// How a request stands, for whoever made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nobody has decided it.
    Waiting,
    /// The device may have what it asked for.
    Approved,
    /// It may not.
    Rejected,
    /// It waits no more, and nobody decided it.
    Expired,
}

/// A request that was decided.
#[derive(Clone, Debug)]
pub(crate) struct Decided {
    pub(crate) device: DeviceId,
    pub(crate) approved: bool,
    pub(crate) at_ms: u64,
}

impl PairingState {
    /// The state of a gateway whose store knows these devices. The key is the gateway's own and
    /// stays the same over restarts: with it requests get their names.
    #[must_use]
    pub fn new(install_key: [u8; 32], devices: impl IntoIterator<Item = PairedDevice>) -> Self {
        Self {
            install_key,
            devices: devices.into_iter().map(|one| (one.device_id.clone(), one)).collect(),
            pending: BTreeMap::new(),
            node_requests: BTreeMap::new(),
            setup_codes: BTreeMap::new(),
            outcomes: BTreeMap::new(),
        }
    }

    /// A device, where it is known.
    #[must_use]
    pub fn device(&self, id: &DeviceId) -> Option<&PairedDevice> {
        self.devices.get(id)
    }

    /// Every device.
    pub fn devices(&self) -> impl Iterator<Item = &PairedDevice> {
        self.devices.values()
    }

    /// The requests that wait.
    pub fn pending(&self, now_ms: u64) -> impl Iterator<Item = &PendingRequest> {
        self.pending.values().filter(move |request| request.is_live(now_ms))
    }

    /// The nodes whose offers wait.
    pub fn node_requests(&self, now_ms: u64) -> impl Iterator<Item = &NodeRequest> {
        self.node_requests.values().filter(move |request| request.is_live(now_ms))
    }

    /// Whether a caller may see what concerns a device. Without admin a device sees itself only,
    /// and a run sees none.
    #[must_use]
    pub fn shows(&self, caller: &Caller, device: &DeviceId) -> bool {
        super::hand::Hand::of(caller, String::new()).is_ok_and(|hand| hand.reaches(device))
    }

    /// Whether what a connection was let in with still stands: for the moment between the
    /// decision and the list of those who are closed when it changes. A caller who was let in by a
    /// setting alone has nothing that could have been taken, unless it was taken by name.
    #[must_use]
    pub fn upholds(&self, caller: &Caller, exempt: bool) -> bool {
        let Caller::Device(DeviceCaller { device: Some(device), role, scopes, .. }) = caller else {
            return true;
        };
        let record = self.devices.get(device);
        if exempt {
            let token = record.and_then(|record| record.tokens.get(role));
            return token.is_none_or(DeviceToken::is_live);
        }
        record.is_some_and(|record| {
            let is_open = record.live_token(*role).is_some();
            is_open && super::within(scopes, &record.ceiling(*role)) == *scopes
        })
    }

    /// How a request stands, for the device that made it.
    #[must_use]
    pub fn outcome(&self, device: &DeviceId, request: &RequestId, now_ms: u64) -> Outcome {
        let waits = |one: &PendingRequest| one.device_id == *device && one.is_live(now_ms);
        if self.pending.get(request).is_some_and(waits) {
            return Outcome::Waiting;
        }
        let lasts = |one: &&Decided| {
            one.device == *device && now_ms < one.at_ms.saturating_add(PENDING_TTL_MS)
        };
        match self.outcomes.get(request).filter(lasts) {
            Some(Decided { approved: true, .. }) => Outcome::Approved,
            Some(Decided { approved: false, .. }) => Outcome::Rejected,
            None => Outcome::Expired,
        }
    }

    /// The setup code with that secret, where it is good for the device now. Codes are found by
    /// their hash, so that how long it takes says nothing of their secrets.
    pub(crate) fn setup_code(
        &self,
        secret: &Secret,
        device: &DeviceId,
        key: &PublicKey,
        now_ms: u64,
    ) -> Option<&SetupCode> {
        let code = self.setup_codes.get(&TokenHash::of(secret));
        code.filter(|code| code.is_good_for(device, key, now_ms))
    }

    /// The events that end a device's requests in a role, because it was let in another way.
    pub(crate) fn settled(
        &self,
        device: &DeviceId,
        role: Role,
        now_ms: u64,
    ) -> impl Iterator<Item = PairingEvent> {
        let own =
            self.pending.values().filter(move |one| one.device_id == *device && one.role == role);
        own.map(move |one| PairingEvent::Dropped {
            request: one.request_id.clone(),
            device: device.clone(),
            because: Dropped::Superseded,
            by: "the gateway".to_owned(),
            at_ms: now_ms,
        })
    }

    /// Takes in what happened.
    pub fn apply(&mut self, event: &PairingEvent) {
        match event {
            PairingEvent::Requested { request, .. } => {
                self.outcomes.remove(&request.request_id);
                self.pending.insert(request.request_id.clone(), (**request).clone());
            }
            PairingEvent::Dropped { request, device, because, at_ms, .. } => {
                self.pending.remove(request);
                match because {
                    Dropped::Rejected | Dropped::Superseded | Dropped::Cleared => {
                        self.remember(request, device, false, *at_ms);
                    }
                    Dropped::Crowded | Dropped::Expired => {}
                }
            }
            PairingEvent::Approved { request, record, at_ms, .. } => {
                if let Some(request) = request {
                    self.pending.remove(request);
                    self.remember(request, &record.device_id, true, *at_ms);
                }
                self.devices.insert(record.device_id.clone(), (**record).clone());
            }
            PairingEvent::WithinApproval { request, device, at_ms } => {
                self.remember(request, device, true, *at_ms);
            }
            PairingEvent::Removed { device, .. } => {
                self.devices.remove(device);
                self.node_requests.remove(device);
                self.drop_codes_of(device);
                self.outcomes.retain(|_, decided| decided.device != *device);
            }
            PairingEvent::SetupCodeIssued { code } => {
                // Those that lapsed before this one was made.
                let made_at_ms = code.expires_at_ms.saturating_sub(SETUP_CODE_TTL_MS);
                self.setup_codes.retain(|_, old| made_at_ms < old.expires_at_ms);
                self.setup_codes.insert(code.hash.clone(), (**code).clone());
            }
            PairingEvent::SetupCodeUsed { hash, device, key } => {
                if let Some(code) = self.setup_codes.get_mut(hash) {
                    code.bound_to = Some((device.clone(), key.clone()));
                }
            }
            PairingEvent::SetupCodesCleared { .. } => self.setup_codes.clear(),
            PairingEvent::NodeAsked { request, .. } => {
                self.node_requests.insert(request.device_id.clone(), (**request).clone());
            }
            PairingEvent::NodeDropped { device, .. } => {
                self.node_requests.remove(device);
            }
            PairingEvent::NodeDecided { device, commands, .. } => {
                self.node_requests.remove(device);
                self.change(device, |record| record.node_commands.clone_from(commands));
            }
            PairingEvent::Renamed { device, label, .. } => {
                self.change(device, |record| record.operator_label.clone_from(label));
            }
            PairingEvent::TokenIssued { .. }
            | PairingEvent::TokenRotated { .. }
            | PairingEvent::TokenRevoked { .. }
            | PairingEvent::Seen { .. } => self.apply_to_token(event),
        }
    }

    fn apply_to_token(&mut self, event: &PairingEvent) {
        match event {
            PairingEvent::TokenIssued { device, role, hash, at_ms } => {
                self.change(device, |record| {
                    if let Some(token) = record.tokens.get_mut(role) {
                        if token.hash.is_some() {
                            token.rotated_at_ms = Some(*at_ms);
                        }
                        token.hash = Some(hash.clone());
                        token.last_used_at_ms = None;
                    }
                });
                // The word has come and the token with it: it is fetched once.
                self.outcomes.retain(|_, one| one.device != *device || !one.approved);
            }
            PairingEvent::TokenRotated { device, role, hash, scopes, held_down, at_ms, .. } => {
                self.change(device, |record| {
                    if let Some(token) = record.tokens.get_mut(role) {
                        token.hash.clone_from(hash);
                        token.scopes.clone_from(scopes);
                        token.held_down = *held_down;
                        token.rotated_at_ms = Some(*at_ms);
                        token.last_used_at_ms = None;
                    }
                });
                self.drop_codes_of(device);
            }
            PairingEvent::TokenRevoked { device, role, at_ms, .. } => {
                self.change(device, |record| {
                    if let Some(token) = record.tokens.get_mut(role) {
                        token.hash = None;
                        token.revoked_at_ms = Some(*at_ms);
                    }
                });
                // What was approved and not yet fetched is void as well.
                self.outcomes.retain(|_, decided| decided.device != *device);
                self.drop_codes_of(device);
            }
            PairingEvent::Seen { device, role, by_token, address, at_ms } => {
                self.change(device, |record| {
                    record.last_seen_at_ms = Some(*at_ms);
                    record.remote_ip = Some(*address);
                    if let Some(token) = record.tokens.get_mut(role)
                        && *by_token
                    {
                        token.last_used_at_ms = Some(*at_ms);
                    }
                });
                if *by_token {
                    // The device has its token, so the code that got it has done its work.
                    self.drop_codes_of(device);
                }
            }
            _ => {}
        }
    }

    /// Makes void the codes that a device has used and could use again.
    fn drop_codes_of(&mut self, device: &DeviceId) {
        self.setup_codes
            .retain(|_, code| code.bound_to.as_ref().is_none_or(|(bound, _)| bound != device));
    }

    fn change(&mut self, device: &DeviceId, change: impl FnOnce(&mut PairedDevice)) {
        if let Some(record) = self.devices.get_mut(device) {
            change(record);
        }
    }

    fn remember(&mut self, request: &RequestId, device: &DeviceId, approved: bool, at_ms: u64) {
        // Whoever asks often forgets its own first.
        let own = self.outcomes.values().filter(|one| one.device == *device).count();
        let crowds = own >= MAX_OUTCOMES_PER_DEVICE;
        if crowds || self.outcomes.len() >= MAX_OUTCOMES {
            let old = self.outcomes.iter().filter(|(_, one)| !crowds || one.device == *device);
            let oldest = old.min_by_key(|(_, one)| one.at_ms);
            if let Some(oldest) = oldest.map(|(id, _)| id.clone()) {
                self.outcomes.remove(&oldest);
            }
        }
        self.outcomes.insert(request.clone(), Decided { device: device.clone(), approved, at_ms });
    }
}
