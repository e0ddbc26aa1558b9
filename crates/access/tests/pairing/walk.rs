//! A walk through every state of a small world: two devices that pair, ask for more, are lowered,
//! revoked and removed in every order, while an attacker tries everything it can in each state.
//!
//! The walk is complete: it goes breadth first over all steps until no new state is found. Times
//! are left out of what makes two states equal, except for whether something has lapsed.

use std::collections::{BTreeSet, HashSet, VecDeque};

use hatchery_access::Caller;
use hatchery_access::connect::{Admission, SharedFailure, SharedProof};
use hatchery_access::pairing::{
    ApprovedVia, Command, Outcome, PENDING_TTL_MS, PairingEvent, PendingRequest, Reply, RequestId,
};
use hatchery_protocol::Scope::{self, Admin, Pairing, Read};
use hatchery_protocol::{Role, Secret};

use super::world::{Comer, World, caller, proven, scopes};

/// The owner's terminal program, on this machine.
const NEAR: u8 = 1;
/// A friend's device, from elsewhere.
const FAR: u8 = 2;
/// Somebody who has a key of its own, the shared secret from elsewhere, and every token that was
/// ever given to the others.
const EVIL: u8 = 7;

const MINE: [Scope; 2] = [Pairing, Read];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Connect { name: u8, asks_admin: bool },
    ByToken { name: u8 },
    Approve { by: u8, of: u8 },
    Lower { name: u8 },
    Revoke { name: u8 },
    Remove { name: u8 },
    AskLive { name: u8 },
    Claim { name: u8 },
    Lapse,
}

#[derive(Clone)]
struct Node {
    world: World,
    /// Each device's newest token, as far as it knows.
    tokens: [Option<Secret>; 2],
    /// The name of each device's live ask for admin, which is always the same.
    asked_live: [Option<RequestId>; 2],
    /// What was given to each by somebody who has it, since it was last taken.
    given: [BTreeSet<Scope>; 2],
}

fn all_steps() -> Vec<Step> {
    let mut steps = vec![Step::Lapse];
    for name in [NEAR, FAR] {
        for asks_admin in [false, true] {
            steps.push(Step::Connect { name, asks_admin });
        }
        steps.extend([
            Step::ByToken { name },
            Step::Lower { name },
            Step::Revoke { name },
            Step::Remove { name },
            Step::AskLive { name },
            Step::Claim { name },
            Step::Approve { by: 0, of: name },
        ]);
    }
    steps.push(Step::Approve { by: NEAR, of: FAR });
    steps.push(Step::Approve { by: FAR, of: NEAR });
    steps
}

fn slot(name: u8) -> usize {
    usize::from(name - NEAR)
}

fn is_of(event: &PairingEvent, name: u8) -> bool {
    event.record_to_keep() == Some(&proven(name).id)
}

fn covers(held: &BTreeSet<Scope>, wanted: Scope) -> bool {
    held.iter().any(|scope| scope.covers(wanted))
}

impl Node {
    fn new() -> Self {
        let mut world = World::new();
        world.keeps_events = false;
        let given = [BTreeSet::new(), BTreeSet::new()];
        Self { world, tokens: [None, None], asked_live: [None, None], given }
    }

    /// What makes two states equal, but for what the walk itself remembers of them.
    fn key(&self) -> String {
        let World { state, now, .. } = &self.world;
        let devices = [NEAR, FAR].map(|name| {
            let device = state.device(&proven(name).id)?;
            let token = &device.tokens[&Role::Operator];
            let knows = self.tokens[slot(name)]
                .as_ref()
                .is_some_and(|secret| token.hash.as_ref().is_some_and(|hash| hash.matches(secret)));
            let is_fetched = token.hash.is_some();
            Some((
                &device.scopes,
                &token.scopes,
                token.held_down,
                token.is_live(),
                is_fetched,
                knows,
            ))
        });
        let pending: Vec<_> = state.pending(*now).map(|one| one.request_id.as_str()).collect();
        let fetches = [NEAR, FAR].map(|name| self.claimable(name).is_some());
        format!("{devices:?} {pending:?} {fetches:?}")
    }

    fn live_request(&self, name: u8) -> Option<RequestId> {
        let own = |one: &&PendingRequest| one.device_id == proven(name).id;
        self.world.state.pending(self.world.now).find(own).map(|one| one.request_id.clone())
    }

    /// The upgrade a device may fetch.
    fn claimable(&self, name: u8) -> Option<RequestId> {
        let request = self.asked_live[slot(name)].clone()?;
        let outcome = self.world.state.outcome(&proven(name).id, &request, self.world.now);
        (outcome == Outcome::Approved).then_some(request)
    }

