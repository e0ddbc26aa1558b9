//! Commands about devices: who may give them, and what they do.

use hatchery_access::pairing::{
    ApprovedVia, Cleared, Command, MAX_OUTCOMES_PER_DEVICE, Outcome, PairingEvent, Reply, RequestId,
};
use hatchery_access::{Caller, ChildFacts, Grant};
use hatchery_protocol::Scope::{self, Admin, Pairing, Read, Write};
use hatchery_protocol::{AgentId, Role, RunId, Secret, SessionId};

use super::world::{Comer, World, caller, granted, proven, scopes};

fn approve(request: &RequestId) -> Command {
    Command::Approve { request: request.clone() }
}

fn rotate(
    world: &mut World,
    name: u8,
    wanted: Option<&[Scope]>,
    own: bool,
    reveal: bool,
) -> Command {
    Command::Rotate {
        device: proven(name).id,
        role: Role::Operator,
        scopes: wanted.map(scopes),
        fresh: world.fresh(),
        by_own_token: own,
        reveal,
    }
}

fn token_of(reply: Reply) -> Option<Secret> {
    match reply {
        Reply::Rotated { token, .. } => token,
        other => panic!("{other:?}"),
    }
}

#[test]
fn nobody_approves_more_than_it_has() {
    // Who approves, what is asked, whether it goes through or by which code it does not.
    let cases: [(Caller, Comer, Result<(), &str>); 11] = [
        (Caller::Owner, Comer::remote(1, &[Admin]), Ok(())),
        (caller(None, &[Pairing, Read]), Comer::remote(1, &[Read]), Ok(())),
        (caller(None, &[Pairing, Read]), Comer::remote(1, &[Write]), Err("MISSING_SCOPE")),
        (caller(None, &[Pairing, Write]), Comer::remote(1, &[Read]), Ok(())),
        (caller(None, &[Pairing]), Comer::remote(1, &[Admin]), Err("MISSING_SCOPE")),
        (caller(None, &[Read, Write]), Comer::remote(1, &[Read]), Err("MISSING_SCOPE")),
        (caller(None, &[Pairing, Write]), Comer::remote(1, &[]).node(&[]), Err("MISSING_SCOPE")),
        (caller(Some(2), &[Admin]), Comer::remote(1, &[]).node(&[]), Ok(())),
        (caller(Some(2), &[Admin]), Comer::remote(1, &[Admin]), Ok(())),
        (caller(Some(2), &[Pairing, Read]), Comer::remote(1, &[Read]), Err("UNKNOWN_REQUEST")),
        (caller(Some(1), &[Admin]), Comer::remote(1, &[Read]), Err("SELF_APPROVAL")),
    ];
    for (by, comer, expected) in cases {
        let mut world = World::new();
        let pending = world.pending(&comer);
        let result = world.command(&by, approve(&pending.request));
        match expected {
            Ok(()) => {
                result.unwrap();
                world.admitted(&comer);
            }
            Err(code) => {
                assert_eq!(result.unwrap_err().code, code, "{by:?}");
                assert!(world.state.device(&proven(1).id).is_none(), "{by:?}");
                assert_eq!(world.state.pending(world.now).count(), 1, "{by:?}");
            }
        }
    }
}

#[test]
fn a_run_decides_nothing_about_devices_whoever_started_it() {
    let facts = ChildFacts {
        run: RunId::new("r".into()),
        session: SessionId::new("s".into()),
        agent: AgentId::main(),
        max_depth: 1,
        workspace: "/w".into(),
        max_descendants: 5,
        expires_at_ms: None,
    };
    let run = Caller::Run(Grant::for_child(&Caller::Owner, facts));
    let mut world = World::new();
    let pending = world.pending(&Comer::remote(1, &[Read]));
    let refusal = world.command(&run, approve(&pending.request)).unwrap_err();
    assert_eq!(refusal.code, "RUN_MAY_NOT_PAIR");
    assert!(!world.state.shows(&run, &proven(1).id));
}

