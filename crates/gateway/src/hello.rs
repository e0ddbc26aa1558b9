//! The answer to a good `connect` (OpenClaw protocol §1.7), as JSON.

use std::path::PathBuf;
use std::sync::LazyLock;

use hatchery_access::Caller;
use hatchery_protocol::{Features, HelloAuth, HelloPolicy, Method, Role, Scope, ServerInfo, event};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::clock::now_ms;
use crate::connection::{MAX_FRAME, Speaker};
use crate::event::StateVersion;
use crate::gateway::Shared;
use crate::methods;
use crate::outbox::MAX_BUFFERED;
use crate::tick::TICK_INTERVAL;

/// What a caller was found to be and given.
pub(crate) type Auth = HelloAuth;

/// `hello-ok`, with what never changes as JSON already.
#[derive(Serialize)]
struct Hello<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    protocol: u32,
    server: ServerInfo,
    features: &'a RawValue,
    snapshot: Snapshot,
    auth: &'a Auth,
    policy: &'a RawValue,
}

/// What the gateway can be asked and what it tells.
static FEATURES: LazyLock<Box<RawValue>> = LazyLock::new(|| {
    raw(&Features {
        methods: Method::ALL.iter().map(|method| method.name().to_owned()).collect(),
        events: event::ALL.iter().map(|name| (*name).to_owned()).collect(),
        capabilities: Vec::new(),
    })
});

/// The limits of every connection.
static POLICY: LazyLock<Box<RawValue>> = LazyLock::new(|| {
    raw(&HelloPolicy {
        max_payload: MAX_FRAME,
        max_buffered_bytes: MAX_BUFFERED,
        tick_interval_ms: u64::try_from(TICK_INTERVAL.as_millis()).unwrap_or(u64::MAX),
    })
});

fn raw(value: &impl Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// The answer for somebody who was let in.
pub(crate) fn payload(shared: &Shared, speaker: &Speaker, auth: &Auth) -> Vec<u8> {
    let hello = Hello {
        kind: "hello-ok",
        protocol: speaker.version.number(),
        server: ServerInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            conn_id: speaker.number.to_string(),
        },
        features: &FEATURES,
        snapshot: snapshot(shared, &speaker.caller),
        auth,
        policy: &POLICY,
    };
    // Nothing of that can fail to be written as JSON.
    serde_json::to_vec(&hello).unwrap_or_default()
}

/// How things stand.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Snapshot {
    presence: Box<RawValue>,
    health: Value,
    state_version: StateVersion,
    uptime_ms: u64,
    session_defaults: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    config_path: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_dir: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_mode: Option<&'static str>,
}

/// How things stand, as far as the caller may know.
fn snapshot(shared: &Shared, caller: &Caller) -> Snapshot {
    let holds = |scope: Scope| {
        caller.role() == Role::Operator && caller.scopes().any(|held| held.covers(scope))
    };
    let settings = &shared.supervisor.settings;
    let admin = holds(Scope::Admin);
    let policy = settings.policy();
    let model = policy.agents.get(&policy.default_agent).map_or("", |agent| agent.model.as_str());
    let provider = model.split_once('/').map_or(model, |(provider, _)| provider);
    let presence = if holds(Scope::Read) { shared.hub.presence() } else { raw(&[(); 0]) };
    Snapshot {
        presence,
        health: methods::health::sign(shared),
        state_version: shared.hub.state_version(),
        uptime_ms: now_ms().saturating_sub(shared.started_at_ms),
        session_defaults: json!({
            "defaultAgentId": policy.default_agent,
            "mainKey": "main",
            "mainSessionKey": format!("agent:{}:main", policy.default_agent),
            "scope": "per-sender",
            // Running commands, the built-in model, is for the owner.
            "modelConfigured": caller.is_of_the_owner() || policy.models.contains_key(provider),
        }),
        config_path: admin.then(|| settings.path().to_owned()),
        state_dir: admin.then(|| shared.state_directory.path().to_owned()),
        auth_mode: admin.then(|| settings.config().gateway.auth.mode.as_str()),
    }
}

/// What a caller was found to be, without a token to keep.
pub(crate) fn auth(caller: &Caller) -> Auth {
    Auth {
        role: caller.role(),
        scopes: caller.scopes().collect(),
        method: None,
        device_token: None,
        issued_at_ms: None,
    }
}
