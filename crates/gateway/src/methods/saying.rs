//! A message on its way into a session: a turn answers it, or a command does.

use std::sync::Arc;

use hatchery_access::{Permit, Refusal, Remedy, Write};
use hatchery_protocol::{ErrorCode, Task, WireError};
use hatchery_spawn::SpawnRefusal;
use hatchery_store::{CommitError, SessionView};
use serde_json::{Value, json};

use super::conversation;
use super::sessions::reading;
use crate::commands;
use crate::gateway::Shared;
use crate::ids::draw;
use crate::supervisor::{Message, Taken, unavailable};
use crate::talk::wait_status;
use crate::watchers::Watcher;

/// The longest name a client may give a message, in bytes.
const MAX_KEY: usize = 256;

/// What somebody says.
#[derive(Clone, Debug)]
pub(crate) struct Words {
    pub(crate) key: String,
    pub(crate) text: String,
    pub(crate) model: Option<String>,
    pub(crate) timeout_ms: Option<u64>,
}

/// How the request that said it is answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    /// By the receipt.
    Later,
    /// Now: it was said before.
    Now(Value),
}

/// Says something in a session, once: what was said under the same name before is not said again.
pub(crate) async fn say(
    shared: &Arc<Shared>,
    permit: &Permit<Write>,
    session: &SessionView,
    words: Words,
    waiter: Option<Watcher>,
    receipt: impl FnOnce(Result<(), CommitError>) + Send + 'static,
) -> Result<Reply, WireError> {
    // A run has its own way to ask for things, within its tree; it says nothing in sessions.
    if permit.caller().grant().is_some() {
        return Err(Refusal::from(SpawnRefusal::TurnByRun).into());
    }
    let task = Task::Text(words.text.clone());
    check(&task)?;
    if let Some(state) = state_of(shared, session, &words.key).await? {
        return Ok(Reply::Now(state));
    }
    let key = words.key.clone();
    if commands::is_command(&words.text) {
        return commands::obey(shared, permit, session, &words, waiter, receipt).await;
    }
    let set = session.settings.get("model").and_then(Value::as_str).map(str::to_owned);
    let message = Message {
        key: words.key,
        task,
        model: words.model.or(set),
        timeout_ms: words.timeout_ms,
        workspace: conversation::workspace(shared)?,
    };
    match shared.supervisor.turn(permit, session, message, waiter, receipt)? {
        Taken::New => Ok(Reply::Later),
        Taken::Before(of) if of == session.session_id => Ok(Reply::Now(in_flight(&key))),
        Taken::Before(_) => Err(of_another_session(&key)),
    }
}

/// What became of a message that was sent before; `None` for a new one.
async fn state_of(
    shared: &Arc<Shared>,
    session: &SessionView,
    key: &str,
) -> Result<Option<Value>, WireError> {
    let wanted = key.to_owned();
    let Some(known) = reading(shared, move |store| store.key_use(&wanted)).await? else {
        return Ok(None);
    };
    if known.session != session.session_id {
        return Err(of_another_session(key));
    }
    let state = match known.run {
        None => json!({"runId": key, "status": "ok"}),
        Some(run) => match &run.outcome {
            None => in_flight(key),
            Some(outcome) => {
                let mut state = json!({"runId": key, "status": wait_status(outcome.status)});
                if let Some(error) = &outcome.error {
                    state["error"] = json!(error);
                    state["summary"] = json!(error);
                }
                state
            }
        },
    };
    Ok(Some(state))
}

pub(crate) fn in_flight(key: &str) -> Value {
    json!({"runId": key, "status": "in_flight"})
}

pub(crate) fn of_another_session(key: &str) -> WireError {
    Refusal::forbidden(
        "KEY_OF_ANOTHER_SESSION",
        "idempotency keys",
        format!("the idempotencyKey '{key}' was used in another session"),
        Remedy::Advice("send the message with a new idempotencyKey".to_owned()),
    )
    .in_class(ErrorCode::InvalidRequest)
    .into()
}

/// The name of a message: the client's, or a new one.
pub(crate) fn key(given: Option<String>) -> Result<String, WireError> {
    match given {
        None => Ok(new_name()?),
        Some(key) if key.is_empty() || key.len() > MAX_KEY || key.contains(char::is_control) => {
            let message = format!(
                "invalid params: idempotencyKey has 1 to {MAX_KEY} bytes and no control characters"
            );
            Err(WireError::new(ErrorCode::InvalidRequest, message))
        }
        Some(key) => Ok(key),
    }
}

/// A name nobody has.
pub(crate) fn new_name() -> Result<String, Refusal> {
    let (name, _) = draw().map_err(|error| unavailable("NO_RANDOMNESS", error))?;
    Ok(name.as_str().to_owned())
}

/// Whether a text is one that can be asked of an agent.
pub(crate) fn check(task: &Task) -> Result<(), WireError> {
    task.check().map_err(|error| {
        WireError::new(ErrorCode::InvalidRequest, format!("invalid params: message: {error}"))
    })
}

/// Files are not taken yet, and what is not taken is not passed over in silence.
pub(crate) fn no_attachments(attachments: Option<&[Value]>) -> Result<(), Refusal> {
    if attachments.is_none_or(<[Value]>::is_empty) {
        return Ok(());
    }
    Err(Refusal::forbidden(
        "NO_ATTACHMENTS",
        "attachments",
        "this gateway takes no attachments yet",
        Remedy::Advice(
            "put the file into the agent's workspace and name it in the message".to_owned(),
        ),
    )
    .in_class(ErrorCode::InvalidRequest))
}