#[test]
fn what_a_caller_may_not_know_of_is_told_like_what_does_not_exist() {
    let mut world = World::new();
    world.paired(1, &[Read]);
    world.paired(2, &[Pairing, Read]);
    let request = world.pending(&Comer::remote(3, &[Read])).request;
    let nobody = RequestId::new("00000000-0000-8000-a000-000000000000".into());
    let by = caller(Some(2), &[Pairing, Read]);
    let decide = |world: &World, command| world.state.decide(&by, command, world.now).unwrap_err();
    for (hidden, absent) in [
        (approve(&request), approve(&nobody)),
        (Command::Reject { request: request.clone() }, Command::Reject { request: nobody }),
        (rotate(&mut world, 1, None, false, false), rotate(&mut world, 9, None, false, false)),
        (
            Command::Revoke { device: proven(1).id, role: Role::Operator },
            Command::Revoke { device: proven(9).id, role: Role::Operator },
        ),
        (Command::Remove { device: proven(1).id }, Command::Remove { device: proven(9).id }),
        (
            Command::Rename { device: proven(1).id, label: None },
            Command::Rename { device: proven(9).id, label: None },
        ),
    ] {
        assert_eq!(decide(&world, hidden), decide(&world, absent));
    }
    assert!(world.state.shows(&by, &proven(2).id) && !world.state.shows(&by, &proven(1).id));
}

#[test]
fn rotating_never_opens_a_role_nor_widens_a_token() {
    let mut world = World::new();
    world.paired(1, &[Read, Write]);
    world.paired(2, &[Read, Write, Pairing]);
    let secret = caller(None, &[Pairing, Read]);
    type Case = (Caller, u8, Option<&'static [Scope]>, Result<(), &'static str>);
    let cases: [Case; 8] = [
        (Caller::Owner, 1, Some(&[Read]), Ok(())),
        (Caller::Owner, 1, Some(&[Admin]), Err("SCOPE_BEYOND_APPROVAL")),
        (caller(Some(3), &[Admin]), 1, Some(&[Admin]), Err("SCOPE_BEYOND_APPROVAL")),
        (secret.clone(), 1, Some(&[Read]), Ok(())),
        (secret.clone(), 1, Some(&[Write]), Err("MISSING_SCOPE")),
        (secret, 1, None, Err("MISSING_SCOPE")),
        (caller(Some(2), &[Pairing]), 2, Some(&[Read]), Err("MISSING_SCOPE")),
        (caller(Some(2), &[Pairing, Read]), 2, Some(&[Read]), Ok(())),
    ];
    for (by, name, wanted, expected) in cases {
        let mut world = world.clone();
        let command = rotate(&mut world, name, wanted, false, false);
        let result = world.command(&by, command);
        assert_eq!(
            result.map(|_| ()).map_err(|refusal| refusal.code),
            expected,
            "{by:?} {wanted:?}"
        );
        assert!(world.ceiling(name).is_subset(&scopes(&[Read, Write, Pairing])));
    }
    world.owner(Command::Revoke { device: proven(1).id, role: Role::Operator });
    let command = rotate(&mut world, 1, None, false, true);
    assert_eq!(world.command(&Caller::Owner, command).unwrap_err().code, "ROLE_NOT_APPROVED");
    let node = Command::Rotate {
        device: proven(2).id,
        role: Role::Node,
        scopes: None,
        fresh: world.fresh(),
        by_own_token: false,
        reveal: true,
    };
    assert_eq!(world.command(&Caller::Owner, node).unwrap_err().code, "ROLE_NOT_APPROVED");
}

#[test]
fn a_new_token_goes_to_the_device_by_its_own_token_or_to_the_owner_who_asks() {
    let mut world = World::new();
    world.paired(1, &[Read, Pairing]);
    let own = caller(Some(1), &[Read, Pairing]);
    let admin = caller(Some(2), &[Admin]);
    let cases = [
        (Caller::Owner, false, true, true),
        (Caller::Owner, false, false, false),
        (own.clone(), true, false, true),
        (own, false, true, false),
        (admin, true, true, false),
    ];
    for (by, by_own_token, reveal, shown) in cases {
        let mut world = world.clone();
        let command = rotate(&mut world, 1, None, by_own_token, reveal);
        let token = token_of(world.command(&by, command).unwrap());
        assert_eq!(token.is_some(), shown, "{by:?}");
        let comer = Comer::remote(1, &[Read]);
        match token {
            Some(token) => {
                assert!(world.admitted(&comer.with_device_token(&token)).by_device_token)
            }
            // Nobody knows it, so the device gets one when it shows the shared secret.
            None => assert!(world.admitted(&comer).issued.is_some()),
        }
    }
}

