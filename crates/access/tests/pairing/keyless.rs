//! Clients without a device key: what the shared secret alone is good for.

use hatchery_access::connect::{SharedFailure, SharedProof};
use hatchery_protocol::ProtocolVersion;
use hatchery_protocol::Scope::{Admin, Read};

use super::world::{Comer, World, granted, scopes};

#[test]
fn the_secret_without_a_key_is_the_owner_by_another_way_for_named_programs_and_else_nothing() {
    let local = |id, mode| Comer::local(1, &[Admin, Read]).keyless(id, mode);
    let all = scopes(&[Admin, Read]);
    let cases = [
        (local("cli", "cli"), all.clone()),
        (local("gateway-client", "backend"), all.clone()),
        (local("cli", "probe"), scopes(&[Read])),
        (local("openclaw-tui", "ui"), scopes(&[])),
        (Comer { version: ProtocolVersion::V3, ..local("cli", "cli") }, scopes(&[])),
        (Comer { direct_loopback: false, ..local("cli", "cli") }, scopes(&[])),
        (Comer { via_proxy: true, ..local("cli", "cli") }, scopes(&[])),
        (Comer { origin: Some("http://localhost"), ..local("cli", "cli") }, scopes(&[])),
        (Comer { via_proxy: true, ..local("cli", "probe") }, scopes(&[])),
    ];
    for (case, (comer, expected)) in cases.into_iter().enumerate() {
        let admitted = World::new().admitted(&comer);
        assert_eq!(granted(&admitted), expected, "case {case}");
        assert!(admitted.issued.is_none() && admitted.events.is_empty(), "case {case}");
        assert_eq!(admitted.caller.device(), None, "case {case}");
    }
}

#[test]
fn without_key_and_secret_nobody_is_let_in() {
    let failed = SharedProof::Failed;
    let cases = [
        (failed(SharedFailure::TokenMissing), "DEVICE_IDENTITY_REQUIRED"),
        (failed(SharedFailure::PasswordMissing), "DEVICE_IDENTITY_REQUIRED"),
        (failed(SharedFailure::TokenMismatch), "AUTH_TOKEN_MISMATCH"),
        (failed(SharedFailure::PasswordMismatch), "AUTH_PASSWORD_MISMATCH"),
        (failed(SharedFailure::TokenNotConfigured), "AUTH_TOKEN_NOT_CONFIGURED"),
        (SharedProof::Open, "DEVICE_IDENTITY_REQUIRED"),
        (SharedProof::Proxy { user: "somebody".into() }, "DEVICE_IDENTITY_REQUIRED"),
    ];
    for (shared, code) in cases {
        let comer = Comer::local(1, &[Admin]).keyless("cli", "cli").with_shared(shared);
        let denial = World::new().refused(&comer);
        assert_eq!(denial.refusal.code, code);
        assert_eq!(denial.failed_secret.is_some(), code.ends_with("MISMATCH"), "{code}");
    }
}

#[test]
fn a_node_and_the_control_ui_need_a_key_unless_a_setting_says_otherwise() {
    let node = Comer::local(1, &[]).keyless("node-host", "node").node(&[]);
    assert_eq!(World::new().refused(&node).refusal.code, "DEVICE_IDENTITY_REQUIRED");
    let page = Comer {
        origin: Some("http://localhost:18789"),
        ..Comer::local(1, &[Admin]).keyless("openclaw-control-ui", "webchat")
    };
    let far = Comer { direct_loopback: false, ..page.clone() };
    let code = "CONTROL_UI_DEVICE_IDENTITY_REQUIRED";
    assert_eq!(World::new().refused(&page).refusal.code, code);
    let insecure = || World::with(|policy| policy.control_ui_insecure = true);
    assert_eq!(granted(&insecure().admitted(&page)), scopes(&[Admin]));
    assert_eq!(insecure().refused(&far).refusal.code, code);
    let without = || World::with(|policy| policy.control_ui_without_device = true);
    assert_eq!(granted(&without().admitted(&far)), scopes(&[Admin]));
    assert_eq!(without().refused(&far.with_shared(SharedProof::Open)).refusal.code, code);
}

#[test]
fn where_programs_are_approved_one_by_one_none_goes_round_it_without_a_key() {
    let mut world = World::with(|policy| policy.auto_approve_local = false);
    let denial = world.refused(&Comer::local(1, &[Admin]).keyless("cli", "cli"));
    assert_eq!(denial.refusal.rule, "gateway.nodes.pairing.autoApproveLocal");
    let probe = world.admitted(&Comer::local(1, &[Admin, Read]).keyless("cli", "probe"));
    assert_eq!(granted(&probe), scopes(&[]));
}
