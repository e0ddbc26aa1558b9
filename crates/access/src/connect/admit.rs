//! Whether a device is let in.

use std::collections::BTreeSet;

use hatchery_protocol::{ClientInfo, Role, Scope, Secret};

use super::arrival::{Arrival, ProvenDevice};
use super::credential::{AuthMethod, Credential, credential, known};
use super::denial::Denial;
use super::keyless::admit_keyless;
use super::policy::DoorPolicy;
use crate::pairing::{
    About, ApprovedVia, Ask, FreshToken, NOT_FOR_STRANGERS, NotSilent, PairedDevice, PairingEvent,
    PairingState, Reason, RequestId, approve, node, within,
};
use crate::{Caller, DeviceCaller};

/// What is decided about somebody who connects.
#[derive(Clone, Debug)]
pub enum Admission {
    /// It is let in. The events are to be applied and kept before it is told.
    Admitted(Box<Admitted>),
    /// It has to be approved first. The events are to be applied.
    Pending(Box<PendingAdmission>),
    /// It is not let in, and nothing else changes.
    Refused(Box<Denial>),
}

/// Somebody who is let in.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// As whom, and for what.
    pub caller: Caller,
    /// By what.
    pub method: AuthMethod,
    /// A new token for it to keep.
    pub issued: Option<Issued>,
    /// Whether it was let in by its own token, or showed it beside another proof.
    pub by_device_token: bool,
    /// Whether it was approved just now without anybody being asked.
    pub silent: bool,
    /// The setting by which it needed no pairing.
    pub exempt: Option<&'static str>,
    /// What may be asked of it, where it is a node.
    pub node_commands: BTreeSet<String>,
    /// What happened.
    pub events: Vec<PairingEvent>,
}

/// A token that was just made.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The token.
    pub token: Secret,
    /// When it was made, in milliseconds since 1970.
    pub issued_at_ms: u64,
}

/// Somebody who has to be approved first.
#[derive(Clone, Debug)]
pub struct PendingAdmission {
    /// The refusal.
    pub denial: Denial,
    /// The request that waits.
    pub request: RequestId,
    /// Why it has to.
    pub reason: Reason,
    /// What happened.
    pub events: Vec<PairingEvent>,
}

/// Decides about somebody who connects. `fresh` is used only where it gets a token.
///
/// What is granted is what it asks for, within what is approved for the device in that role.
#[must_use]
pub fn admit_device(
    state: &PairingState,
    arrival: &Arrival<'_>,
    policy: &DoorPolicy,
    fresh: FreshToken,
    now_ms: u64,
) -> Admission {
    let Some(role) = arrival.role() else {
        return Admission::Refused(Box::new(Denial::invalid_role()));
    };
    let Some(device) = &arrival.device else {
        return admit_keyless(arrival, policy, role);
    };
    let shown = match credential(state, arrival, device, role, now_ms) {
        Ok(shown) => shown,
        Err(denial) => return Admission::Refused(denial),
    };
    let connecting = Connecting { state, arrival, policy, device, role, shown, now_ms };
    connecting.decide(fresh)
}

/// A device that has shown something that counts.
struct Connecting<'s, 'a> {
    state: &'s PairingState,
    arrival: &'s Arrival<'a>,
    policy: &'s DoorPolicy,
    device: &'s ProvenDevice,
    role: Role,
    shown: Credential<'s>,
    now_ms: u64,
}

impl Connecting<'_, '_> {
    fn decide(&self, fresh: FreshToken) -> Admission {
        let known = known(self.state, self.device);
        if self.shown.code.is_some() {
            return self.by_setup_code(fresh);
        }
        // A device that asks for nothing in particular means what was approved for it.
        let asked = self
            .arrival
            .asked(self.role)
            .unwrap_or_else(|| known.map(|record| record.ceiling(self.role)).unwrap_or_default());
        let reason = match standing(known, self.role, &asked, &self.arrival.params.client) {
            Ok(record) => return self.admitted(record, &asked, Vec::new(), false, fresh),
            Err(reason) => reason,
        };
        if let Some(rule) = self.exemption() {
            return self.exempted(asked, rule);
        }
        let asked = self.askable(known, asked);
        if let Some(because) = self.not_silent(reason) {
            return self.ask(asked, reason, because);
        }
        let request = self.asking(asked.clone(), reason).request(self.state, self.now_ms);
        self.approved(&request, ApprovedVia::Silent, &asked, Vec::new(), fresh)
    }

