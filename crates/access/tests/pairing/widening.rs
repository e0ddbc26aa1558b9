//! Authority never widens: over every method, caller, stored approval and ask.

use std::collections::BTreeSet;

use hatchery_access::Caller;
use hatchery_access::connect::{Admission, SharedFailure, SharedProof};
use hatchery_access::pairing::{Command, PairingEvent, Reply};
use hatchery_protocol::{Method, Role, Scope};
use proptest::prelude::*;

use super::world::{Comer, World, caller, granted, proven};

fn some_scopes() -> impl Strategy<Value = BTreeSet<Scope>> {
    proptest::sample::subsequence(Scope::ALL.to_vec(), 0..=Scope::ALL.len())
        .prop_map(|scopes| scopes.into_iter().collect())
}

fn covers(held: &BTreeSet<Scope>, wanted: Scope) -> bool {
    held.iter().any(|scope| scope.covers(wanted))
}

fn list(scopes: &BTreeSet<Scope>) -> Vec<Scope> {
    scopes.iter().copied().collect()
}

/// The methods a caller with these scopes may use.
fn methods(held: &BTreeSet<Scope>) -> BTreeSet<Method> {
    let may = |method: &Method| method.needs().scope().is_some_and(|scope| covers(held, scope));
    Method::ALL.iter().copied().filter(may).collect()
}

/// What a caller may use of what two others may.
fn both(one: &BTreeSet<Scope>, other: &BTreeSet<Scope>) -> BTreeSet<Method> {
    methods(one).intersection(&methods(other)).copied().collect()
}

/// How a device that is known comes: with which proof, from where.
#[derive(Clone, Copy, Debug)]
enum Way {
    SecretFromElsewhere,
    SecretByPage,
    SecretByProxy,
    Token,
    Open,
    ProxysWord,
}

