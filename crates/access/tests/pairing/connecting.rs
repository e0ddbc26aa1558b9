//! Devices with a key: when they are let in, for what, and when somebody is asked.

use hatchery_access::connect::{
    AuthMethod, AuthMode, DoorPolicy, SharedFailure, SharedProof, exemptions_refused,
};
use hatchery_access::pairing::{ApprovedVia, Command, NotSilent, PairingEvent, Reason};
use hatchery_protocol::Role;
use hatchery_protocol::Scope::{Admin, Pairing, Read, Write};

use super::world::{Comer, World, granted, proven, scopes};

const PAGE: Option<&str> = Some("http://localhost:18789");

#[test]
fn the_owner_by_another_way_is_let_in_at_once_and_the_record_says_so() {
    let mut world = World::new();
    let comer = Comer::local(1, &[Admin, Read]);
    let first = world.admitted(&comer);
    assert!(first.silent && first.issued.is_some());
    assert_eq!(first.method, AuthMethod::Token);
    assert_eq!(granted(&first), scopes(&[Admin, Read]));
    let record = world.state.device(&proven(1).id).unwrap();
    assert_eq!(record.approved_via, ApprovedVia::Silent);
    let approvals = |events: &[PairingEvent]| {
        events.iter().filter(|one| matches!(one, PairingEvent::Approved { .. })).count()
    };
    assert_eq!(approvals(&first.events), 1);
    // The second time there is nothing to approve and no token to make.
    let second = world.admitted(&comer);
    assert!(!second.silent && second.issued.is_none());
    assert_eq!(approvals(&second.events), 0);
}

#[test]
fn silence_needs_every_one_of_its_conditions() {
    let failed = SharedProof::Failed(SharedFailure::TokenMissing);
    type Change = fn(&mut World, &mut Comer);
    let cases: [(&str, Change, Option<NotSilent>); 8] = [
        ("as it is", |_, _| {}, None),
        ("password", |_, c| c.shared = SharedProof::Password, None),
        ("a page", |_, c| c.origin = PAGE, Some(NotSilent::Page)),
        ("another machine", |_, c| c.direct_loopback = false, Some(NotSilent::Elsewhere)),
        ("a proxy", |_, c| c.via_proxy = true, Some(NotSilent::Elsewhere)),
        ("no secret asked", |_, c| c.shared = SharedProof::Open, Some(NotSilent::NoSecret)),
        (
            "a proxy's word",
            |_, c| c.shared = SharedProof::Proxy { user: "somebody".into() },
            Some(NotSilent::NoSecret),
        ),
        ("turned off", |w, _| w.policy.auto_approve_local = false, Some(NotSilent::TurnedOff)),
    ];
    for (name, change, because) in cases {
        let (mut world, mut comer) = (World::new(), Comer::local(1, &[Read]));
        change(&mut world, &mut comer);
        match because {
            None => assert!(world.admitted(&comer).silent, "{name}"),
            Some(because) => {
                let pending = world.pending(&comer);
                assert_eq!(pending.reason, Reason::NotPaired, "{name}");
                let request = world.state.pending(world.now).next().unwrap();
                assert_eq!(request.because, because, "{name}");
                assert!(world.state.device(&proven(1).id).is_none(), "{name}");
            }
        }
    }
    let denial = World::new().refused(&Comer::local(1, &[Read]).with_shared(failed));
    assert_eq!(denial.refusal.code, "AUTH_TOKEN_MISSING");
}