    fn comer(name: u8, asks_admin: bool) -> Comer {
        let asked: &[Scope] = if asks_admin { &[Admin] } else { &MINE };
        if name == NEAR { Comer::local(name, asked) } else { Comer::remote(name, asked) }
    }

    /// The world after a step; `None` where nothing comes of it.
    fn after(&self, step: Step) -> Option<Self> {
        let mut next = self.clone();
        match step {
            Step::Lapse => next.world.now += PENDING_TTL_MS,
            Step::Connect { name, asks_admin } => {
                next.connect(&Self::comer(name, asks_admin), name)
            }
            Step::ByToken { name } => {
                let token = next.tokens[slot(name)].clone()?;
                let missing = SharedProof::Failed(SharedFailure::TokenMissing);
                let comer = Self::comer(name, false).with_shared(missing).with_device_token(&token);
                next.connect(&comer, name);
            }
            Step::Approve { by, of } => {
                let request = next.live_request(of)?;
                // A device acts with all it may have.
                let held: Vec<Scope> = next.world.ceiling(by).into_iter().collect();
                let by = if by == 0 { Caller::Owner } else { caller(Some(by), &held) };
                next.command(&by, Command::Approve { request })?;
            }
            Step::Lower { name } => {
                let fresh = next.world.fresh();
                next.command(
                    &Caller::Owner,
                    Command::Rotate {
                        device: proven(name).id,
                        role: Role::Operator,
                        scopes: Some(scopes(&[Read])),
                        fresh,
                        by_own_token: false,
                        reveal: false,
                    },
                )?;
            }
            Step::Revoke { name } => {
                let (device, role) = (proven(name).id, Role::Operator);
                next.command(&Caller::Owner, Command::Revoke { device, role })?;
            }
            Step::Remove { name } => {
                next.command(&Caller::Owner, Command::Remove { device: proven(name).id })?;
            }
            Step::AskLive { name } => {
                let held: Vec<Scope> = next.world.ceiling(name).into_iter().collect();
                let address = "192.0.2.7".parse().unwrap();
                let scopes = scopes(&[Admin]);
                let ask = Command::RequestUpgrade { scopes, origin: None, address };
                let by = caller(Some(name), &held);
                let decision = next.world.state.decide(&by, ask, next.world.now).ok()?;
                next.world.apply(&decision.events);
                let Reply::UpgradeAsked { request } = decision.reply else {
                    return None;
                };
                next.asked_live[slot(name)] = Some(request);
            }
            Step::Claim { name } => {
                let request = next.claimable(name)?;
                let fresh = next.world.fresh();
                let secret = fresh.clone().into_secret();
                let by = caller(Some(name), &[]);
                next.command(&by, Command::ClaimUpgrade { request, fresh })?;
                next.tokens[slot(name)] = Some(secret);
            }
        }
        Some(next)
    }

    fn connect(&mut self, comer: &Comer, name: u8) {
        let events = match self.world.connect(comer) {
            Admission::Admitted(admitted) => {
                if let Some(issued) = &admitted.issued {
                    self.tokens[slot(name)] = Some(issued.token.clone());
                }
                let ceiling = self.world.ceiling(name);
                let mut granted = admitted.caller.scopes();
                assert!(granted.all(|scope| covers(&ceiling, scope)));
                admitted.events
            }
            Admission::Pending(pending) => pending.events,
            Admission::Refused(_) => Vec::new(),
        };
        self.account(&events, &Caller::Owner, name == NEAR);
    }

    fn command(&mut self, by: &Caller, command: Command) -> Option<()> {
        let decision = self.world.state.decide(by, command, self.world.now).ok()?;
        self.world.apply(&decision.events);
        self.account(&decision.events, by, false);
        Some(())
    }

    fn account(&mut self, events: &[PairingEvent], by: &Caller, silent_may: bool) {
        for event in events {
            for name in [NEAR, FAR].into_iter().filter(|name| is_of(event, *name)) {
                match event {
                    PairingEvent::Approved { via, scopes, .. } => {
                        assert!(*via != ApprovedVia::Silent || silent_may);
                        let held: BTreeSet<Scope> = by.scopes().collect();
                        assert!(scopes.iter().all(|scope| covers(&held, *scope)));
                        assert_ne!(by.device(), Some(&proven(name).id));
                        self.given[slot(name)].extend(scopes);
                    }
                    PairingEvent::Removed { .. } | PairingEvent::TokenRevoked { .. } => {
                        self.given[slot(name)].clear();
                    }
                    PairingEvent::TokenRotated { scopes, .. } => {
                        let kept = |one: &Scope| covers(scopes, *one);
                        self.given[slot(name)].retain(kept);
                        self.given[slot(name)].extend(scopes);
                    }
                    _ => {}
                }
            }
        }
    }

