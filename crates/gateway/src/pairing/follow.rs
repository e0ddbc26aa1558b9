//! What follows from a decision about devices: connections end, others are told, evidence is kept.

use std::collections::BTreeSet;

use hatchery_access::DeviceId;
use hatchery_access::pairing::{Disconnect, Dropped, PairingEvent};
use hatchery_protocol::{Role, Scope, event};
use hatchery_store::AuditEvent;
use serde_json::json;

use super::PairingService;
use crate::clock::now_ms;
use crate::hub::{Audience, ConnectionId};

impl PairingService {
    /// What takes something away waits for nothing.
    pub(super) fn follow_at_once(&self, events: &[PairingEvent], own: Option<ConnectionId>) {
        for Disconnect { device, role, reason } in
            events.iter().filter_map(PairingEvent::disconnects)
        {
            let closed = self.hub.disconnect(&device, role, reason, own);
            let stopped = self.supervisor.stop_runs_of(&device);
            tracing::info!(%device, reason, closed, stopped, "a device lost what it had");
        }
        for event in events {
            match event {
                PairingEvent::SetupCodeIssued { code } => self.setups().issued(code, now_ms()),
                PairingEvent::SetupCodeUsed { hash, device, .. } => {
                    self.setups().used(hash, device, now_ms())
                }
                PairingEvent::SetupCodesCleared { .. } => self.setups().cleared(),
                _ => {}
            }
        }
    }

    /// The rest, once it is as durable as it gets.
    pub(super) fn follow(&self, events: &[PairingEvent], durable: bool) {
        for event in events {
            self.announce(event);
            if let Some(entry) = evidence(event, durable) {
                self.supervisor.audit(entry);
            }
        }
        if !events.is_empty() {
            self.changes.send_modify(|count| *count += 1);
        }
    }

    /// Tells those who may decide about devices.
    fn announce(&self, happened: &PairingEvent) {
        let resolved = |request, device: &DeviceId, decision, ts: u64| {
            let payload = json!({
                "requestId": request, "deviceId": device, "decision": decision, "ts": ts,
            });
            (event::DEVICE_PAIR_RESOLVED, payload)
        };
        let (name, payload) = match happened {
            PairingEvent::Requested { request, again: false } => {
                (event::DEVICE_PAIR_REQUESTED, request.announcement())
            }
            PairingEvent::Approved { request: Some(request), record, at_ms, .. } => {
                resolved(request, &record.device_id, "approved", *at_ms)
            }
            PairingEvent::Dropped {
                request,
                device,
                because: Dropped::Rejected | Dropped::Superseded | Dropped::Cleared,
                at_ms,
                ..
            } => resolved(request, device, "rejected", *at_ms),
            PairingEvent::NodeAsked { request, again: false } => {
                (event::NODE_PAIR_REQUESTED, request.view())
            }
            PairingEvent::NodeDecided { request: Some(request), device, at_ms, .. } => {
                let payload = json!({
                    "requestId": request, "nodeId": device, "decision": "approved", "ts": at_ms,
                });
                (event::NODE_PAIR_RESOLVED, payload)
            }
            PairingEvent::NodeDropped { request, device, at_ms, .. } => {
                let payload = json!({
                    "requestId": request, "nodeId": device, "decision": "rejected", "ts": at_ms,
                });
                (event::NODE_PAIR_RESOLVED, payload)
            }
            _ => return,
        };
        self.hub.tell(&Audience::Holding(Scope::Pairing), name, payload);
    }
}

/// The entry an event leaves in the journal. What a device can cause by asking over and over
/// leaves none; it is counted where its refusals are.
fn evidence(happened: &PairingEvent, durable: bool) -> Option<AuditEvent> {
    let mut entry = Evidence::default();
    let (change, by) = match happened {
        PairingEvent::Approved { request, record, role, scopes, via, by, .. } => {
            entry.request = request.as_ref().map(ToString::to_string);
            entry = entry.about(&record.device_id).with(Some(*role), scopes);
            let change = match via.as_str() {
                "silent" => "approved silently".to_owned(),
                "setup-code" => "approved by a setup code".to_owned(),
                _ => "approved".to_owned(),
            };
            (change, by.clone())
        }
        PairingEvent::Dropped { request, device, because, by, .. } => {
            let change = match because {
                Dropped::Rejected => "rejected",
                Dropped::Cleared => "request cleared",
                Dropped::Superseded | Dropped::Crowded | Dropped::Expired => return None,
            };
            entry.request = Some(request.to_string());
            entry = entry.about(device);
            (change.to_owned(), by.clone())
        }
        PairingEvent::Removed { device, by, .. } => {
            entry = entry.about(device);
            ("removed".to_owned(), by.clone())
        }
        PairingEvent::Renamed { device, label, by } => {
            entry = entry.about(device);
            let change = match label {
                Some(label) => format!("renamed to '{label}'"),
                None => "name taken away".to_owned(),
            };
            (change, by.clone())
        }
        PairingEvent::TokenIssued { device, role, .. } => {
            entry = entry.about(device).with(Some(*role), &BTreeSet::new());
            ("token issued".to_owned(), "the gateway".to_owned())
        }
        PairingEvent::TokenRotated { device, role, scopes, by, .. } => {
            entry = entry.about(device).with(Some(*role), scopes);
            ("token rotated".to_owned(), by.clone())
        }
        PairingEvent::TokenRevoked { device, role, by, .. } => {
            entry = entry.about(device).with(Some(*role), &BTreeSet::new());
            ("token revoked".to_owned(), by.clone())
        }
        PairingEvent::SetupCodeIssued { code } => {
            entry = entry.with(None, &code.profile.scopes);
            ("setup code made".to_owned(), code.made_by.clone())
        }
        PairingEvent::SetupCodeUsed { device, .. } => {
            entry = entry.about(device);
            ("setup code used".to_owned(), "the device".to_owned())
        }
        PairingEvent::SetupCodesCleared { by } => ("setup codes voided".to_owned(), by.clone()),
        PairingEvent::NodeDecided { request, device, commands, by, .. } => {
            entry.request = request.as_ref().map(ToString::to_string);
            entry = entry.about(device).with(Some(Role::Node), &BTreeSet::new());
            let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
            let change = if commands.is_empty() {
                "node commands taken back".to_owned()
            } else {
                format!("node commands approved: {}", commands.join(" "))
            };
            (change, by.clone())
        }
        PairingEvent::NodeDropped { request, device, by, .. } => {
            entry.request = Some(request.to_string());
            entry = entry.about(device);
            ("node commands rejected".to_owned(), by.clone())
        }
        PairingEvent::Requested { .. }
        | PairingEvent::WithinApproval { .. }
        | PairingEvent::Seen { .. }
        | PairingEvent::NodeAsked { .. } => return None,
    };
    let Evidence { device, request, role, scopes } = entry;
    Some(AuditEvent::PairingChanged { change, device, request, role, scopes, by, durable })
}

/// What an entry is about.
#[derive(Default)]
struct Evidence {
    device: Option<String>,
    request: Option<String>,
    role: Option<String>,
    scopes: Vec<String>,
}

impl Evidence {
    fn about(self, device: &DeviceId) -> Self {
        Self { device: Some(device.to_string()), ..self }
    }

    fn with(self, role: Option<Role>, scopes: &BTreeSet<Scope>) -> Self {
        let scopes = scopes.iter().map(ToString::to_string).collect();
        Self { role: role.map(|role| role.to_string()), scopes, ..self }
    }
}
