//! What a refusal at the door says on the wire, in both versions of it.

use hatchery_access::connect::{
    Denial, MAX_CLOSE_REASON_BYTES, SecretBucket, SharedFailure, SharedProof,
};
use hatchery_access::pairing::Command;
use hatchery_protocol::Scope::{Admin, Read, Write};
use hatchery_protocol::{ErrorCode, ProtocolVersion, Secret};
use serde_json::json;

use super::world::{Comer, World, proven, scopes};

#[test]
fn whoever_has_to_be_approved_is_told_how_and_the_command_works_the_first_time() {
    let mut world = World::new();
    world.paired(1, &[Read]);
    let comer = Comer::remote(1, &[Admin]);
    // However often it tries, the command it was told first is still the one.
    let first = world.pending(&comer);
    for _ in 0..50 {
        world.now += 1000;
        assert_eq!(world.pending(&comer).denial, first.denial);
    }
    let wire = first.denial.wire();
    let id = first.request.as_str();
    assert_eq!(wire.code, ErrorCode::NotPaired);
    assert_eq!(first.denial.close_code, 1008);
    let reason =
        format!("pairing required: more scopes are asked than were approved (requestId: {id})");
    assert_eq!(first.denial.close_reason, reason);
    assert!(reason.len() <= MAX_CLOSE_REASON_BYTES);
    let command = format!("hatchery devices approve {id}");
    let expected = json!({
        "code": "PAIRING_REQUIRED", "rule": "pairing", "remedy": command, "command": command,
        "requestId": id, "reason": "scope-upgrade",
        "remediationHint": format!("Run `{command}` on the gateway's machine."),
        "deviceId": proven(1).id, "requestedRole": "operator",
        "requestedScopes": ["operator.admin"], "approvedRoles": ["operator"],
        "approvedScopes": ["operator.read"],
    });
    assert_eq!(wire.details, Some(expected));
    let id = command.rsplit(' ').next().unwrap();
    let request = hatchery_access::pairing::RequestId::new(id.to_owned());
    world.owner(Command::Approve { request });
    world.admitted(&comer);
}

#[test]
fn the_older_version_gets_the_older_shape() {
    let mut world = World::new();
    let pending =
        world.pending(&Comer { version: ProtocolVersion::V3, ..Comer::remote(1, &[Read]) });
    assert_eq!(pending.denial.close_reason, "pairing required");
    let command = format!("hatchery devices approve {}", pending.request);
    let expected = json!({
        "code": "PAIRING_REQUIRED", "rule": "pairing", "remedy": command, "command": command,
        "requestId": pending.request, "reason": "not-paired",
    });
    assert_eq!(pending.denial.wire().details, Some(expected));
    assert!(pending.denial.wire().message.contains(&command));
}

#[test]
fn every_reason_fits_into_a_close_with_its_request_id() {
    use hatchery_access::pairing::Reason;
    for reason in
        [Reason::NotPaired, Reason::RoleUpgrade, Reason::ScopeUpgrade, Reason::MetadataUpgrade]
    {
        let text =
            format!("pairing required: {} (requestId: {})", reason.in_words(), "0".repeat(36));
        assert!(text.len() <= MAX_CLOSE_REASON_BYTES, "{text}");
    }
}

#[test]
fn a_program_that_stays_up_is_told_to_come_back_and_a_command_is_not() {
    for (mode, comes_back) in
        [("ui", true), ("webchat", true), ("node", true), ("cli", false), ("backend", false)]
    {
        let mut comer = Comer::remote(1, &[Read]);
        comer.params.client.mode = mode.into();
        let details = World::new().pending(&comer).denial.wire().details.unwrap();
        let step = comes_back.then_some("wait_then_retry");
        assert_eq!(details.get("recommendedNextStep").and_then(|v| v.as_str()), step, "{mode}");
        let pause = details.get("pauseReconnect").and_then(serde_json::Value::as_bool);
        assert_eq!(pause, comes_back.then_some(false), "{mode}");
    }
}