    /// What holds in every state.
    fn check(&self) {
        for name in [NEAR, FAR] {
            let ceiling = self.world.ceiling(name);
            assert!(
                ceiling.iter().all(|scope| covers(&self.given[slot(name)], *scope)),
                "{name} may {ceiling:?} and was given {:?}",
                self.given
            );
            let record = self.world.state.device(&proven(name).id);
            for token in record.iter().flat_map(|record| record.tokens.values()) {
                assert!(token.is_live() || token.hash.is_none());
            }
        }
        assert!(self.world.state.device(&proven(EVIL).id).is_none());
        let asks = self.world.state.pending(self.world.now).count();
        assert!(asks <= 2, "one request for each device");
    }

    /// All an attacker can try in this state. Nothing but a request of its own, which nobody
    /// approves, comes of it.
    fn attack(&self) {
        let before: Vec<_> = self.world.state.devices().cloned().collect();
        let missing = SharedProof::Failed(SharedFailure::TokenMissing);
        let mut world = self.world.clone();
        let mut tries = vec![
            Comer::local(EVIL, &[Admin]).with_shared(missing.clone()),
            Comer::remote(EVIL, &[Admin]),
            Comer::remote(EVIL, &[Admin]).keyless("cli", "cli"),
            Comer { origin: Some("http://localhost"), ..Comer::local(EVIL, &[Admin]) },
            Comer { via_proxy: true, ..Comer::local(EVIL, &[Admin]) },
        ];
        for token in self.tokens.iter().flatten() {
            let stolen = Comer::remote(EVIL, &[Admin]).with_shared(missing.clone());
            tries.push(stolen.clone().with_device_token(token));
            tries.push(stolen.keyless("cli", "cli").with_device_token(token));
        }
        for comer in &tries {
            if let Admission::Admitted(admitted) = world.connect(comer) {
                assert_eq!(admitted.caller.scopes().count(), 0, "{:?}", admitted.caller);
                assert!(admitted.issued.is_none());
            }
        }
        let requests: Vec<_> =
            world.state.pending(world.now).map(|one| one.request_id.clone()).collect();
        for by in [caller(Some(EVIL), &[]), caller(None, &[]), caller(Some(EVIL), &[Pairing])] {
            for request in &requests {
                let approve = Command::Approve { request: request.clone() };
                assert!(world.command(&by, approve).is_err());
                let claim =
                    Command::ClaimUpgrade { request: request.clone(), fresh: world.fresh() };
                assert!(world.command(&by, claim).is_err());
            }
            for name in [NEAR, FAR] {
                let (device, role) = (proven(name).id, Role::Operator);
                let fresh = world.fresh();
                let rotate = Command::Rotate {
                    device: device.clone(),
                    role,
                    scopes: Some(scopes(&[Admin])),
                    fresh,
                    by_own_token: true,
                    reveal: true,
                };
                assert!(world.command(&by, rotate).is_err());
                assert!(
                    world.command(&by, Command::Revoke { device: device.clone(), role }).is_err()
                );
                assert!(world.command(&by, Command::Remove { device }).is_err());
            }
        }
        assert_eq!(world.state.devices().cloned().collect::<Vec<_>>(), before);
    }
}

#[test]
fn no_order_of_steps_gives_anybody_what_nobody_gave() {
    let steps = all_steps();
    let start = Node::new();
    let whole = |node: &Node| format!("{} {:?}", node.key(), node.given);
    let mut seen = HashSet::from([whole(&start)]);
    let mut attacked = HashSet::new();
    let mut waiting = VecDeque::from([start]);
    let mut taken = HashSet::new();
    while let Some(node) = waiting.pop_front() {
        node.check();
        // What was given to others is nothing to the attacker.
        if attacked.insert(node.key()) {
            node.attack();
        }
        for step in &steps {
            if let Some(next) = node.after(*step) {
                taken.insert(format!("{step:?}"));
                if seen.insert(whole(&next)) {
                    waiting.push_back(next);
                }
            }
        }
        assert!(seen.len() < 200_000, "the world is small");
    }
    // Every kind of step was possible somewhere, so the walk has been everywhere it could.
    let never: Vec<&Step> =
        steps.iter().filter(|step| !taken.contains(&format!("{step:?}"))).collect();
    assert!(never.is_empty(), "{never:?}");
    println!("{} states, attacked in {}", seen.len(), attacked.len());
}