#[test]
fn each_difference_has_its_reason_and_is_healed_silently_only_for_the_owner_by_another_way() {
    // A device approved to read, and what it comes with next.
    let cases: [(Comer, Reason); 4] = [
        (Comer::local(2, &[Read]), Reason::NotPaired),
        (Comer::local(1, &[Read, Write]), Reason::ScopeUpgrade),
        (Comer::local(1, &[Read]).on("darwin"), Reason::MetadataUpgrade),
        (Comer::local(1, &[Admin]).on("darwin"), Reason::ScopeUpgrade),
    ];
    for (local, reason) in cases {
        let mut world = World::new();
        world.paired(1, &[Read]);
        let remote = Comer { direct_loopback: false, ..local.clone() };
        assert_eq!(world.pending(&remote).reason, reason);
        assert!(world.admitted(&local).silent, "{reason:?}");
        // The request it made from elsewhere has been answered by this.
        assert_eq!(world.state.pending(world.now).count(), 0, "{reason:?}");
        assert!(!world.admitted(&local).silent, "{reason:?}");
    }
}

#[test]
fn a_device_that_is_known_becomes_a_node_by_a_word_only_and_a_node_an_operator_silently() {
    let mut world = World::new();
    world.admitted(&Comer::local(1, &[Read]));
    let pending = world.pending(&Comer::local(1, &[]).node(&[]));
    assert_eq!(pending.reason, Reason::RoleUpgrade);
    let mut world = World::new();
    world.admitted(&Comer::local(1, &[]).node(&[]));
    assert!(world.admitted(&Comer::local(1, &[Read])).silent);
}

#[test]
fn what_the_owner_took_by_name_does_not_come_back_silently_and_a_removed_device_may() {
    let local = Comer::local(1, &[Read]);
    let mut world = World::new();
    world.admitted(&local);
    world.owner(Command::Revoke { device: proven(1).id, role: Role::Operator });
    let pending = world.pending(&local);
    assert_eq!(pending.reason, Reason::RoleUpgrade);
    world.owner(Command::Approve { request: pending.request });
    assert!(world.admitted(&local).issued.is_some());

    let fresh = world.fresh();
    let narrower = Some(scopes(&[]));
    let (device, role) = (proven(1).id, Role::Operator);
    world.owner(Command::Rotate {
        device: device.clone(),
        role,
        scopes: narrower,
        fresh,
        by_own_token: false,
        reveal: false,
    });
    assert_eq!(world.pending(&local).reason, Reason::ScopeUpgrade);
    assert_eq!(granted(&world.admitted(&Comer::local(1, &[]))), scopes(&[]));

    world.owner(Command::Remove { device });
    assert!(world.admitted(&local).silent);
}

#[test]
fn a_revoked_baseline_does_not_come_back_with_the_next_approval() {
    let mut world = World::new();
    world.paired(1, &[Admin]);
    world.owner(Command::Revoke { device: proven(1).id, role: Role::Operator });
    let pending = world.pending(&Comer::remote(1, &[Read]));
    world.owner(Command::Approve { request: pending.request });
    assert_eq!(world.state.device(&proven(1).id).unwrap().scopes, scopes(&[Read]));
    assert_eq!(world.pending(&Comer::remote(1, &[Admin])).reason, Reason::ScopeUpgrade);
}

#[test]
fn a_device_gets_what_it_asks_within_what_was_approved_and_nothing_more() {
    let mut world = World::new();
    world.paired(1, &[Read, Write]);
    let asks = |asked| granted(&world.clone().admitted(&Comer::remote(1, asked)));
    assert_eq!(asks(&[Read]), scopes(&[Read]));
    assert_eq!(asks(&[]), scopes(&[]));
    let mut nothing_in_particular = Comer::remote(1, &[]);
    nothing_in_particular.params.scopes = None;
    assert_eq!(granted(&world.admitted(&nothing_in_particular)), scopes(&[Read, Write]));
    let mut unheard_of = Comer::remote(1, &[Read]);
    unheard_of.params.scopes = Some(vec!["operator.read".into(), "operator.everything".into()]);
    assert_eq!(granted(&world.admitted(&unheard_of)), scopes(&[Read]));
}

