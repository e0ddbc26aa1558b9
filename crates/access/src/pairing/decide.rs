//! Commands about devices: what each does, and who may give it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use hatchery_protocol::{ErrorCode, Role, Scope};

use super::approve::{approve, self_approval, visible};
use super::ask::words;
use super::hand::{Hand, unknown_device, unknown_request};
use super::tokens::{self, Rotation, reached};
use super::{
    About, Ask, Cleared, Command, Decision, Dropped, FreshToken, MAX_SETUP_CODES,
    NOT_FOR_STRANGERS, NodeRequest, NotSilent, PairingEvent, PairingState, Reason, Reply,
    RequestId, SETUP_CODE_TTL_MS, SetupCode, SetupProfile, within,
};
use crate::{Caller, DeviceId, Refusal, Remedy};

impl PairingState {
    /// Decides a command of a caller that a door has let in. The state changes only when the
    /// events are applied.
    ///
    /// # Errors
    /// A [`Refusal`] where the caller may not, or where there is nothing to decide.
    pub fn decide(
        &self,
        caller: &Caller,
        command: Command,
        now_ms: u64,
    ) -> Result<Decision, Refusal> {
        // The two commands of a device about itself need no hand on devices.
        match command {
            Command::RequestUpgrade { scopes, origin, address } => {
                self.request_upgrade(caller, scopes, origin, address, now_ms)
            }
            Command::ClaimUpgrade { request, fresh } => {
                tokens::claim(self, caller, &request, fresh, now_ms)
            }
            command => {
                let hand = Hand::of(caller, owners_command(&command))?;
                self.decide_by_hand(&hand, command, now_ms)
            }
        }
    }

    fn decide_by_hand(
        &self,
        hand: &Hand<'_>,
        command: Command,
        now_ms: u64,
    ) -> Result<Decision, Refusal> {
        match command {
            Command::Approve { request } => approve(self, hand, &request, now_ms),
            Command::Reject { request } => {
                let device = visible(self, hand, &request, now_ms)?.device_id.clone();
                let event = dropped(&request, &device, Dropped::Rejected, hand, now_ms);
                Ok(Decision { events: vec![event], reply: Reply::Rejected { request, device } })
            }
            Command::Remove { device } => {
                reached(self, hand, &device)?;
                let mut events = self.dropping(hand, now_ms, |one| one.device_id == device);
                events.push(removed(&device, hand, now_ms));
                Ok(Decision { events, reply: Reply::Changed { device } })
            }
            Command::Rename { device, label } => {
                reached(self, hand, &device)?;
                let label = label.as_deref().and_then(words);
                let by = hand.name.clone();
                let events = vec![PairingEvent::Renamed { device: device.clone(), label, by }];
                Ok(Decision { events, reply: Reply::Changed { device } })
            }
            Command::Rotate { device, role, scopes, fresh, by_own_token, reveal } => {
                let rotation = Rotation { device, role, scopes, fresh, by_own_token, reveal };
                tokens::rotate(self, hand, rotation, now_ms)
            }
            Command::Revoke { device, role } => {
                // What it asked before was asked of somebody who had not said no.
                let asks =
                    self.dropping(hand, now_ms, |one| one.device_id == device && one.role == role);
                let mut decision = tokens::revoke(self, hand, device, role, now_ms)?;
                if !decision.events.is_empty() {
                    decision.events.splice(0..0, asks);
                }
                Ok(decision)
            }
            Command::Clear(cleared) => self.clear(hand, cleared, now_ms),
            Command::IssueSetupCode { profile, fresh } => {
                self.issue_setup_code(hand, profile, fresh, now_ms)
            }
            Command::ApproveNode { request } => self.approve_node(hand, request, now_ms),
            Command::RejectNode { request } => {
                let device = self.node_request(hand, &request, now_ms)?.device_id.clone();
                let by = hand.name.clone();
                let event = PairingEvent::NodeDropped {
                    request: request.clone(),
                    device: device.clone(),
                    by,
                    at_ms: now_ms,
                };
                Ok(Decision { events: vec![event], reply: Reply::Rejected { request, device } })
            }
            Command::RemoveNode { device } => {
                reached(self, hand, &device)?;
                let event = PairingEvent::NodeDecided {
                    request: None,
                    device: device.clone(),
                    commands: BTreeSet::new(),
                    by: hand.name.clone(),
                    at_ms: now_ms,
                };
                Ok(Decision { events: vec![event], reply: Reply::Changed { device } })
            }
            // Taken by `decide` before a hand was asked for.
            Command::RequestUpgrade { .. } | Command::ClaimUpgrade { .. } => Err(unknown_request()),
        }
    }

