//! `sessions.*`: starting, looking at and stopping sub-agents.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hatchery_access::{Caller, Permit, Read, Refusal, Remedy, Write};
use hatchery_protocol::{ErrorCode, SpawnParams, WireError};
use hatchery_store::{HistoryItem, Lookup, ReadError, SessionView, Store, StoredOutput};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::asker::Asker;
use crate::gateway::Shared;
use crate::supervisor::{Directories, unavailable};

/// Parameters that name one session, by id, key or prefix.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionParams {
    session: String,
}

/// Starts a sub-agent. The receipt is sent once the spawn is durable.
pub(crate) fn spawn(
    shared: &Shared,
    permit: &Permit<Write>,
    params: SpawnParams,
    asker: Asker,
) -> Result<(), WireError> {
    params.task.check().map_err(|error| {
        WireError::new(ErrorCode::InvalidRequest, format!("invalid params: {error}"))
    })?;
    let directories = directories(shared, &params)?;
    Ok(shared.supervisor.spawn(permit, params, directories, asker)?)
}

fn directories(shared: &Shared, params: &SpawnParams) -> Result<Directories, Refusal> {
    let cwd = params.cwd.as_deref().map(resolve).transpose()?;
    let caller_cwd = match &params.caller_cwd {
        Some(path) => resolve(path)?,
        None => super::conversation::workspace(shared)?,
    };
    Ok(Directories { cwd, caller_cwd })
}

/// A directory as the kernel sees it: absolute, there, without symbolic links.
fn resolve(path: &str) -> Result<PathBuf, Refusal> {
    let refuse = |why: &str| {
        Err(Refusal::forbidden(
            "BAD_DIRECTORY",
            "working directory",
            format!("cannot work in '{path}': {why}"),
            Remedy::Advice("name an existing directory with --cwd".to_owned()),
        )
        .in_class(ErrorCode::InvalidRequest))
    };
    if !Path::new(path).is_absolute() {
        return refuse("the path is not absolute");
    }
    match std::fs::canonicalize(path) {
        Ok(resolved) if resolved.is_dir() => Ok(resolved),
        Ok(_) => refuse("it is not a directory"),
        Err(error) => refuse(&error.to_string()),
    }
}

/// One session.
pub(crate) async fn show(
    shared: &Arc<Shared>,
    permit: Permit<Read>,
    params: SessionParams,
) -> Result<Value, WireError> {
    Ok(json!(find(shared, permit.caller(), params.session).await?))
}

/// What was said in a session.
pub(crate) async fn history(
    shared: &Arc<Shared>,
    permit: Permit<Read>,
    params: SessionParams,
) -> Result<Value, WireError> {
    let session = find(shared, permit.caller(), params.session).await?;
    let (session, items) = reading(shared, move |store| {
        let items = store.history(&session)?;
        Ok((session, items))
    })
    .await?;
    let items: Vec<Value> = items.iter().filter_map(item).collect();
    Ok(json!({"session": session, "items": items}))
}

/// An item for clients; none for what only counts pieces.
fn item(item: &HistoryItem) -> Option<Value> {
    Some(match item {
        HistoryItem::Task(task) => json!({"kind": "task", "task": task}),
        HistoryItem::Output(output) => return output_item(output),
        HistoryItem::Outcome(outcome) => json!({"kind": "outcome", "outcome": outcome}),
        HistoryItem::Announced { from, outcome } => {
            json!({"kind": "announced", "from": from, "outcome": outcome})
        }
    })
}

/// A kept piece of output for clients.
pub(super) fn output_item(output: &StoredOutput) -> Option<Value> {
    if output.bytes.is_empty() {
        return None;
    }
    let text = String::from_utf8_lossy(&output.bytes);
    let exact = (text.as_bytes() != output.bytes).then(|| STANDARD.encode(&output.bytes));
    Some(json!({"kind": "output", "seq": output.seq, "stream": output.stream,
        "text": text, "base64": exact}))
}

/// Stops a session's run and everything below it; the answer comes when all of it is gone.
pub(crate) async fn kill(
    shared: &Arc<Shared>,
    permit: Permit<Write>,
    params: SessionParams,
) -> Result<Value, WireError> {
    let session = find(shared, permit.caller(), params.session).await?;
    let stopped = shared.supervisor.kill(&permit, session.session_id).await?;
    Ok(json!({"stopped": stopped}))
}

/// The session a text names, if the caller may see it.
pub(super) async fn find(
    shared: &Arc<Shared>,
    caller: &Caller,
    text: String,
) -> Result<SessionView, WireError> {
    let remedy = || Remedy::Command("hatchery sessions list".to_owned());
    let wanted = text.clone();
    let below = caller.grant().map(|grant| grant.session().clone());
    let (found, visible) = reading(shared, move |store| {
        let found = store.find_session(&wanted)?;
        let visible = match (&found, below) {
            (Lookup::One(session), Some(root)) => store.stands_below(&session.session_id, &root)?,
            _ => true,
        };
        Ok((found, visible))
    })
    .await?;
    let refusal = match found {
        Lookup::One(session) if visible => return Ok(*session),
        Lookup::One(_) | Lookup::None => Refusal::forbidden(
            "NO_SUCH_SESSION",
            "sessions",
            format!("there is no session '{text}'"),
            remedy(),
        ),
        Lookup::Several(candidates) => {
            let names: Vec<&str> = candidates.iter().map(|id| id.as_str()).collect();
            Refusal::forbidden(
                "AMBIGUOUS_SESSION",
                "sessions",
                format!("'{text}' could be {}", names.join(", ")),
                remedy(),
            )
        }
    };
    Err(refusal.in_class(ErrorCode::InvalidRequest).into())
}

/// Asks the store without holding up other connections.
pub(crate) async fn reading<T: Send + 'static>(
    shared: &Arc<Shared>,
    question: impl FnOnce(&Store) -> Result<T, ReadError> + Send + 'static,
) -> Result<T, WireError> {
    let shared = Arc::clone(shared);
    match tokio::task::spawn_blocking(move || question(&shared.supervisor.store)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(unavailable("JOURNAL_UNREADABLE", error).into()),
        Err(error) => Err(unavailable("JOURNAL_UNREADABLE", error).into()),
    }
}
