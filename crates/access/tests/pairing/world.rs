//! A gateway's pairing state, and programs that come to it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use hatchery_access::connect::{
    Admission, Admitted, Arrival, Denial, DoorPolicy, PendingAdmission, ProvenDevice, SharedProof,
    admit_device,
};
use hatchery_access::pairing::{
    Command, Decision, FreshToken, PairingEvent, PairingState, PublicKey, Reply,
};
use hatchery_access::{Caller, DeviceCaller, DeviceId, Refusal};
use hatchery_protocol::{
    ClientInfo, ConnectAuth, ConnectParams, ProtocolVersion, Role, Scope, Secret,
};

pub(crate) const START: u64 = 1_700_000_000_000;

/// A pairing state with a clock and a source of tokens.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) state: PairingState,
    pub(crate) policy: DoorPolicy,
    pub(crate) now: u64,
    /// Whether every event is written down and read again on the way.
    pub(crate) keeps_events: bool,
    drawn: u8,
}

/// Somebody who connects.
#[derive(Clone)]
pub(crate) struct Comer {
    pub(crate) params: ConnectParams,
    pub(crate) version: ProtocolVersion,
    pub(crate) device: Option<ProvenDevice>,
    pub(crate) address: IpAddr,
    pub(crate) direct_loopback: bool,
    pub(crate) via_proxy: bool,
    pub(crate) origin: Option<&'static str>,
    pub(crate) shared: SharedProof,
}

pub(crate) fn proven(name: u8) -> ProvenDevice {
    ProvenDevice {
        id: DeviceId::new(format!("{name:02x}").repeat(32)),
        key: PublicKey::from_bytes(&[name; 32]),
    }
}

pub(crate) fn scopes(names: &[Scope]) -> BTreeSet<Scope> {
    names.iter().copied().collect()
}

pub(crate) fn caller(device: Option<u8>, scopes: &[Scope]) -> Caller {
    Caller::Device(DeviceCaller {
        device: device.map(|name| proven(name).id),
        role: Role::Operator,
        scopes: scopes.iter().copied().collect(),
        client: "test/test".to_owned(),
    })
}

impl Comer {
    /// A terminal program with a device key, straight from this machine, with the shared token.
    pub(crate) fn local(name: u8, asked: &[Scope]) -> Self {
        Self {
            params: ConnectParams {
                min_protocol: 3,
                max_protocol: 4,
                client: ClientInfo {
                    id: "cli".into(),
                    version: "1".into(),
                    platform: "linux".into(),
                    mode: "cli".into(),
                    ..ClientInfo::default()
                },
                scopes: Some(asked.iter().map(|scope| scope.as_str().to_owned()).collect()),
                ..ConnectParams::default()
            },
            version: ProtocolVersion::V4,
            device: Some(proven(name)),
            address: "127.0.0.1".parse().unwrap(),
            direct_loopback: true,
            via_proxy: false,
            origin: None,
            shared: SharedProof::Token,
        }
    }

    /// The same from another machine.
    pub(crate) fn remote(name: u8, asked: &[Scope]) -> Self {
        Self {
            address: "192.0.2.7".parse().unwrap(),
            direct_loopback: false,
            ..Self::local(name, asked)
        }
    }

    pub(crate) fn node(mut self, commands: &[&str]) -> Self {
        self.params.role = Some("node".into());
        let commands: Vec<String> = commands.iter().map(|text| (*text).to_owned()).collect();
        self.params.commands = Some(commands).into();
        self
    }

    pub(crate) fn with_shared(mut self, shared: SharedProof) -> Self {
        self.shared = shared;
        self
    }

    pub(crate) fn with_auth(mut self, set: impl FnOnce(&mut ConnectAuth)) -> Self {
        set(self.params.auth.get_or_insert_default());
        self
    }

    pub(crate) fn with_device_token(self, token: &Secret) -> Self {
        let token = token.clone();
        self.with_auth(|auth| auth.device_token = Some(token))
    }