    /// What may be asked of the owner. An unknown device that showed no secret cannot put a request
    /// for everything before the owner, wherever it is: once it is approved for less, it can ask
    /// for more.
    fn askable(&self, known: Option<&PairedDevice>, asked: BTreeSet<Scope>) -> BTreeSet<Scope> {
        let showed_nothing = self.shown.method == AuthMethod::None;
        if known.is_some() || !showed_nothing {
            return asked;
        }
        asked.into_iter().filter(|scope| !NOT_FOR_STRANGERS.contains(scope)).collect()
    }

    /// Why somebody has to be asked; `None` where it is the owner by another way, who has not
    /// said otherwise. Whatever somebody took from the device by name (a revoked token, lowered
    /// scopes) is given back by a word only, and so is another role of a device that is known,
    /// where that role is not the operator's. A device that was removed is a stranger like any
    /// other: forgetting it said nothing against it, and the same program could come with a new
    /// key at once.
    fn not_silent(&self, reason: Reason) -> Option<NotSilent> {
        let record = self.state.device(&self.device.id);
        let token = record.and_then(|record| record.tokens.get(&self.role));
        let rules = [
            (self.arrival.origin.is_some(), NotSilent::Page),
            (!self.arrival.is_direct(), NotSilent::Elsewhere),
            (!self.arrival.shared.is_secret(), NotSilent::NoSecret),
            (!self.policy.auto_approve_local, NotSilent::TurnedOff),
            (
                record.is_some_and(|record| record.public_key != self.device.key),
                NotSilent::AnotherKey,
            ),
            (token.is_some_and(|token| !token.is_live()), NotSilent::Revoked),
            (
                token.is_some_and(|token| token.held_down) && reason != Reason::MetadataUpgrade,
                NotSilent::HeldDown,
            ),
            (record.is_some() && self.role != Role::Operator, NotSilent::AnotherRole),
        ];
        rules.into_iter().find_map(|(holds, rule)| holds.then_some(rule))
    }