#[test]
fn a_device_is_known_by_its_token_in_either_field_with_its_own_key_only() {
    let mut world = World::new();
    let token = world.paired(1, &[Read]);
    let missing = SharedProof::Failed(SharedFailure::TokenMissing);
    let wrong = SharedProof::Failed(SharedFailure::TokenMismatch);
    let by = |name| Comer::remote(name, &[Read]);
    let mine = world.admitted(&by(1).with_shared(missing.clone()).with_device_token(&token));
    assert_eq!(mine.method, AuthMethod::DeviceToken);
    assert!(mine.by_device_token && mine.issued.is_none());
    let in_token = token.clone();
    let comer = by(1).with_shared(wrong.clone()).with_auth(|auth| auth.token = Some(in_token));
    assert_eq!(world.admitted(&comer).method, AuthMethod::DeviceToken);

    // The same words from everybody who has no right to it: another key, a stranger, no such
    // token. None is told which it is.
    world.paired(2, &[Read]);
    let mut told = Vec::new();
    for name in [2, 3] {
        told.push(world.refused(&by(name).with_shared(missing.clone()).with_device_token(&token)));
    }
    world.owner(Command::Revoke { device: proven(1).id, role: Role::Operator });
    told.push(world.refused(&by(1).with_shared(missing).with_device_token(&token)));
    for denial in &told {
        assert_eq!(denial, &told[0]);
        assert_eq!(denial.refusal.code, "AUTH_DEVICE_TOKEN_MISMATCH");
    }
}

#[test]
fn a_token_that_asks_for_more_leads_to_a_request_and_the_same_token_then_does() {
    let mut world = World::new();
    let token = world.paired(1, &[Read]);
    let missing = SharedProof::Failed(SharedFailure::TokenMissing);
    let comer = Comer::remote(1, &[Write]).with_shared(missing).with_device_token(&token);
    let pending = world.pending(&comer);
    assert_eq!(pending.reason, Reason::ScopeUpgrade);
    world.owner(Command::Approve { request: pending.request });
    assert_eq!(granted(&world.admitted(&comer)), scopes(&[Write]));
}

#[test]
fn whoever_shows_a_lost_token_beside_another_proof_gets_a_new_one() {
    let mut world = World::new();
    let old = world.paired(1, &[Read]);
    let (device, role) = (proven(1).id, Role::Operator);
    let fresh = world.fresh();
    let rotate =
        Command::Rotate { device, role, scopes: None, fresh, by_own_token: false, reveal: true };
    world.owner(rotate);
    let new = world.admitted(&Comer::remote(1, &[Read]).with_device_token(&old)).issued.unwrap();
    let again = Comer::remote(1, &[Read]).with_device_token(&new.token);
    assert!(world.admitted(&again).issued.is_none());
    // A program that sends the shared secret in every field has not lost anything.
    let secret = hatchery_protocol::Secret::new("shared".into());
    let twice = Comer::remote(1, &[Read])
        .with_auth(|auth| auth.token = Some(secret.clone()))
        .with_device_token(&secret);
    assert!(world.admitted(&twice).issued.is_none());
}

#[test]
fn without_a_secret_and_through_a_proxy_a_device_still_has_to_be_approved() {
    for shared in [SharedProof::Open, SharedProof::Proxy { user: "somebody".into() }] {
        let mut world = World::new();
        let comer = Comer { shared, ..Comer::local(1, &[Read]) };
        let pending = world.pending(&comer);
        world.owner(Command::Approve { request: pending.request });
        let admitted = world.admitted(&comer);
        assert_eq!(granted(&admitted), scopes(&[Read]));
        // Its token is as good a proof as its approval, and says more.
        let token = admitted.issued.unwrap().token;
        assert!(world.admitted(&comer.with_device_token(&token)).by_device_token);
    }
}

#[test]
fn a_stranger_who_showed_nothing_cannot_ask_for_everything_at_first_wherever_it_is() {
    for comer in
        [Comer::remote(1, &[Admin, Pairing, Read]), Comer::local(1, &[Admin, Pairing, Read])]
    {
        let mut world = World::with(|policy| policy.auth_mode = AuthMode::None);
        let comer = comer.with_shared(SharedProof::Open);
        let first = world.pending(&comer);
        let asked = &world.state.pending(world.now).next().unwrap().scopes;
        assert_eq!(*asked, scopes(&[Read]));
        world.owner(Command::Approve { request: first.request });
        assert_eq!(world.pending(&comer).reason, Reason::ScopeUpgrade);
    }
}

