//! Which session a request means, and opening it where it is used for the first time.

use std::path::PathBuf;
use std::sync::Arc;

use hatchery_access::{Caller, Refusal, Remedy};
use hatchery_protocol::{AgentId, ErrorCode, SessionKey, SessionKind, WireError};
use hatchery_spawn::{Event, SessionSettings};
use hatchery_store::{Lookup, SessionFilter, SessionView};

use super::sessions::reading;
use crate::gateway::Shared;
use crate::ids::draw;
use crate::supervisor::unavailable;

/// How many sessions a run is looked for among, when it asks for one: its own tree.
const MAX_TREE: u32 = 1_000;

/// The key a text stands for.
pub(crate) fn key(
    shared: &Shared,
    text: &str,
    agent: Option<&AgentId>,
) -> Result<SessionKey, WireError> {
    let policy = shared.supervisor.settings.policy();
    SessionKey::parse(text, agent.unwrap_or(&policy.default_agent)).map_err(|error| {
        Refusal::forbidden(
            "BAD_SESSION_KEY",
            "session keys",
            format!("'{}' is no session key: {error}", text.chars().take(64).collect::<String>()),
            Remedy::Advice("use `main`, or `agent:<id>:<name>`".to_owned()),
        )
        .in_class(ErrorCode::InvalidRequest)
        .into()
    })
}

/// The session of a key or an id, if there is one and the caller may see it.
pub(crate) async fn find(
    shared: &Arc<Shared>,
    caller: &Caller,
    text: &str,
    agent: Option<&AgentId>,
) -> Result<Option<SessionView>, WireError> {
    let key = key(shared, text, agent)?;
    let text = text.trim().to_owned();
    let below = caller.grant().map(|grant| grant.session().clone());
    reading(shared, move |store| {
        let found = match store.session_by_key(&key)? {
            Some(found) => Some(found),
            None if text.starts_with("sess_") => match store.find_session(&text)? {
                Lookup::One(found) => Some(*found),
                Lookup::None | Lookup::Several(_) => None,
            },
            None => None,
        };
        let (Some(found), Some(root)) = (&found, below) else { return Ok(found) };
        let tree = store.sessions(&SessionFilter {
            limit: MAX_TREE,
            below: Some(root),
            include_archived: true,
        })?;
        Ok(tree.into_iter().find(|seen| seen.session_id == found.session_id))
    })
    .await
}

/// The session of a key, which has to be there.
pub(crate) async fn existing(
    shared: &Arc<Shared>,
    caller: &Caller,
    text: &str,
    agent: Option<&AgentId>,
) -> Result<SessionView, WireError> {
    let found = find(shared, caller, text, agent).await?;
    found.ok_or_else(|| {
        Refusal::forbidden(
            "NO_SUCH_SESSION",
            "sessions",
            format!("session not found: {text}"),
            Remedy::Command("hatchery sessions list".to_owned()),
        )
        .in_class(ErrorCode::InvalidRequest)
        .into()
    })
}

/// The session of a key, opened if this is its first use.
pub(crate) async fn open(
    shared: &Arc<Shared>,
    caller: &Caller,
    text: &str,
    agent: Option<&AgentId>,
) -> Result<SessionView, WireError> {
    if let Some(session) = find(shared, caller, text, agent).await? {
        return Ok(session);
    }
    let key = key(shared, text, agent)?;
    open_new(shared, caller, key, None, SessionSettings::new()).await
}

/// Opens the session of a key, unless it was opened in the meantime.
pub(crate) async fn open_new(
    shared: &Arc<Shared>,
    caller: &Caller,
    key: SessionKey,
    parent: Option<&SessionView>,
    settings: SessionSettings,
) -> Result<SessionView, WireError> {
    may_open(shared, caller, &key)?;
    // One at a time, each until it is durable: two first uses of a key open one session.
    let _turn = shared.supervisor.opening.lock().await;
    let wanted = key.clone();
    if let Some(session) = reading(shared, move |store| store.session_by_key(&wanted)).await? {
        return Ok(session);
    }
    let (_, session) = draw().map_err(|error| unavailable("NO_RANDOMNESS", error))?;
    let session_kind = match key.kind() {
        // Somebody's own name that looks like a run's: it is no run's.
        SessionKind::Acp => SessionKind::AcpBridge,
        kind => kind,
    };
    let opened = Event::SessionOpened {
        session,
        session_kind,
        agent: key.agent(),
        key: key.clone(),
        parent: parent.map(|parent| parent.session_id.clone()),
        settings,
    };
    shared.supervisor.record(vec![opened]).await?;
    let view = reading(shared, move |store| store.session_by_key(&key)).await?;
    view.ok_or_else(|| unavailable("JOURNAL_UNREADABLE", "the session is not there").into())
}

fn may_open(shared: &Shared, caller: &Caller, key: &SessionKey) -> Result<(), Refusal> {
    let refuse = |code, message: String, remedy| {
        Err(Refusal::forbidden(code, "sessions", message, remedy)
            .in_class(ErrorCode::InvalidRequest))
    };
    // An editor's bridge gives its chats names like those of our own ACP sessions, whose rest
    // nobody can guess.
    if key.kind() == SessionKind::Subagent || caller.grant().is_some() {
        let message = format!("there is no session '{key}', and it is opened only for a run");
        let remedy =
            Remedy::Advice("start a sub-agent: `/subagents spawn <agent> <task>`".to_owned());
        return refuse("NO_SUCH_SESSION", message, remedy);
    }
    let agent = key.agent();
    if !shared.supervisor.settings.policy().agents.contains_key(&agent) {
        let message = format!("there is no agent '{agent}'");
        return refuse(
            "NO_SUCH_AGENT",
            message,
            Remedy::Command("hatchery agents list".to_owned()),
        );
    }
    Ok(())
}

/// The directory for agents that have none of their own.
pub(crate) fn workspace(shared: &Shared) -> Result<PathBuf, Refusal> {
    let workspace = shared.state_directory.workspace();
    std::fs::create_dir_all(&workspace).map_err(|error| unavailable("NO_WORKSPACE", error))?;
    Ok(workspace)
}
