//! Random histories: whatever is done in whatever order, the same things stay true.

use std::collections::{BTreeMap, BTreeSet};

use hatchery_access::Caller;
use hatchery_access::connect::{Admission, SharedFailure, SharedProof};
use hatchery_access::pairing::{
    ApprovedVia, Cleared, Command, MAX_OUTCOMES, MAX_PENDING, MAX_PENDING_PER_SOURCE,
    MAX_SETUP_CODES, PENDING_TTL_MS, PairingEvent, RequestId, SetupProfile,
};
use hatchery_protocol::{Role, Scope, Secret};
use proptest::prelude::*;

use super::world::{Comer, World, caller, proven};

const SOME: [Scope; 4] = [Scope::Admin, Scope::Pairing, Scope::Read, Scope::Write];

/// One thing that happens. Numbers choose among what there is.
#[derive(Clone, Debug)]
enum Step {
    Connect { name: u8, asked: u8, way: u8, node: bool },
    Command { by: u8, held: u8, what: u8, name: u8, pick: usize, wanted: u8 },
    Wait { ms: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0_u8..5, 0_u8..16, 0_u8..8, proptest::bool::weighted(0.1))
            .prop_map(|(name, asked, way, node)| Step::Connect { name, asked, way, node }),
        5 => (0_u8..7, 0_u8..16, 0_u8..12, 0_u8..5, 0_usize..8, 0_u8..16)
            .prop_map(|(by, held, what, name, pick, wanted)| {
                Step::Command { by, held, what, name, pick, wanted }
            }),
        1 => (1_u64..PENDING_TTL_MS).prop_map(|ms| Step::Wait { ms }),
    ]
}

fn mask(bits: u8) -> Vec<Scope> {
    SOME.into_iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1).map(|(_, s)| s).collect()
}

fn covers(held: &BTreeSet<Scope>, wanted: Scope) -> bool {
    held.iter().any(|scope| scope.covers(wanted))
}

/// What each device was ever given by a word, a silent approval or a setup code since it was
/// last forgotten or revoked.
type Given = BTreeMap<u8, BTreeSet<Scope>>;

struct History {
    world: World,
    given: Given,
    tokens: Vec<Secret>,
    codes: Vec<Secret>,
}