#[test]
fn an_exemption_does_what_it_says_and_never_for_a_page_a_proxy_or_somebody_who_showed_nothing() {
    type Set = fn(&mut DoorPolicy);
    let loopback: [Set; 2] = [|p| p.loopback_exempt = true, |p| p.skip_for_loopback = true];
    let all: Set = |p| p.enforce_pairing = false;
    let external: Set = |p| p.require_for_external = false;
    let local = Comer::local(1, &[Admin]);
    let remote = Comer::remote(1, &[Admin]);
    let open = |comer: &Comer| Comer { shared: SharedProof::Open, ..comer.clone() };
    let page = |comer: &Comer| Comer { origin: PAGE, ..comer.clone() };
    let proxied =
        |comer: &Comer| Comer { via_proxy: true, direct_loopback: false, ..comer.clone() };
    let mut cases: Vec<(Set, Comer, bool)> = Vec::new();
    for set in loopback {
        cases.push((set, local.clone(), true));
        cases.push((set, open(&local), true));
        cases.push((set, page(&open(&local)), false));
        cases.push((set, page(&local), false));
        cases.push((set, proxied(&local), false));
        cases.push((set, remote.clone(), false));
    }
    cases.extend([
        (all, open(&local), true),
        (all, remote.clone(), true),
        (all, page(&local), true),
        (all, open(&remote), false),
        (all, page(&open(&local)), false),
        (all, proxied(&open(&local)), false),
        (external, remote.clone(), true),
        (external, open(&remote), false),
        (external, page(&local), false),
    ]);
    for (case, (set, comer, exempt)) in cases.into_iter().enumerate() {
        let mut world = World::with(set);
        world.policy.auto_approve_local = false;
        if exempt {
            let admitted = world.admitted(&comer);
            assert!(admitted.exempt.is_some() && admitted.issued.is_none(), "case {case}");
            assert_eq!(granted(&admitted), scopes(&[Admin]), "case {case}");
            assert!(world.state.device(&proven(1).id).is_none(), "case {case}");
        } else {
            world.pending(&comer);
        }
        let failed = SharedProof::Failed(SharedFailure::TokenMismatch);
        world.refused(&comer.with_shared(failed));
    }
}

#[test]
fn an_exemption_does_not_overrule_a_no() {
    let mut world = World::with(|policy| policy.enforce_pairing = false);
    world.policy.enforce_pairing = true;
    world.paired(1, &[Read]);
    world.owner(Command::Revoke { device: proven(1).id, role: Role::Operator });
    world.policy.enforce_pairing = false;
    assert_eq!(world.pending(&Comer::remote(1, &[Read])).reason, Reason::RoleUpgrade);
}

#[test]
fn exemptions_do_not_go_with_an_open_address_unless_it_is_meant() {
    type Set = fn(&mut DoorPolicy);
    let cases: [(Set, bool); 7] = [
        (|_| {}, false),
        (|p| p.auto_approve_local = false, false),
        (|p| p.loopback_exempt = true, true),
        (|p| p.skip_for_loopback = true, true),
        (|p| p.enforce_pairing = false, true),
        (|p| p.require_for_external = false, true),
        (|p| p.auth_mode = AuthMode::None, true),
    ];
    for (case, (set, refused)) in cases.into_iter().enumerate() {
        let mut policy = DoorPolicy::default();
        set(&mut policy);
        let found = exemptions_refused(&policy, false, false);
        assert_eq!(found.is_some(), refused, "case {case}");
        let names_the_setting = |refusal: &hatchery_access::Refusal| {
            refusal.remedy.as_str().contains("security.allowExemptionsBeyondLoopback")
        };
        assert!(found.is_none_or(|refusal| names_the_setting(&refusal)), "case {case}");
        assert_eq!(exemptions_refused(&policy, true, false), None, "case {case}");
        assert_eq!(exemptions_refused(&policy, false, true), None, "case {case}");
    }
}

