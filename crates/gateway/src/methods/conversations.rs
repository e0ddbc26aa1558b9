//! `sessions.*` that write: opening, changing, beginning anew and deleting, and what to hear of.

use std::sync::Arc;

use hatchery_access::{Admin, Permit, Read, Refusal, Remedy, Write};
use hatchery_protocol::{AgentId, ErrorCode, SessionId, SessionKey, WireError};
use hatchery_spawn::{Event, SessionSettings};
use hatchery_store::SessionView;
use serde::Deserialize;
use serde_json::{Value, json};

use super::saying::{self, Words};
use super::session_row::row_of;
use super::sessions::reading;
use super::{conversation, history};
use crate::gateway::Shared;
use crate::hub::ConnectionId;

/// The settings a session may have, besides its label and its model. What would have to be
/// enforced and is not (where commands run, what they may do) is not among them.
const SETTINGS: [&str; 14] = [
    "archived",
    "category",
    "fastMode",
    "groupActivation",
    "icon",
    "label",
    "model",
    "pinned",
    "reasoningLevel",
    "responseUsage",
    "thinkingLevel",
    "traceLevel",
    "unread",
    "verboseLevel",
];

/// The longest value of a setting, in bytes.
const MAX_SETTING: usize = 512;

/// How long a session that begins anew waits for its turn to be gone.
const RESET_PATIENCE: std::time::Duration = std::time::Duration::from_secs(15);

/// Parameters that name a session.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KeyParams {
    #[serde(alias = "sessionKey")]
    key: String,
    agent_id: Option<AgentId>,
    delete_transcript: Option<bool>,
}

/// Parameters of `sessions.abort`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AbortParams {
    key: Option<String>,
    run_id: Option<String>,
    agent_id: Option<AgentId>,
}

/// Parameters of `sessions.create`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreateParams {
    key: Option<String>,
    agent_id: Option<AgentId>,
    label: Option<String>,
    model: Option<String>,
    thinking_level: Option<String>,
    parent_session_key: Option<String>,
    #[serde(alias = "task")]
    message: Option<String>,
    idempotency_key: Option<String>,
}

/// Opens a session, and says a first message in it where there is one.
pub(crate) async fn create(
    shared: &Arc<Shared>,
    permit: Permit<Write>,
    params: CreateParams,
) -> Result<Value, WireError> {
    let caller = permit.caller();
    let agent = params.agent_id.as_ref();
    let key = match &params.key {
        Some(text) => conversation::key(shared, text, agent)?,
        None => {
            let policy = shared.supervisor.settings.policy();
            let agent = agent.unwrap_or(&policy.default_agent);
            SessionKey::dashboard(agent, &saying::new_name()?)
        }
    };
    let parent = match &params.parent_session_key {
        Some(text) => conversation::find(shared, caller, text, agent).await?,
        None => None,
    };
    let mut settings = SessionSettings::new();
    let given = [
        ("label", params.label),
        ("model", params.model),
        ("thinkingLevel", params.thinking_level),
    ];
    for (name, value) in given {
        if let Some(value) = value {
            settings.insert(name.to_owned(), json!(value));
        }
    }
    check_settings(&settings)?;
    let existing = conversation::find(shared, caller, key.as_str(), None).await?;
    let is_new = existing.is_none();
    let session = match existing {
        Some(session) => session,
        None => conversation::open_new(shared, caller, key, parent.as_ref(), settings).await?,
    };
    let mut answer = json!({
        "ok": true,
        "key": session.key,
        "sessionId": session.transcript_id(),
        "created": is_new,
        "entry": entry(shared, &session).await?,
        "runStarted": false,
    });
    if let Some(text) = params.message.filter(|text| !text.trim().is_empty()) {
        let key = saying::key(params.idempotency_key)?;
        let words = Words { key: key.clone(), text, model: None, timeout_ms: None };
        // The session is there whatever becomes of its first message.
        match saying::say(shared, &permit, &session, words, None, |_| {}).await {
            Ok(_) => {
                answer["runStarted"] = json!(true);
                answer["runId"] = json!(key);
                answer["messageSeq"] = json!(1);
            }
            Err(error) => answer["runError"] = json!(error),
        }
    }
    Ok(answer)
}

/// Stops the turns of a session, or the one of that name.
pub(crate) async fn abort(
    shared: &Arc<Shared>,
    permit: Permit<Write>,
    params: AbortParams,
) -> Result<Value, WireError> {
    let run = params.run_id.as_deref();
    let session = match (&params.key, run) {
        (Some(key), _) => {
            let agent = params.agent_id.as_ref();
            conversation::find(shared, permit.caller(), key, agent).await?.map(|s| s.session_id)
        }
        (None, Some(run)) => shared.supervisor.session_of_turn(run),
        (None, None) => {
            let message = "invalid params: name a session (key) or a run (runId)";
            return Err(WireError::new(ErrorCode::InvalidRequest, message));
        }
    };
    let stopped = match session {
        Some(session) => shared.supervisor.hush(&permit, &session, run).await?,
        None => Vec::new(),
    };
    let status = if stopped.is_empty() { "no-active-run" } else { "aborted" };
    Ok(json!({"ok": true, "abortedRunId": stopped.first(), "status": status}))
}