impl History {
    fn new() -> Self {
        let (given, tokens, codes) = (Given::new(), Vec::new(), Vec::new());
        Self { world: World::new(), given, tokens, codes }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Wait { ms } => self.world.now += ms,
            Step::Connect { name, asked, way, node } => self.connect(name, asked, way, node),
            Step::Command { by, held, what, name, pick, wanted } => {
                let by = match by {
                    0 => Caller::Owner,
                    1 => caller(None, &mask(held)),
                    name => {
                        // A device is connected for no more than it may have.
                        let ceiling = self.world.ceiling(name - 2);
                        let held: Vec<Scope> =
                            mask(held).into_iter().filter(|one| covers(&ceiling, *one)).collect();
                        caller(Some(name - 2), &held)
                    }
                };
                self.command(&by, what, name, pick, wanted);
            }
        }
        self.check();
    }

    fn connect(&mut self, name: u8, asked: u8, way: u8, node: bool) {
        let asked = mask(asked);
        let missing = SharedProof::Failed(SharedFailure::TokenMissing);
        let remote = Comer::remote(name, &asked);
        let silent_may = way == 0;
        let comer = match way {
            0 => Comer::local(name, &asked),
            1 => remote,
            2 => remote.with_shared(SharedProof::Open),
            3 => remote.on("darwin"),
            4 => Comer { origin: Some("http://localhost"), ..Comer::local(name, &asked) },
            5 => remote.with_shared(missing),
            6 => {
                let code = self.codes.last().cloned().unwrap_or(Secret::new("x".into()));
                remote.with_shared(missing).with_auth(|auth| auth.bootstrap_token = Some(code))
            }
            _ => {
                let token = self.tokens.last().cloned().unwrap_or(Secret::new("x".into()));
                remote.with_shared(missing).with_device_token(&token)
            }
        };
        let comer = if node { comer.node(&["camera.snap", "system.run"]) } else { comer };
        let admission = self.world.connect(&comer);
        let events = match &admission {
            Admission::Admitted(admitted) => {
                self.tokens.extend(admitted.issued.as_ref().map(|issued| issued.token.clone()));
                let ceiling = self.world.ceiling(name);
                for scope in admitted.caller.scopes() {
                    assert!(
                        asked.contains(&scope) && covers(&ceiling, scope),
                        "{scope} {comer_way}",
                        comer_way = way
                    );
                }
                assert!(admitted.node_commands.is_empty() || node);
                &admitted.events
            }
            Admission::Pending(pending) => &pending.events,
            Admission::Refused(_) => return,
        };
        for event in events {
            if let PairingEvent::Approved { via, scopes, role, .. } = event {
                match via {
                    ApprovedVia::Silent => assert!(silent_may, "silent by way {way}"),
                    ApprovedVia::SetupCode => {
                        assert_eq!(way, 6);
                        assert!(
                            !scopes.contains(&Scope::Admin) && !scopes.contains(&Scope::Pairing)
                        );
                    }
                    other => panic!("a connection approved {other:?}"),
                }
                if *role == Role::Operator {
                    self.given.entry(name).or_default().extend(scopes);
                }
            }
        }
    }

    fn command(&mut self, by: &Caller, what: u8, name: u8, pick: usize, wanted: u8) {
        let now = self.world.now;
        let picked = self.world.state.pending(now).nth(pick).map(|one| one.request_id.clone());
        let request = picked.unwrap_or(RequestId::new("none".into()));
        let (device, role) = (proven(name).id, Role::Operator);
        let fresh = self.world.fresh();
        let wanted: BTreeSet<Scope> = mask(wanted).into_iter().collect();
        let command = match what {
            0..=2 => Command::Approve { request },
            3 => Command::Reject { request },
            4 => Command::Remove { device },
            5 => Command::Revoke { device, role },
            6 => Command::Rotate {
                device,
                role,
                scopes: None,
                fresh,
                by_own_token: true,
                reveal: true,
            },
            7 => Command::Rotate {
                device,
                role,
                scopes: Some(wanted),
                fresh,
                by_own_token: true,
                reveal: false,
            },
            8 => Command::RequestUpgrade {
                scopes: wanted,
                origin: None,
                address: "192.0.2.7".parse().unwrap(),
            },
            9 => Command::ClaimUpgrade { request, fresh },
            10 => {
                let profile = SetupProfile { roles: [role].into(), scopes: wanted };
                self.codes.push(fresh.clone().into_secret());
                Command::IssueSetupCode { profile, fresh }
            }
            _ if pick == 0 => Command::Clear(Cleared::Everything),
            _ => Command::Clear(Cleared::Pending),
        };
        let before = self.world.state.clone();
        let Ok(decision) = self.world.state.decide(by, command, now) else {
            return;
        };
        self.world.apply(&decision.events);
        for event in &decision.events {
            match event {
                PairingEvent::Approved { record, scopes, role, request, .. } => {
                    // By somebody who has all of it, who is not the device, and as it was asked.
                    let held: BTreeSet<Scope> = by.scopes().collect();
                    assert!(covers(&held, Scope::Pairing));
                    assert!(scopes.iter().all(|scope| covers(&held, *scope)));
                    assert!(*role == Role::Operator || covers(&held, Scope::Admin));
                    assert_ne!(by.device(), Some(&record.device_id));
                    let asked =
                        before.pending(now).find(|one| Some(&one.request_id) == request.as_ref());
                    assert_eq!(&asked.unwrap().scopes, scopes);
                    if *role == Role::Operator {
                        let name =
                            (0..5).find(|name| proven(*name).id == record.device_id).unwrap();
                        self.given.entry(name).or_default().extend(scopes);
                    }
                }
                PairingEvent::Removed { device, .. }
                | PairingEvent::TokenRevoked { device, .. } => {
                    self.given.retain(|name, _| proven(*name).id != *device);
                }
                _ => {}
            }
        }
    }

    fn check(&self) {
        let state = &self.world.state;
        for name in 0..5 {
            // Nobody may have what was not given it since somebody last took everything.
            let given = self.given.get(&name).cloned().unwrap_or_default();
            let ceiling = self.world.ceiling(name);
            assert!(ceiling.iter().all(|scope| covers(&given, *scope)), "{name}: {ceiling:?}");
        }
        for device in state.devices() {
            for (role, token) in &device.tokens {
                assert!(device.roles.contains(role));
                assert!(token.scopes.iter().all(|scope| covers(&device.scopes, *scope)));
                assert!(token.is_live() || token.hash.is_none(), "a revoked token is void");
                assert!(*role == Role::Operator || token.scopes.is_empty());
            }
            assert!(device.node_commands.is_empty(), "nobody approved any");
        }
        let now = self.world.now;
        let waiting = state.pending(now).count();
        assert!(waiting <= MAX_PENDING + MAX_PENDING_PER_SOURCE);
        let asks: BTreeSet<_> = state.pending(now).map(|one| (&one.device_id, one.role)).collect();
        assert_eq!(asks.len(), waiting, "one request for a device and role");
        const { assert!(MAX_OUTCOMES > 0 && MAX_SETUP_CODES > 0) };
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_happens_nobody_has_what_nobody_gave(steps in proptest::collection::vec(step(), 1..60)) {
        let mut history = History::new();
        for step in &steps {
            history.take(step);
        }
    }
}
