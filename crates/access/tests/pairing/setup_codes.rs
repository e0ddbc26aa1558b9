//! Setup codes: ten minutes, one device, and never everything.

use hatchery_access::Caller;
use hatchery_access::connect::{AuthMethod, SharedFailure, SharedProof};
use hatchery_access::pairing::{Command, MAX_SETUP_CODES, Reply, SETUP_CODE_TTL_MS, SetupProfile};
use hatchery_protocol::Scope::{self, Admin, Pairing, Read, Write};
use hatchery_protocol::{Role, Secret};

use super::world::{Comer, World, caller, granted, proven, scopes};

fn issue(world: &mut World, most: &[Scope]) -> Secret {
    let profile = SetupProfile { roles: [Role::Operator].into(), scopes: scopes(most) };
    let fresh = world.fresh();
    match world.owner(Command::IssueSetupCode { profile, fresh }) {
        Reply::SetupCode { secret, .. } => secret,
        other => panic!("{other:?}"),
    }
}

fn with_code(name: u8, asked: &[Scope], code: &Secret) -> Comer {
    let code = code.clone();
    Comer::remote(name, asked)
        .with_shared(SharedProof::Failed(SharedFailure::TokenMissing))
        .with_auth(|auth| auth.bootstrap_token = Some(code))
}

#[test]
fn a_code_lets_one_device_in_for_no_more_than_it_says() {
    let mut world = World::new();
    let code = issue(&mut world, &[Read, Write]);
    let first = world.admitted(&with_code(1, &[Admin, Read], &code));
    assert_eq!(first.method, AuthMethod::BootstrapToken);
    assert_eq!(granted(&first), scopes(&[Read]));
    assert_eq!(world.ceiling(1), scopes(&[Read]));
    // Another device has nothing of it.
    let denial = world.refused(&with_code(2, &[Read], &code));
    assert_eq!(denial.refusal.code, "AUTH_BOOTSTRAP_TOKEN_INVALID");
    // The device whose answer was lost may use it again, until it shows its token.
    let token = world.admitted(&with_code(1, &[Read], &code)).issued.unwrap().token;
    let missing = SharedProof::Failed(SharedFailure::TokenMissing);
    let by_token = Comer::remote(1, &[Read]).with_shared(missing).with_device_token(&token);
    assert!(world.admitted(&by_token).by_device_token);
    world.refused(&with_code(1, &[Read], &code));
}

#[test]
fn a_code_lapses_at_its_minute() {
    for (after, good) in [(SETUP_CODE_TTL_MS - 1, true), (SETUP_CODE_TTL_MS, false)] {
        let mut world = World::new();
        let code = issue(&mut world, &[Read]);
        world.now += after;
        if good {
            world.admitted(&with_code(1, &[Read], &code));
        } else {
            world.refused(&with_code(1, &[Read], &code));
        }
    }
}

#[test]
fn a_used_code_does_not_undo_a_revocation_or_a_removal() {
    let takes = [
        Command::Revoke { device: proven(1).id, role: Role::Operator },
        Command::Remove { device: proven(1).id },
    ];
    for take in takes {
        let mut world = World::new();
        let code = issue(&mut world, &[Read]);
        world.admitted(&with_code(1, &[Read], &code));
        world.owner(take);
        world.refused(&with_code(1, &[Read], &code));
    }
}

#[test]
fn no_code_gives_everything_nor_another_role_and_only_an_administrator_makes_one() {
    let mut world = World::new();
    for scope in [Admin, Pairing] {
        let profile = SetupProfile { roles: [Role::Operator].into(), scopes: scopes(&[scope]) };
        let fresh = world.fresh();
        let refusal = world.command(&Caller::Owner, Command::IssueSetupCode { profile, fresh });
        assert_eq!(refusal.unwrap_err().code, "SETUP_CODE_TOO_WIDE");
    }
    let fresh = world.fresh();
    let command = Command::IssueSetupCode { profile: SetupProfile::default(), fresh };
    let refusal = world.command(&caller(None, &[Pairing, Read, Write]), command).unwrap_err();
    assert_eq!(refusal.rule, "operator.admin");
    let code = issue(&mut world, &[Read]);
    world.refused(&with_code(1, &[], &code).node(&[]));
}

#[test]
fn so_many_codes_and_no_more_until_one_lapses() {
    let mut world = World::new();
    for _ in 0..MAX_SETUP_CODES {
        issue(&mut world, &[Read]);
    }
    let fresh = world.fresh();
    let command = Command::IssueSetupCode { profile: SetupProfile::default(), fresh };
    let refusal = world.command(&Caller::Owner, command).unwrap_err();
    assert_eq!(refusal.code, "TOO_MANY_SETUP_CODES");
    world.now += SETUP_CODE_TTL_MS;
    issue(&mut world, &[Read]);
}