/// Changes settings of a session; `null` takes one away.
pub(crate) async fn patch(
    shared: &Arc<Shared>,
    permit: Permit<Admin>,
    params: Value,
) -> Result<Value, WireError> {
    let Value::Object(mut given) = params else {
        return Err(WireError::new(ErrorCode::InvalidRequest, "invalid params: an object"));
    };
    let key = given.remove("key").or_else(|| given.remove("sessionKey"));
    let Some(key) = key.as_ref().and_then(Value::as_str) else {
        return Err(WireError::new(ErrorCode::InvalidRequest, "invalid params: key is missing"));
    };
    given.remove("agentId");
    // What a client expects to find is for stores that several write to; this one has one writer.
    given.retain(|name, _| !name.starts_with("expected"));
    check_settings(&given)?;
    let session = conversation::open(shared, permit.caller(), key, None).await?;
    let brought_back = given.get("archived").is_some_and(|archived| *archived != json!(true));
    set(shared, &session.session_id, given).await?;
    if brought_back && session.archived_at_ms.is_some() {
        let reopened = Event::SessionReopened { session: session.session_id.clone() };
        shared.supervisor.record(vec![reopened]).await?;
    }
    let session = read_again(shared, &session).await?;
    Ok(json!({
        "ok": true,
        "path": shared.state_directory.path().join("hatchery.db"),
        "key": session.key,
        "entry": entry(shared, &session).await?,
    }))
}

/// Sets some of a session's settings.
pub(crate) async fn set(
    shared: &Arc<Shared>,
    session: &SessionId,
    settings: SessionSettings,
) -> Result<(), Refusal> {
    let patched = Event::SessionPatched { session: session.clone(), settings };
    shared.supervisor.record(vec![patched]).await
}

fn check_settings(settings: &SessionSettings) -> Result<(), Refusal> {
    for (name, value) in settings {
        let refuse = |why: &str| {
            Err(Refusal::forbidden(
                "BAD_SETTING",
                "settings of a session",
                format!("'{}' {why}", name.chars().take(64).collect::<String>()),
                Remedy::Advice(format!("what can be set: {}", SETTINGS.join(", "))),
            )
            .in_class(ErrorCode::InvalidRequest))
        };
        if !SETTINGS.contains(&name.as_str()) {
            return refuse("cannot be set for a session of this gateway");
        }
        match value {
            Value::String(text) if text.len() <= MAX_SETTING => {}
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
            _ => return refuse("has to be a short text, a number, true, false or null"),
        }
    }
    Ok(())
}

/// Begins a session's transcript anew.
pub(crate) async fn reset(
    shared: &Arc<Shared>,
    permit: Permit<Admin>,
    params: KeyParams,
) -> Result<Value, WireError> {
    let agent = params.agent_id.as_ref();
    let session = conversation::open(shared, permit.caller(), &params.key, agent).await?;
    begin_anew(shared, &hatchery_access::authorize(permit.caller())?, &session).await?;
    let session = read_again(shared, &session).await?;
    Ok(json!({"ok": true, "key": session.key, "entry": entry(shared, &session).await?}))
}

/// Stops what goes on in a session and begins its transcript anew.
pub(crate) async fn begin_anew(
    shared: &Arc<Shared>,
    permit: &Permit<Write>,
    session: &SessionView,
) -> Result<(), WireError> {
    no_session_of_a_run(session)?;
    be_still(shared, permit, session).await?;
    let reset = Event::SessionReset { session: session.session_id.clone() };
    Ok(shared.supervisor.record(vec![reset]).await?)
}

/// Stops what goes on in a session and waits, within bounds, until it is gone.
async fn be_still(
    shared: &Arc<Shared>,
    permit: &Permit<Write>,
    session: &SessionView,
) -> Result<(), WireError> {
    for name in shared.supervisor.hush(permit, &session.session_id, None).await? {
        if tokio::time::timeout(RESET_PATIENCE, shared.supervisor.ended(&name)).await.is_err() {
            tracing::warn!(run = name, "a turn takes long to end");
        }
    }
    Ok(())
}

fn no_session_of_a_run(session: &SessionView) -> Result<(), Refusal> {
    if !session.kind.is_of_a_run() {
        return Ok(());
    }
    Err(Refusal::forbidden(
        "SESSION_OF_A_RUN",
        "sessions",
        format!("{} was opened for a run, whose record it is", session.key),
        Remedy::Command(format!("hatchery sessions show {}", session.session_id)),
    )
    .in_class(ErrorCode::InvalidRequest))
}