#[test]
fn requests_are_stable_superseded_and_bounded() {
    let mut world = World::new();
    let comer = Comer::remote(1, &[Read]);
    let first = world.pending(&comer);
    world.now += hatchery_access::pairing::PENDING_TTL_MS - 1;
    assert_eq!(world.pending(&comer).request, first.request);
    world.now += hatchery_access::pairing::PENDING_TTL_MS - 1;
    assert_eq!(world.state.pending(world.now).count(), 1, "asking again keeps it waiting");
    world.now += 1;
    assert_eq!(world.state.pending(world.now).count(), 0, "nobody asked for five minutes");
    // After a restart the same ask has the same name, and in another gateway another.
    assert_eq!(World::new().pending(&comer).request, first.request);
    let mut other = World::new();
    other.state = hatchery_access::pairing::PairingState::new([8; 32], []);
    assert_ne!(other.pending(&comer).request, first.request);
    // The same scopes in another order are the same ask; more of them are another.
    let one = world.pending(&Comer::remote(1, &[Read, Write])).request;
    assert_eq!(world.pending(&Comer::remote(1, &[Write, Read])).request, one);
    let more = world.pending(&Comer::remote(1, &[Admin]));
    assert_ne!(more.request, one);
    assert_eq!(world.state.pending(world.now).count(), 1, "the newer one takes its place");
}

#[test]
fn one_source_pushes_out_its_own_and_never_another_s() {
    use hatchery_access::pairing::{MAX_PENDING, MAX_PENDING_PER_SOURCE};
    let mut world = World::new();
    let from = |name: u8, address: String| Comer {
        address: address.parse().unwrap(),
        ..Comer::remote(name, &[Read])
    };
    let friend = world.pending(&from(250, "198.51.100.1".into())).request;
    for name in 0..=u8::try_from(MAX_PENDING_PER_SOURCE).unwrap() {
        world.now += 1;
        world.pending(&from(name, "203.0.113.1".into()));
    }
    let waiting: Vec<_> = world.state.pending(world.now).map(|one| &one.device_id).collect();
    assert_eq!(waiting.len(), MAX_PENDING_PER_SOURCE + 1);
    assert!(!waiting.contains(&&proven(0).id) && waiting.contains(&&proven(250).id));
    // Many sources fill the whole room; then others wait, and nobody who waits is pushed out.
    let before = world.state.pending(world.now).count();
    for name in before..MAX_PENDING {
        let name = u8::try_from(name).unwrap();
        world.pending(&from(name, format!("10.0.0.{name}")));
    }
    let denial = world.refused(&from(251, "10.1.0.1".into()));
    assert_eq!(denial.refusal.code, "PAIRING_BUSY");
    assert_eq!(denial.refusal.remedy.as_str(), "hatchery devices clear --pending");
    // Whoever waits may ask again or otherwise, and this machine's programs always have room.
    assert_eq!(world.pending(&from(250, "198.51.100.1".into())).request, friend);
    world.pending(&Comer { shared: SharedProof::Open, ..Comer::local(252, &[Read]) });
    assert_eq!(world.state.pending(world.now).count(), MAX_PENDING + 1);
}

#[test]
fn what_a_device_says_of_itself_is_cut_and_cleaned() {
    let mut world = World::new();
    let mut comer = Comer::remote(1, &[Read]);
    comer.params.client.display_name = Some(format!("a\u{1b}[2J\u{202e}b{}", "x".repeat(500)));
    comer.params.client.id = "c\nl\ri".into();
    world.pending(&comer);
    let about = &world.state.pending(world.now).next().unwrap().about;
    assert!(about.display_name.as_ref().unwrap().starts_with("a[2Jbx"));
    assert_eq!(about.display_name.as_ref().unwrap().chars().count(), 96);
    assert_eq!(about.client_id, "cli");
}