    pub(crate) fn keyless(mut self, id: &str, mode: &str) -> Self {
        self.device = None;
        self.params.client.id = id.into();
        self.params.client.mode = mode.into();
        self
    }

    pub(crate) fn on(mut self, platform: &str) -> Self {
        self.params.client.platform = platform.into();
        self
    }

    pub(crate) fn arrival(&self) -> Arrival<'_> {
        Arrival {
            params: &self.params,
            version: self.version,
            device: self.device.clone(),
            address: self.address,
            direct_loopback: self.direct_loopback,
            via_proxy: self.via_proxy,
            origin: self.origin,
            shared: self.shared.clone(),
        }
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            state: PairingState::new([9; 32], []),
            policy: DoorPolicy::default(),
            now: START,
            keeps_events: true,
            drawn: 0,
        }
    }

    pub(crate) fn with(set: impl FnOnce(&mut DoorPolicy)) -> Self {
        let mut world = Self::new();
        set(&mut world.policy);
        world
    }

    pub(crate) fn fresh(&mut self) -> FreshToken {
        self.drawn = self.drawn.wrapping_add(1);
        FreshToken::from_random([self.drawn; 32])
    }

    pub(crate) fn apply(&mut self, events: &[PairingEvent]) {
        for event in events {
            // What is kept of an event is what was decided.
            if self.keeps_events {
                let text = serde_json::to_string(event).unwrap();
                let read: PairingEvent = serde_json::from_str(&text).unwrap();
                assert_eq!(read, *event);
            }
            self.state.apply(event);
        }
    }

    /// Somebody connects, and what follows is applied.
    pub(crate) fn connect(&mut self, comer: &Comer) -> Admission {
        let fresh = self.fresh();
        let admission = admit_device(&self.state, &comer.arrival(), &self.policy, fresh, self.now);
        match &admission {
            Admission::Admitted(admitted) => self.apply(&admitted.events),
            Admission::Pending(pending) => self.apply(&pending.events),
            Admission::Refused(_) => {}
        }
        admission
    }

    pub(crate) fn admitted(&mut self, comer: &Comer) -> Admitted {
        match self.connect(comer) {
            Admission::Admitted(admitted) => *admitted,
            other => panic!("not admitted: {other:?}"),
        }
    }

    pub(crate) fn pending(&mut self, comer: &Comer) -> PendingAdmission {
        match self.connect(comer) {
            Admission::Pending(pending) => *pending,
            other => panic!("not pending: {other:?}"),
        }
    }

    pub(crate) fn refused(&mut self, comer: &Comer) -> Denial {
        match self.connect(comer) {
            Admission::Refused(denial) => *denial,
            other => panic!("not refused: {other:?}"),
        }
    }

    /// Somebody gives a command, and what follows is applied.
    pub(crate) fn command(&mut self, by: &Caller, command: Command) -> Result<Reply, Refusal> {
        let Decision { events, reply } = self.state.decide(by, command, self.now)?;
        self.apply(&events);
        Ok(reply)
    }

    pub(crate) fn owner(&mut self, command: Command) -> Reply {
        self.command(&Caller::Owner, command).unwrap()
    }

    /// Pairs a device for these scopes by the owner's word; its token.
    pub(crate) fn paired(&mut self, name: u8, asked: &[Scope]) -> Secret {
        let comer = Comer::remote(name, asked);
        let pending = self.pending(&comer);
        self.owner(Command::Approve { request: pending.request });
        self.admitted(&comer).issued.unwrap().token
    }

    /// The scopes a device may have as an operator.
    pub(crate) fn ceiling(&self, name: u8) -> BTreeSet<Scope> {
        let record = self.state.device(&proven(name).id);
        record.map(|record| record.ceiling(Role::Operator)).unwrap_or_default()
    }
}

pub(crate) fn granted(admitted: &Admitted) -> BTreeSet<Scope> {
    admitted.caller.scopes().collect()
}