/// Deletes a session. Its key is free again.
pub(crate) async fn delete(
    shared: &Arc<Shared>,
    permit: Permit<Admin>,
    params: KeyParams,
) -> Result<Value, WireError> {
    let agent = params.agent_id.as_ref();
    let session = conversation::existing(shared, permit.caller(), &params.key, agent).await?;
    if session.session_id == SessionId::main() {
        return Err(Refusal::forbidden(
            "MAIN_SESSION",
            "sessions",
            "the main session cannot be deleted",
            Remedy::Advice("begin it anew: say /reset in it".to_owned()),
        )
        .in_class(ErrorCode::InvalidRequest)
        .into());
    }
    if session.kind.is_of_a_run() && !shared.supervisor.live_in(&session.session_id).is_empty() {
        return Err(Refusal::forbidden(
            "SESSION_AT_WORK",
            "sessions",
            format!("a sub-agent is at work in {}", session.key),
            Remedy::Command(format!("hatchery sessions kill {}", session.session_id)),
        )
        .in_class(ErrorCode::InvalidRequest)
        .into());
    }
    be_still(shared, &hatchery_access::authorize(permit.caller())?, &session).await?;
    let with_transcript = params.delete_transcript.unwrap_or(true);
    let deleted = Event::SessionDeleted {
        session: session.session_id.clone(),
        key: session.key.clone(),
        with_transcript,
    };
    shared.supervisor.record(vec![deleted]).await?;
    let archived = if with_transcript { Vec::new() } else { vec![session.transcript_id()] };
    Ok(json!({"ok": true, "key": session.key, "deleted": true, "archived": archived}))
}

/// Nothing to leave out: a transcript is stored whole and read page by page.
pub(crate) async fn compact(
    shared: &Arc<Shared>,
    permit: Permit<Admin>,
    params: KeyParams,
) -> Result<Value, WireError> {
    let agent = params.agent_id.as_ref();
    let session = conversation::existing(shared, permit.caller(), &params.key, agent).await?;
    Ok(json!({"ok": true, "key": session.key, "compacted": false,
        "reason": "transcripts are kept whole and read page by page"}))
}

/// The messages of a session.
pub(crate) async fn get(
    shared: &Arc<Shared>,
    permit: Permit<Read>,
    params: history::Params,
) -> Result<Value, WireError> {
    history::history(shared, permit.caller(), &params).await
}

/// From now on the connection hears of changed sessions, or no longer. A run hears of none.
pub(crate) fn subscribe(
    shared: &Shared,
    permit: &Permit<Read>,
    connection: ConnectionId,
    hear: bool,
) -> Result<Value, WireError> {
    if permit.caller().grant().is_some() {
        return Err(not_for_runs());
    }
    shared.hub.hear_sessions(connection, hear);
    Ok(json!({"subscribed": hear}))
}

/// From now on the connection hears the messages of a session, or no longer.
pub(crate) fn subscribe_messages(
    shared: &Shared,
    permit: &Permit<Read>,
    params: &KeyParams,
    connection: ConnectionId,
    hear: bool,
) -> Result<Value, WireError> {
    if permit.caller().grant().is_some() {
        return Err(not_for_runs());
    }
    let key = conversation::key(shared, &params.key, params.agent_id.as_ref())?;
    shared.hub.hear_messages(connection, key.clone(), hear);
    Ok(json!({"subscribed": hear, "key": key}))
}

fn not_for_runs() -> WireError {
    Refusal::forbidden(
        "NOT_FOR_RUNS",
        "ticket door",
        "a run hears of nobody's sessions",
        Remedy::Advice("read your own sub-agents with `hatchery sessions list`".to_owned()),
    )
    .into()
}

/// No channel is connected, so nothing can be sent.
pub(crate) fn send(_permit: &Permit<Write>) -> Result<Value, WireError> {
    Err(Refusal::forbidden(
        "NO_CHANNEL",
        "channels",
        "this gateway has no channel to send a message over",
        Remedy::Advice("say it in a session: chat.send".to_owned()),
    )
    .in_class(ErrorCode::Unavailable)
    .into())
}

async fn read_again(shared: &Arc<Shared>, session: &SessionView) -> Result<SessionView, WireError> {
    let (key, stands) = (session.key.clone(), session.clone());
    let found = reading(shared, move |store| store.session_by_key(&key)).await?;
    Ok(found.unwrap_or(stands))
}

/// A session as lists show it.
async fn entry(shared: &Arc<Shared>, session: &SessionView) -> Result<Value, WireError> {
    let (key, policy) = (session.key.clone(), shared.supervisor.settings.policy());
    reading(shared, move |store| row_of(store, &policy, &key)).await
}
