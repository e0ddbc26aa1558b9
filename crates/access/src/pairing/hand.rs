//! Whose hand is on the devices: what a caller may see and decide.

use std::collections::BTreeSet;

use hatchery_protocol::{ErrorCode, Scope};

use super::ApprovedVia;
use super::paired::covered;
use crate::{Caller, DeviceId, Refusal, Remedy};

/// A caller that may decide about devices.
pub(crate) struct Hand<'a> {
    kind: Kind<'a>,
    scopes: BTreeSet<Scope>,
    /// How the journal names it.
    pub(crate) name: String,
    /// The command by which the owner does what the caller wants.
    pub(crate) owners_command: String,
}

enum Kind<'a> {
    Owner,
    Device(&'a DeviceId),
    Secret,
}

impl<'a> Hand<'a> {
    /// The caller's hand, where it holds the pairing scope. A run never has one: what an agent
    /// reads must not be able to let anybody in.
    pub(crate) fn of(caller: &'a Caller, owners_command: String) -> Result<Self, Refusal> {
        let kind = match caller {
            Caller::Owner => Kind::Owner,
            Caller::Run(_) => {
                return Err(Refusal::forbidden(
                    "RUN_MAY_NOT_PAIR",
                    "pairing.runs",
                    "a run never decides about devices",
                    Remedy::Command(owners_command),
                )
                .with_log(caller.describe()));
            }
            Caller::Device(device) => device.device.as_ref().map_or(Kind::Secret, Kind::Device),
        };
        let scopes: BTreeSet<Scope> = caller.scopes().collect();
        let hand = Self { kind, scopes, name: caller.describe(), owners_command };
        hand.must_hold(Scope::Pairing)?;
        Ok(hand)
    }

    /// Whether it may see and decide what concerns a device. A device without admin reaches
    /// itself only.
    pub(crate) fn reaches(&self, device: &DeviceId) -> bool {
        match self.kind {
            Kind::Owner | Kind::Secret => true,
            Kind::Device(own) => own == device || self.is_admin(),
        }
    }

    /// Whether it is that device itself.
    pub(crate) fn is(&self, device: &DeviceId) -> bool {
        matches!(self.kind, Kind::Device(own) if own == device)
    }

    /// Whether it is the owner.
    pub(crate) fn is_owner(&self) -> bool {
        matches!(self.kind, Kind::Owner)
    }

    /// Whether it may do everything.
    pub(crate) fn is_admin(&self) -> bool {
        self.holds(Scope::Admin)
    }

    /// Whether one of its scopes is enough.
    pub(crate) fn holds(&self, scope: Scope) -> bool {
        self.is_owner() || covered(scope, &self.scopes)
    }

    /// Refuses where none is.
    pub(crate) fn must_hold(&self, scope: Scope) -> Result<(), Refusal> {
        if self.holds(scope) {
            return Ok(());
        }
        Err(Refusal::forbidden(
            "MISSING_SCOPE",
            scope.as_str(),
            format!("missing scope: {scope}"),
            Remedy::Command(self.owners_command.clone()),
        )
        .with_log(format!("{} decides about devices", self.name)))
    }

    /// Refuses where it would give away more than it has.
    pub(crate) fn must_cover(&self, scopes: &BTreeSet<Scope>) -> Result<(), Refusal> {
        scopes.iter().try_for_each(|scope| self.must_hold(*scope))
    }

    /// By what a device is let in by this hand.
    pub(crate) fn as_via(&self) -> ApprovedVia {
        match self.kind {
            Kind::Owner => ApprovedVia::Owner,
            Kind::Device(device) => ApprovedVia::Device(device.clone()),
            Kind::Secret => ApprovedVia::SharedSecret,
        }
    }
}

/// There is no such request, or none this caller may know of: the two are told alike.
pub(crate) fn unknown_request() -> Refusal {
    Refusal::forbidden(
        "UNKNOWN_REQUEST",
        "pairing.request",
        "unknown requestId",
        Remedy::Command("hatchery devices list".to_owned()),
    )
    .in_class(ErrorCode::InvalidRequest)
}

/// There is no such device, or none this caller may know of: the two are told alike.
pub(crate) fn unknown_device() -> Refusal {
    Refusal::forbidden(
        "UNKNOWN_DEVICE",
        "pairing.device",
        "unknown deviceId",
        Remedy::Command("hatchery devices list".to_owned()),
    )
    .in_class(ErrorCode::InvalidRequest)
}