#[test]
fn a_wrong_secret_is_named_counted_and_says_what_to_do() {
    use SharedFailure as F;
    let device = || Comer::remote(1, &[Read]);
    let with_token = |comer: Comer| comer.with_device_token(&Secret::new("wrong".into()));
    let with_code = |comer: Comer| {
        comer.with_auth(|auth| auth.bootstrap_token = Some(Secret::new("wrong".into())))
    };
    let cases = [
        (
            device(),
            F::TokenMissing,
            "AUTH_TOKEN_MISSING",
            "token_missing",
            false,
            "update_auth_configuration",
            None,
        ),
        (
            device(),
            F::TokenMismatch,
            "AUTH_TOKEN_MISMATCH",
            "token_mismatch",
            true,
            "retry_with_device_token",
            Some(SecretBucket::Shared),
        ),
        (
            device().keyless("a", "b"),
            F::TokenMismatch,
            "AUTH_TOKEN_MISMATCH",
            "token_mismatch",
            false,
            "update_auth_credentials",
            Some(SecretBucket::Shared),
        ),
        (
            device(),
            F::PasswordMissing,
            "AUTH_PASSWORD_MISSING",
            "password_missing",
            false,
            "update_auth_configuration",
            None,
        ),
        (
            device(),
            F::PasswordMismatch,
            "AUTH_PASSWORD_MISMATCH",
            "password_mismatch",
            false,
            "update_auth_credentials",
            Some(SecretBucket::Shared),
        ),
        (
            with_token(device()),
            F::TokenMissing,
            "AUTH_DEVICE_TOKEN_MISMATCH",
            "device_token_mismatch",
            false,
            "update_auth_credentials",
            Some(SecretBucket::DeviceToken),
        ),
        // A field more does not switch the counting off.
        (
            with_token(device()),
            F::TokenMismatch,
            "AUTH_DEVICE_TOKEN_MISMATCH",
            "device_token_mismatch",
            false,
            "update_auth_credentials",
            Some(SecretBucket::Shared),
        ),
        (
            with_code(device()),
            F::TokenMissing,
            "AUTH_BOOTSTRAP_TOKEN_INVALID",
            "bootstrap_token_invalid",
            false,
            "update_auth_credentials",
            Some(SecretBucket::SetupCode),
        ),
        (
            device(),
            F::ProxyIdentityMissing,
            "AUTH_IDENTITY_HEADER_REQUIRED",
            "identity_header_required",
            false,
            "review_auth_configuration",
            None,
        ),
    ];
    for (comer, failure, code, reason, may_retry, step, bucket) in cases {
        let denial = World::new().refused(&comer.with_shared(SharedProof::Failed(failure)));
        let wire = denial.wire();
        assert_eq!(wire.code, ErrorCode::InvalidRequest, "{code}");
        assert_eq!(denial.close_code, 1008, "{code}");
        assert!(denial.close_reason.starts_with("unauthorized: "), "{code}");
        assert_eq!(wire.detail("code"), Some(code));
        assert_eq!(wire.detail("authReason"), Some(reason));
        assert_eq!(wire.detail("recommendedNextStep"), Some(step), "{code}");
        assert_eq!(wire.details.unwrap()["canRetryWithDeviceToken"], may_retry, "{code}");
        assert_eq!(denial.failed_secret, bucket, "{code}");
        assert!(!denial.refusal.remedy.as_str().is_empty(), "{code}");
    }
}

#[test]
fn too_many_tries_say_how_long_to_wait() {
    let wire = Denial::rate_limited(12_345).wire();
    assert_eq!(wire.detail("code"), Some("AUTH_RATE_LIMITED"));
    assert_eq!(wire.detail("recommendedNextStep"), Some("wait_then_retry"));
    assert_eq!((wire.retryable, wire.retry_after_ms), (Some(true), Some(12_345)));
}

#[test]
fn a_role_that_does_not_exist_is_refused_before_anything_else() {
    let mut comer = Comer::local(1, &[Admin]);
    for role in ["worker", "admin", "Operator", ""] {
        comer.params.role = Some(role.into());
        let denial = World::new().refused(&comer);
        assert_eq!((denial.close_code, denial.close_reason.as_str()), (1008, "invalid role"));
        assert_eq!(denial.wire().code, ErrorCode::InvalidRequest);
    }
}

#[test]
fn every_request_and_device_is_explained_with_the_command_that_helps() {
    let mut world = World::new();
    world.paired(1, &[Read]);
    let comer = Comer { origin: Some("https://a.example"), ..Comer::local(1, &[Read, Write]) };
    let pending = world.pending(&comer);
    let by_request = world.state.explain(pending.request.as_str(), world.now).unwrap();
    assert_eq!(by_request.commands[0], format!("hatchery devices approve {}", pending.request));
    let rule = |name| by_request.rules.iter().find(|one| one.rule == name).unwrap().clone();
    assert!(rule("paired").holds && rule("role").holds && !rule("scopes").holds);
    assert!(rule("scopes").says.ends_with("missing: operator.write"));
    assert_eq!(rule("approved without asking").says, "it comes from a web page");
    // A beginning of the id is enough, and a device that is not let in is known by its request.
    assert_eq!(world.state.explain(&pending.request.as_str()[..8], world.now), Some(by_request));
    world.pending(&Comer::remote(2, &[Read]));
    assert!(world.state.explain(proven(2).id.as_str(), world.now).is_some());
    let by_device = world.state.explain(proven(1).id.short(), world.now).unwrap();
    assert_eq!(by_device.commands, [format!("hatchery devices approve {}", pending.request)]);
    for unknown in ["", "abc", "nothing-like-this"] {
        assert_eq!(world.state.explain(unknown, world.now), None);
    }
    assert_eq!(world.ceiling(1), scopes(&[Read]));
}