#[test]
fn what_another_lowered_the_device_does_not_raise() {
    let mut world = World::new();
    world.paired(1, &[Read, Write, Pairing]);
    let lower = rotate(&mut world, 1, Some(&[Pairing]), false, false);
    world.owner(lower);
    let own = caller(Some(1), &[Pairing]);
    for wanted in [&[Read][..], &[Pairing, Write], &[Read, Write, Pairing]] {
        let raise = rotate(&mut world, 1, Some(wanted), true, false);
        assert_eq!(world.command(&own, raise).unwrap_err().code, "SCOPES_HELD_DOWN");
    }
    let again = rotate(&mut world, 1, None, true, false);
    world.command(&own, again).unwrap();
    assert_eq!(world.ceiling(1), scopes(&[Pairing]));
    let whole = rotate(&mut world, 1, Some(&[Read, Write, Pairing]), false, false);
    world.owner(whole);
    assert_eq!(world.ceiling(1), scopes(&[Read, Write, Pairing]));
}

#[test]
fn what_ends_connections_says_so() {
    let mut world = World::new();
    world.paired(1, &[Read]);
    let (device, role) = (proven(1).id, Role::Operator);
    let ends = |world: &mut World, command| {
        let decision = world.state.decide(&Caller::Owner, command, world.now).unwrap();
        let ends = decision.events.iter().filter_map(PairingEvent::disconnects);
        ends.map(|end| (end.device, end.role)).collect::<Vec<_>>()
    };
    let command = rotate(&mut world, 1, None, false, false);
    assert_eq!(ends(&mut world, command), [(device.clone(), Some(role))]);
    let revoke = Command::Revoke { device: device.clone(), role };
    assert_eq!(ends(&mut world, revoke.clone()), [(device.clone(), Some(role))]);
    let remove = Command::Remove { device: device.clone() };
    assert_eq!(ends(&mut world, remove), [(device.clone(), None)]);
    let clear = Command::Clear(Cleared::Everything);
    assert_eq!(ends(&mut world, clear), [(device.clone(), None)]);
    assert_eq!(ends(&mut world, Command::Clear(Cleared::Pending)), []);
    world.owner(revoke.clone());
    assert_eq!(ends(&mut world, revoke), [], "revoking twice is revoking once");
}

#[test]
fn a_connection_that_was_let_in_just_before_is_found_to_stand_on_nothing() {
    type Take = fn(&mut World) -> Command;
    let takes: [Take; 3] = [
        |_| Command::Revoke { device: proven(1).id, role: Role::Operator },
        |_| Command::Remove { device: proven(1).id },
        |world| rotate(world, 1, Some(&[]), false, false),
    ];
    for take in takes {
        let mut world = World::new();
        world.paired(1, &[Read]);
        let admitted = world.admitted(&Comer::remote(1, &[Read]));
        assert!(world.state.upholds(&admitted.caller, false));
        let command = take(&mut world);
        world.owner(command);
        assert!(!world.state.upholds(&admitted.caller, false));
    }
    assert!(World::new().state.upholds(&caller(Some(1), &[Read]), true));
    assert!(World::new().state.upholds(&caller(None, &[Read]), false));
}

#[test]
fn a_revocation_voids_what_was_asked_before_it() {
    let mut world = World::new();
    world.paired(1, &[Read]);
    let pending = world.pending(&Comer::remote(1, &[Write]));
    world.owner(Command::Revoke { device: proven(1).id, role: Role::Operator });
    let refusal = world.command(&Caller::Owner, approve(&pending.request)).unwrap_err();
    assert_eq!(refusal.message, "unknown requestId");
}

#[test]
fn reject_remove_rename_and_clear_do_what_they_say() {
    let mut world = World::new();
    let request = world.pending(&Comer::remote(1, &[Read])).request;
    world.owner(Command::Reject { request: request.clone() });
    assert_eq!(world.state.pending(world.now).count(), 0);
    assert_eq!(world.state.outcome(&proven(1).id, &request, world.now), Outcome::Rejected);
    world.paired(1, &[Read]);
    let label = Some("  the\u{7} kitchen ".to_owned());
    world.owner(Command::Rename { device: proven(1).id, label });
    assert_eq!(world.state.device(&proven(1).id).unwrap().name(), "the kitchen");
    world.pending(&Comer::remote(1, &[Admin]));
    world.owner(Command::Remove { device: proven(1).id });
    assert!(world.state.device(&proven(1).id).is_none());
    assert_eq!(world.state.pending(world.now).count(), 0);
    world.paired(1, &[Read]);
    world.pending(&Comer::remote(2, &[Read]));
    let by = caller(None, &[Pairing]);
    world.command(&by, Command::Clear(Cleared::Everything)).unwrap_err();
    let reply = world.owner(Command::Clear(Cleared::Pending));
    assert!(matches!(reply, Reply::Cleared { devices: 0, requests: 1 }));
    let reply = world.owner(Command::Clear(Cleared::Everything));
    assert!(matches!(reply, Reply::Cleared { devices: 1, requests: 0 }));
    assert_eq!(world.state.devices().count(), 0);
}