    fn clear(&self, hand: &Hand<'_>, what: Cleared, now_ms: u64) -> Result<Decision, Refusal> {
        let mut events = self.dropping(hand, now_ms, |one| hand.reaches(&one.device_id));
        let requests = events.len();
        let mut devices = 0;
        if what == Cleared::Everything {
            hand.must_hold(Scope::Admin)?;
            events.extend(self.devices.keys().map(|device| removed(device, hand, now_ms)));
            devices = self.devices.len();
            events.push(PairingEvent::SetupCodesCleared { by: hand.name.clone() });
        }
        Ok(Decision { events, reply: Reply::Cleared { devices, requests } })
    }

    fn issue_setup_code(
        &self,
        hand: &Hand<'_>,
        profile: SetupProfile,
        fresh: FreshToken,
        now_ms: u64,
    ) -> Result<Decision, Refusal> {
        hand.must_hold(Scope::Admin)?;
        if let Some(scope) = NOT_FOR_STRANGERS.into_iter().find(|s| profile.scopes.contains(s)) {
            return Err(Refusal::forbidden(
                "SETUP_CODE_TOO_WIDE",
                "pairing.setupCode",
                format!("a setup code never gives {scope}"),
                Remedy::Advice("let the device ask for it and approve that".to_owned()),
            )
            .in_class(ErrorCode::InvalidRequest));
        }
        let good = self.setup_codes.values().filter(|code| now_ms < code.expires_at_ms).count();
        if good >= MAX_SETUP_CODES {
            return Err(Refusal::forbidden(
                "TOO_MANY_SETUP_CODES",
                "pairing.setupCode",
                format!("{MAX_SETUP_CODES} setup codes are good already"),
                Remedy::Advice("wait until one has lapsed, ten minutes at most".to_owned()),
            )
            .in_class(ErrorCode::Unavailable));
        }
        let code = SetupCode {
            hash: fresh.hash().clone(),
            profile: profile.clone(),
            made_by: hand.name.clone(),
            expires_at_ms: now_ms.saturating_add(SETUP_CODE_TTL_MS),
            bound_to: None,
        };
        Ok(Decision {
            reply: Reply::SetupCode {
                secret: fresh.into_secret(),
                profile,
                expires_at_ms: code.expires_at_ms,
            },
            events: vec![PairingEvent::SetupCodeIssued { code: Box::new(code) }],
        })
    }

    fn request_upgrade(
        &self,
        caller: &Caller,
        scopes: BTreeSet<Scope>,
        origin: Option<String>,
        address: IpAddr,
        now_ms: u64,
    ) -> Result<Decision, Refusal> {
        let known = caller.device().and_then(|device| self.devices.get(device));
        let record =
            known.filter(|_| caller.role() == Role::Operator).ok_or_else(unknown_device)?;
        if record.live_token(Role::Operator).is_none() {
            return Err(unknown_device());
        }
        let ask = Ask {
            device: record.device_id.clone(),
            key: record.public_key.clone(),
            about: About {
                display_name: record.display_name.clone(),
                platform: record.platform.clone(),
                device_family: record.device_family.clone(),
                client_id: record.client_id.clone(),
                client_mode: record.client_mode.clone(),
            },
            role: Role::Operator,
            scopes,
            reason: Reason::ScopeUpgrade,
            because: NotSilent::Live,
            address,
            origin,
        };
        if ask.scopes == within(&ask.scopes, &record.ceiling(Role::Operator)) {
            let request = ask.request(self, now_ms).request_id;
            let event = PairingEvent::WithinApproval {
                request: request.clone(),
                device: record.device_id.clone(),
                at_ms: now_ms,
            };
            return Ok(Decision { events: vec![event], reply: Reply::UpgradeAsked { request } });
        }
        let (request, events) = ask.put(self, now_ms)?;
        Ok(Decision { events, reply: Reply::UpgradeAsked { request: request.request_id } })
    }