const WAYS: [Way; 6] = [
    Way::SecretFromElsewhere,
    Way::SecretByPage,
    Way::SecretByProxy,
    Way::Token,
    Way::Open,
    Way::ProxysWord,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_connection_may_what_was_asked_and_approved_and_nothing_else(
        stored in some_scopes(),
        asked in some_scopes(),
        narrowed in proptest::option::of(some_scopes()),
        way in proptest::sample::select(WAYS.to_vec()),
    ) {
        let mut world = World::new();
        let mut token = world.paired(1, &list(&stored));
        let mut approved = stored.clone();
        if let Some(narrowed) = narrowed {
            let fresh = world.fresh();
            let command = Command::Rotate {
                device: proven(1).id,
                role: Role::Operator,
                scopes: Some(narrowed.clone()),
                fresh,
                by_own_token: false,
                reveal: true,
            };
            match world.command(&Caller::Owner, command) {
                Ok(Reply::Rotated { token: Some(new), .. }) => {
                    prop_assert!(narrowed.iter().all(|scope| covers(&stored, *scope)));
                    (token, approved) = (new, narrowed);
                }
                Ok(other) => panic!("{other:?}"),
                Err(_) => prop_assert!(narrowed.iter().any(|scope| !covers(&stored, *scope))),
            }
        }
        let comer = Comer::remote(1, &list(&asked));
        let missing = SharedProof::Failed(SharedFailure::TokenMissing);
        let comer = match way {
            Way::SecretFromElsewhere => comer,
            Way::SecretByPage => Comer { origin: Some("http://localhost"), direct_loopback: true, ..comer },
            Way::SecretByProxy => Comer { via_proxy: true, direct_loopback: true, ..comer },
            Way::Token => comer.with_shared(missing).with_device_token(&token),
            Way::Open => comer.with_shared(SharedProof::Open),
            Way::ProxysWord => comer.with_shared(SharedProof::Proxy { user: "u".into() }),
        };
        let before = world.state.device(&proven(1).id).cloned();
        match world.connect(&comer) {
            Admission::Admitted(admitted) => {
                let granted = granted(&admitted);
                prop_assert!(granted.is_subset(&asked));
                prop_assert!(granted.iter().all(|scope| covers(&approved, *scope)));
                prop_assert!(methods(&granted).is_subset(&both(&asked, &approved)));
                // And it is not less either: whoever is let in has what it asked for.
                prop_assert_eq!(granted, asked);
            }
            Admission::Pending(pending) => {
                prop_assert!(asked.iter().any(|scope| !covers(&approved, *scope)));
                let grants = |event: &PairingEvent| matches!(event, PairingEvent::Approved { .. });
                prop_assert!(!pending.events.iter().any(grants));
                prop_assert_eq!(world.state.device(&proven(1).id).cloned(), before);
            }
            Admission::Refused(denial) => prop_assert!(false, "{:?}", denial),
        }
    }

    #[test]
    fn an_approval_gives_what_was_asked_and_the_approver_has(
        held in some_scopes(),
        stored in some_scopes(),
        asked in some_scopes(),
        keyless in any::<bool>(),
    ) {
        let mut world = World::new();
        world.paired(1, &list(&stored));
        let by = caller((!keyless).then_some(2), &list(&held));
        let comer = Comer::remote(1, &list(&asked));
        let Admission::Pending(pending) = world.connect(&comer) else {
            return Ok(());
        };
        let before = world.ceiling(1);
        let approve = Command::Approve { request: pending.request };
        match world.command(&by, approve) {
            Ok(_) => {
                prop_assert!(covers(&held, Scope::Pairing));
                prop_assert!(asked.iter().all(|scope| covers(&held, *scope)));
                prop_assert!(keyless || held.contains(&Scope::Admin));
                let after = world.ceiling(1);
                let all: BTreeSet<Scope> = before.union(&asked).copied().collect();
                prop_assert_eq!(methods(&after), methods(&all));
            }
            Err(_) => prop_assert_eq!(world.ceiling(1), before),
        }
    }

    #[test]
    fn a_rotation_gives_nothing_the_device_or_the_caller_has_not(
        held in some_scopes(),
        stored in some_scopes(),
        wanted in proptest::option::of(some_scopes()),
        who in 0_u8..3,
    ) {
        let mut world = World::new();
        world.paired(1, &list(&stored));
        // Without a key, the device itself, another device.
        let by = caller((who > 0).then_some(who), &list(&held));
        let fresh = world.fresh();
        let (device, role) = (proven(1).id, Role::Operator);
        let (scopes, reveal) = (wanted, true);
        let command = Command::Rotate { device, role, scopes, fresh, by_own_token: who == 1, reveal };
        if let Ok(Reply::Rotated { scopes, token, .. }) = world.command(&by, command) {
            prop_assert!(scopes.iter().all(|scope| covers(&stored, *scope) && covers(&held, *scope)));
            prop_assert!(methods(&world.ceiling(1)).is_subset(&both(&stored, &held)));
            prop_assert!(token.is_none() || who == 1, "the token goes to the device itself");
        } else {
            prop_assert_eq!(world.ceiling(1), stored);
        }
    }

    #[test]
    fn without_the_secret_no_ask_is_ever_granted_to_a_stranger(
        asked in some_scopes(),
        local in any::<bool>(),
        keyless in any::<bool>(),
        failure in proptest::sample::select(vec![
            SharedFailure::TokenMissing,
            SharedFailure::TokenMismatch,
            SharedFailure::PasswordMissing,
            SharedFailure::PasswordMismatch,
            SharedFailure::ProxyIdentityMissing,
        ]),
    ) {
        let mut world = World::new();
        let base = if local { Comer::local(7, &list(&asked)) } else { Comer::remote(7, &list(&asked)) };
        let comer = base.with_shared(SharedProof::Failed(failure));
        let comer = if keyless { comer.keyless("cli", "cli") } else { comer };
        prop_assert!(matches!(world.connect(&comer), Admission::Refused(_)));
        prop_assert_eq!(world.state.pending(world.now).count(), 0);
    }
}

/// Every pair of single scopes, so that no pair is left to chance.
#[test]
fn every_method_by_every_stored_and_every_asked_scope() {
    for stored in Scope::ALL {
        let mut world = World::new();
        world.paired(1, &[stored]);
        for asked in Scope::ALL {
            let mut world = world.clone();
            let admission = world.connect(&Comer::remote(1, &[asked]));
            let admitted = matches!(admission, Admission::Admitted(_));
            assert_eq!(admitted, stored.covers(asked), "{stored} {asked}");
            let Admission::Admitted(admitted) = admission else {
                continue;
            };
            for method in Method::ALL {
                let Some(needed) = method.needs().scope() else {
                    continue;
                };
                let may = covers(&granted(&admitted), needed);
                assert!(!may || (stored.covers(needed) && asked.covers(needed)), "{method:?}");
            }
        }
    }
}