#[test]
fn every_refusal_of_a_device_names_the_owners_command() {
    let mut world = World::new();
    let request = world.pending(&Comer::remote(1, &[Admin])).request;
    let by = caller(None, &[Pairing]);
    let refusal = world.command(&by, approve(&request)).unwrap_err();
    assert_eq!(refusal.remedy.as_str(), format!("hatchery devices approve {request}"));
    assert_eq!(refusal.rule, "operator.admin");
}

#[test]
fn an_upgrade_of_a_live_device_is_asked_decided_and_fetched_once() {
    let mut world = World::new();
    world.paired(1, &[Read]);
    let own = caller(Some(1), &[Read]);
    let ask = |wanted: &[Scope]| Command::RequestUpgrade {
        scopes: scopes(wanted),
        origin: None,
        address: "192.0.2.7".parse().unwrap(),
    };
    let asked = |reply| match reply {
        Reply::UpgradeAsked { request } => request,
        other => panic!("{other:?}"),
    };
    let request = asked(world.command(&own, ask(&[Write])).unwrap());
    let device = proven(1).id;
    assert_eq!(world.state.outcome(&device, &request, world.now), Outcome::Waiting);
    let claim = |world: &mut World| Command::ClaimUpgrade {
        request: request.clone(),
        fresh: world.fresh(),
    };
    let early = claim(&mut world);
    world.command(&own, early).unwrap_err();
    let other = caller(Some(2), &[Read, Pairing]);
    world.command(&other, approve(&request)).unwrap_err();
    world.owner(approve(&request));
    assert_eq!(world.state.outcome(&device, &request, world.now), Outcome::Approved);
    assert_eq!(world.state.outcome(&proven(2).id, &request, world.now), Outcome::Expired);
    let stolen = claim(&mut world);
    world.command(&other, stolen).unwrap_err();
    let mine = claim(&mut world);
    let Reply::UpgradeClaimed { token, scopes: got, .. } = world.command(&own, mine).unwrap()
    else {
        panic!("not claimed");
    };
    assert_eq!(got, scopes(&[Read, Write]));
    let comer = Comer::remote(1, &[Write]).with_device_token(&token);
    assert_eq!(granted(&world.admitted(&comer)), scopes(&[Write]));
    let twice = claim(&mut world);
    world.command(&own, twice).unwrap_err();
    // What was approved long ago needs no asking.
    let within = asked(world.command(&own, ask(&[Read])).unwrap());
    assert_eq!(world.state.outcome(&device, &within, world.now), Outcome::Approved);
    // Nobody without a record asks.
    world.command(&caller(None, &[Admin]), ask(&[Read])).unwrap_err();
    world.command(&caller(Some(9), &[Read]), ask(&[Read])).unwrap_err();
    // A chatty device forgets its own outcomes and not another's.
    world.paired(2, &[Read, Write, Pairing]);
    let two = caller(Some(2), &[Read]);
    for wanted in 0..=MAX_OUTCOMES_PER_DEVICE {
        world.now += 1;
        let all = [Read, Write, Pairing, Scope::SessionsRead, Scope::SessionsWrite, Scope::Talk];
        let some: Vec<Scope> = all
            .into_iter()
            .enumerate()
            .filter(|(i, _)| wanted >> i & 1 == 1)
            .map(|(_, s)| s)
            .collect();
        world.command(&two, ask(&some)).unwrap();
    }
    assert_eq!(world.state.outcome(&device, &within, world.now), Outcome::Approved);
}

#[test]
fn a_record_survives_being_kept_and_holds_no_secret() {
    let mut world = World::new();
    let token = world.paired(1, &[Read]);
    let record = world.state.device(&proven(1).id).unwrap();
    assert_eq!(record.approved_via, ApprovedVia::Owner);
    let kept = serde_json::to_string(record).unwrap();
    assert!(!kept.contains(token.reveal()));
    let read: hatchery_access::pairing::PairedDevice = serde_json::from_str(&kept).unwrap();
    assert_eq!(&read, record);
    let view = record.view();
    assert_eq!(view["tokens"][0]["role"], "operator");
    assert_eq!(view["scopes"], serde_json::json!(["operator.read"]));
    assert!(!view.to_string().contains("hash"));
    // After a restart the token is as good as before.
    let mut again = World::new();
    again.state = hatchery_access::pairing::PairingState::new([9; 32], [read]);
    assert!(again.admitted(&Comer::remote(1, &[Read]).with_device_token(&token)).by_device_token);
}