    fn approve_node(
        &self,
        hand: &Hand<'_>,
        request: RequestId,
        now_ms: u64,
    ) -> Result<Decision, Refusal> {
        let asked = self.node_request(hand, &request, now_ms)?;
        if hand.is(&asked.device_id) {
            return Err(self_approval(hand));
        }
        hand.must_cover(&asked.needs())?;
        let record = reached(self, hand, &asked.device_id)?;
        let mut after = record.clone();
        after.node_commands.clone_from(&asked.commands);
        Ok(Decision {
            events: vec![PairingEvent::NodeDecided {
                request: Some(request.clone()),
                device: asked.device_id.clone(),
                commands: asked.commands.clone(),
                by: hand.name.clone(),
                at_ms: now_ms,
            }],
            reply: Reply::NodeApproved { request, device: Box::new(after) },
        })
    }

    fn node_request(
        &self,
        hand: &Hand<'_>,
        id: &RequestId,
        now_ms: u64,
    ) -> Result<&NodeRequest, Refusal> {
        let found = self.node_requests(now_ms).find(|one| one.request_id == *id);
        found.filter(|one| hand.reaches(&one.device_id)).ok_or_else(unknown_request)
    }

    fn dropping(
        &self,
        hand: &Hand<'_>,
        now_ms: u64,
        which: impl Fn(&super::PendingRequest) -> bool,
    ) -> Vec<PairingEvent> {
        let chosen = self.pending.values().filter(|one| which(one));
        chosen
            .map(|one| dropped(&one.request_id, &one.device_id, Dropped::Cleared, hand, now_ms))
            .collect()
    }
}

/// The command by which the owner does the same on the gateway's machine.
fn owners_command(command: &Command) -> String {
    match command {
        Command::Approve { request } => format!("hatchery devices approve {request}"),
        Command::Reject { request } => format!("hatchery devices reject {request}"),
        Command::Remove { device } => format!("hatchery devices remove {device}"),
        Command::Rename { device, .. } => format!("hatchery devices rename {device}"),
        Command::Rotate { device, role, .. } => {
            format!("hatchery devices rotate {device} --role {role}")
        }
        Command::Revoke { device, role } => {
            format!("hatchery devices revoke {device} --role {role}")
        }
        Command::Clear(Cleared::Pending) => "hatchery devices clear --pending".to_owned(),
        Command::Clear(Cleared::Everything) => "hatchery devices clear".to_owned(),
        Command::IssueSetupCode { .. } => "hatchery pair".to_owned(),
        Command::ApproveNode { request } => format!("hatchery nodes approve {request}"),
        Command::RejectNode { request } => format!("hatchery nodes reject {request}"),
        Command::RemoveNode { device } => format!("hatchery nodes remove {device}"),
        Command::RequestUpgrade { .. } | Command::ClaimUpgrade { .. } => {
            "hatchery devices list".to_owned()
        }
    }
}

fn dropped(
    request: &RequestId,
    device: &DeviceId,
    because: Dropped,
    hand: &Hand<'_>,
    at_ms: u64,
) -> PairingEvent {
    let by = hand.name.clone();
    PairingEvent::Dropped { request: request.clone(), device: device.clone(), because, by, at_ms }
}

fn removed(device: &DeviceId, hand: &Hand<'_>, at_ms: u64) -> PairingEvent {
    PairingEvent::Removed { device: device.clone(), by: hand.name.clone(), at_ms }
}
