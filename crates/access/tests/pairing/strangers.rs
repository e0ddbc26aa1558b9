//! Strangers: whatever they claim, they get nothing and leave nothing behind that would.

use hatchery_access::connect::{Admission, SharedFailure, SharedProof};
use hatchery_access::pairing::Command;
use hatchery_protocol::Scope::{self, Admin, Read};
use hatchery_protocol::{ProtocolVersion, Role, Secret};

use super::world::{Comer, World, granted, proven};

/// Everything a stranger may try at this level. Proofs of the device key, the page it comes from
/// and forwarding headers are checked before; what is left of them here is whether they are there.
fn strangers(stolen: &Secret, lapsed: &Secret) -> Vec<Comer> {
    let missing = || SharedProof::Failed(SharedFailure::TokenMissing);
    let wrong = || SharedProof::Failed(SharedFailure::TokenMismatch);
    let mut all = Vec::new();
    for base in [Comer::local(7, &Scope::ALL), Comer::remote(7, &Scope::ALL)] {
        for shared in [missing(), wrong(), SharedProof::Failed(SharedFailure::ProxyUserRefused)] {
            let plain = base.clone().with_shared(shared);
            all.push(Comer { address: "::ffff:127.0.0.1".parse().unwrap(), ..plain.clone() });
            all.push(Comer { via_proxy: true, direct_loopback: false, ..plain.clone() });
            all.push(Comer { origin: Some("https://evil.example"), ..plain.clone() });
            all.push(Comer { origin: Some("null"), ..plain.clone() });
            all.push(plain.clone().with_device_token(stolen));
            all.push(plain.clone().with_device_token(lapsed));
            all.push(plain.clone().with_device_token(&Secret::new(String::new())));
            let (token, code) = (stolen.clone(), lapsed.clone());
            all.push(plain.clone().with_auth(|auth| auth.token = Some(token)));
            all.push(plain.clone().with_auth(|auth| auth.bootstrap_token = Some(code)));
            all.push(Comer { version: ProtocolVersion::V3, ..plain.clone() });
            for role in ["node", "worker", "admin", ""] {
                let mut comer = plain.clone();
                comer.params.role = Some(role.into());
                all.push(comer);
            }
            for (id, mode) in [
                ("cli", "cli"),
                ("cli", "probe"),
                ("gateway-client", "backend"),
                ("openclaw-control-ui", "webchat"),
                ("node-host", "node"),
            ] {
                let mut with_key = plain.clone();
                with_key.params.client.id = id.into();
                with_key.params.client.mode = mode.into();
                all.push(with_key);
                all.push(plain.clone().keyless(id, mode));
            }
            all.push(plain);
        }
    }
    all
}

#[test]
fn none_gets_in_and_none_leaves_a_request_for_anything() {
    let mut world = World::new();
    let stolen = world.paired(1, &[Admin, Read]);
    let lapsed = world.paired(2, &[Admin]);
    world.owner(Command::Revoke { device: proven(2).id, role: Role::Operator });
    let devices: Vec<_> = world.state.devices().cloned().collect();
    for (case, comer) in strangers(&stolen, &lapsed).into_iter().enumerate() {
        // In every setting of the door that still asks for the secret.
        for loose in [false, true] {
            world.policy.loopback_exempt = loose;
            world.policy.skip_for_loopback = loose;
            world.policy.enforce_pairing = !loose;
            world.policy.require_for_external = !loose;
            world.policy.control_ui_insecure = loose;
            world.policy.control_ui_without_device = loose;
            world.refused(&comer);
            assert_eq!(world.state.pending(world.now).count(), 0, "case {case}");
        }
    }
    assert_eq!(world.state.devices().cloned().collect::<Vec<_>>(), devices);
}

#[test]
fn where_no_secret_is_asked_they_may_wait_for_the_owner_and_get_nothing_meanwhile() {
    let mut world = World::new();
    let stolen = world.paired(1, &[Admin, Read]);
    for (case, comer) in strangers(&stolen, &stolen).into_iter().enumerate() {
        let mut world = world.clone();
        let comer = comer.with_shared(SharedProof::Open);
        let direct = comer.direct_loopback && !comer.via_proxy && comer.origin.is_none();
        match world.connect(&comer) {
            Admission::Admitted(admitted) => {
                panic!("case {case} got {:?}", granted(&admitted));
            }
            Admission::Refused(_) => assert_eq!(world.state.pending(world.now).count(), 0),
            Admission::Pending(_) => {
                let waiting = world.state.pending(world.now).next().unwrap();
                assert!(direct || !waiting.scopes.contains(&Admin), "case {case}");
            }
        }
        assert!(world.state.device(&proven(7).id).is_none(), "case {case}");
    }
}

#[test]
fn the_secret_from_elsewhere_is_not_an_approval() {
    let mut world = World::new();
    for comer in [
        Comer::remote(7, &[Admin]),
        Comer { via_proxy: true, ..Comer::local(7, &[Admin]) },
        Comer { origin: Some("http://localhost:18789"), ..Comer::local(7, &[Admin]) },
        Comer { direct_loopback: false, ..Comer::local(7, &[Admin]) },
    ] {
        world.pending(&comer);
        assert!(granted(&world.admitted(&comer.keyless("cli", "cli"))).is_empty());
    }
}