    /// The setting by which it needs no pairing: for operators, and never against what somebody
    /// has taken from this device by name.
    fn exemption(&self) -> Option<&'static str> {
        let taken = self
            .state
            .device(&self.device.id)
            .and_then(|record| record.tokens.get(&self.role))
            .is_some_and(|token| !token.is_live() || token.held_down);
        if taken || self.role != Role::Operator || self.shown.method == AuthMethod::DeviceToken {
            return None;
        }
        self.policy.exempts(self.arrival)
    }

    fn asking(&self, scopes: BTreeSet<Scope>, reason: Reason) -> Ask {
        Ask {
            device: self.device.id.clone(),
            key: self.device.key.clone(),
            about: About::of(&self.arrival.params.client),
            role: self.role,
            scopes,
            reason,
            because: NotSilent::Live,
            address: self.arrival.address,
            origin: self.arrival.origin.map(str::to_owned),
        }
    }

    fn ask(&self, scopes: BTreeSet<Scope>, reason: Reason, because: NotSilent) -> Admission {
        let ask = Ask { because, ..self.asking(scopes, reason) };
        match ask.put(self.state, self.now_ms) {
            Err(refusal) => Admission::Refused(Box::new(Denial::busy(refusal))),
            Ok((request, events)) => {
                let known = known(self.state, self.device);
                Admission::Pending(Box::new(PendingAdmission {
                    denial: Denial::pairing_required(&request, known, self.arrival),
                    request: request.request_id,
                    reason,
                    events,
                }))
            }
        }
    }

    fn by_setup_code(&self, fresh: FreshToken) -> Admission {
        let Some(code) = self.shown.code else {
            return Admission::Refused(Box::new(Denial::setup_code()));
        };
        let most = match self.role {
            Role::Operator => code.profile.scopes.clone(),
            Role::Node => BTreeSet::new(),
        };
        let asked = self.arrival.asked(self.role).unwrap_or_else(|| most.clone());
        let scopes = within(&asked, &most);
        let record = known(self.state, self.device);
        let used = PairingEvent::SetupCodeUsed {
            hash: code.hash.clone(),
            device: self.device.id.clone(),
            key: self.device.key.clone(),
        };
        let standing = standing(record, self.role, &scopes, &self.arrival.params.client);
        let reason = standing.err().unwrap_or(Reason::ScopeUpgrade);
        let request = self.asking(scopes.clone(), reason).request(self.state, self.now_ms);
        self.approved(&request, ApprovedVia::SetupCode, &scopes, vec![used], fresh)
    }

    fn approved(
        &self,
        request: &crate::pairing::PendingRequest,
        via: ApprovedVia,
        asked: &BTreeSet<Scope>,
        mut events: Vec<PairingEvent>,
        fresh: FreshToken,
    ) -> Admission {
        if let Err(refusal) = approve::room_for(self.state, request) {
            return Admission::Refused(Box::new(Denial::busy(refusal)));
        }
        let silent = via == ApprovedVia::Silent;
        let before = self.state.device(&self.device.id);
        let record = approve::record_after(before, request, via.clone(), self.now_ms);
        // A request of the same device in this role has been answered by this.
        events.extend(self.state.settled(&self.device.id, self.role, self.now_ms));
        events.push(PairingEvent::Approved {
            request: None,
            record: Box::new(record.clone()),
            role: self.role,
            scopes: request.scopes.clone(),
            reason: request.reason,
            via,
            by: client_name(self.arrival),
            at_ms: self.now_ms,
        });
        self.admitted(&record, asked, events, silent, fresh)
    }

    fn admitted(
        &self,
        record: &PairedDevice,
        asked: &BTreeSet<Scope>,
        mut events: Vec<PairingEvent>,
        silent: bool,
        fresh: FreshToken,
    ) -> Admission {
        let granted = within(asked, &record.ceiling(self.role));
        let token = record.live_token(self.role);
        // A device gets its token when there is one to fetch, or when it shows that it has lost
        // it: by another proof and a token that is not the live one, or by its setup code.
        let has_none = token.is_some_and(|token| token.hash.is_none());
        let has_lost = self.shown.has_stale_token || self.shown.code.is_some();
        let issued = (has_none || has_lost).then(|| {
            events.push(PairingEvent::TokenIssued {
                device: record.device_id.clone(),
                role: self.role,
                hash: fresh.hash().clone(),
                at_ms: self.now_ms,
            });
            Issued { token: fresh.into_secret(), issued_at_ms: self.now_ms }
        });
        events.push(PairingEvent::Seen {
            device: record.device_id.clone(),
            role: self.role,
            by_token: self.shown.has_token,
            address: self.arrival.address.to_canonical(),
            at_ms: self.now_ms,
        });
        let mut node_commands = BTreeSet::new();
        if self.role == Role::Node {
            let offered = node::offered(self.arrival.params.commands.as_slice());
            let (id, approved) = (&record.device_id, &record.node_commands);
            events.extend(node::offer(self.state, id, &offered, approved, self.now_ms));
            node_commands = offered.intersection(approved).cloned().collect();
        }
        Admission::Admitted(Box::new(Admitted {
            caller: self.caller(granted),
            method: self.shown.method,
            issued,
            by_device_token: self.shown.has_token,
            silent,
            exempt: None,
            node_commands,
            events,
        }))
    }

    fn exempted(&self, granted: BTreeSet<Scope>, rule: &'static str) -> Admission {
        Admission::Admitted(Box::new(Admitted {
            caller: self.caller(granted),
            method: self.shown.method,
            issued: None,
            by_device_token: false,
            silent: false,
            exempt: Some(rule),
            node_commands: BTreeSet::new(),
            events: Vec::new(),
        }))
    }

    fn caller(&self, scopes: BTreeSet<Scope>) -> Caller {
        Caller::Device(DeviceCaller {
            device: Some(self.device.id.clone()),
            role: self.role,
            scopes,
            client: client_name(self.arrival),
        })
    }
}

/// The device's record, where it covers what is asked; else what has to be approved.
fn standing<'s>(
    known: Option<&'s PairedDevice>,
    role: Role,
    asked: &BTreeSet<Scope>,
    client: &ClientInfo,
) -> Result<&'s PairedDevice, Reason> {
    let record = known.ok_or(Reason::NotPaired)?;
    if record.live_token(role).is_none() {
        return Err(Reason::RoleUpgrade);
    }
    if within(asked, &record.ceiling(role)) != *asked {
        return Err(Reason::ScopeUpgrade);
    }
    let about = About::of(client);
    let family = (record.device_family.as_deref(), about.device_family.as_deref());
    if differs(Some(&record.platform), Some(&about.platform)) || differs(family.0, family.1) {
        return Err(Reason::MetadataUpgrade);
    }
    Ok(record)
}

/// Whether a device says something else of its machine than before. Saying nothing is not saying
/// something else: its programs do not all say as much.
fn differs(pinned: Option<&str>, said: Option<&str>) -> bool {
    let words = |text: Option<&str>| {
        text.map(|text| text.trim().to_ascii_lowercase()).filter(|text| !text.is_empty())
    };
    words(pinned).zip(words(said)).is_some_and(|(pinned, said)| pinned != said)
}

/// How logs and lists name the client: as it names itself, fit to be shown.
pub(crate) fn client_name(arrival: &Arrival<'_>) -> String {
    let about = About::of(&arrival.params.client);
    format!("{}/{}", about.client_id, about.client_mode)
}
