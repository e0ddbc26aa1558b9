//! `chat.*`: saying something in a session, stopping the answer, reading what was said.

use std::sync::Arc;

use hatchery_access::{Admin, Permit, Read, Write};
use hatchery_protocol::{AgentId, Response, Task, WireError};
use hatchery_spawn::{AddedMessage, Event, Speaker};
use serde::Deserialize;
use serde_json::{Value, json};

use super::saying::{self, Reply, Words};
use super::{conversation, history};
use crate::asker::Asker;
use crate::gateway::Shared;

/// The longest label of an injected message, in characters (OpenClaw protocol §3.2).
const MAX_LABEL: usize = 100;

/// Parameters of `chat.send` and `sessions.send`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SendParams {
    #[serde(alias = "key")]
    session_key: String,
    message: String,
    idempotency_key: Option<String>,
    agent_id: Option<AgentId>,
    timeout_ms: Option<u64>,
    #[serde(default)]
    attachments: Option<Vec<Value>>,
}

/// Parameters of `chat.abort`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AbortParams {
    session_key: String,
    run_id: Option<String>,
    agent_id: Option<AgentId>,
}

/// Parameters of `chat.inject`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InjectParams {
    session_key: String,
    message: String,
    label: Option<String>,
    agent_id: Option<AgentId>,
}

/// Says something in a session. The answer is events; the response only says that it was heard.
pub(crate) async fn send(
    shared: &Arc<Shared>,
    permit: Permit<Write>,
    params: SendParams,
    asker: Asker,
) -> Result<Option<Value>, WireError> {
    saying::no_attachments(params.attachments.as_deref())?;
    let session =
        conversation::open(shared, permit.caller(), &params.session_key, params.agent_id.as_ref())
            .await?;
    let key = saying::key(params.idempotency_key)?;
    let words = Words {
        key: key.clone(),
        text: params.message,
        model: None,
        timeout_ms: params.timeout_ms,
    };
    let started = json!({"runId": key, "status": "started"});
    let reply = saying::say(shared, &permit, &session, words, None, move |durable| {
        asker.answer_with(durable, started);
    })
    .await?;
    Ok(match reply {
        Reply::Later => None,
        Reply::Now(answer) => Some(answer),
    })
}

/// Stops the turns of a session, or one of them.
pub(crate) async fn abort(
    shared: &Arc<Shared>,
    permit: Permit<Write>,
    params: AbortParams,
) -> Result<Value, WireError> {
    let agent = params.agent_id.as_ref();
    let session = conversation::find(shared, permit.caller(), &params.session_key, agent).await?;
    let stopped = match session {
        Some(session) => {
            let only = params.run_id.as_deref();
            shared.supervisor.hush(&permit, &session.session_id, only).await?
        }
        None => Vec::new(),
    };
    Ok(json!({"ok": true, "aborted": !stopped.is_empty(), "runIds": stopped}))
}

/// What was said in a session.
pub(crate) async fn history(
    shared: &Arc<Shared>,
    permit: Permit<Read>,
    params: history::Params,
) -> Result<Value, WireError> {
    history::history(shared, permit.caller(), &params).await
}

/// What was said in a session, and what a client begins with.
pub(crate) async fn startup(
    shared: &Arc<Shared>,
    permit: Permit<Read>,
    params: history::Params,
) -> Result<Value, WireError> {
    let mut startup = history::history(shared, permit.caller(), &params).await?;
    startup["agentsList"] = super::agents::list(shared, &permit);
    startup["metadata"] = super::chat::metadata(shared, &permit);
    Ok(startup)
}

/// Puts a message into a transcript, as the agent's.
pub(crate) async fn inject(
    shared: &Arc<Shared>,
    permit: Permit<Admin>,
    params: InjectParams,
) -> Result<Value, WireError> {
    let agent = params.agent_id.as_ref();
    let session =
        conversation::existing(shared, permit.caller(), &params.session_key, agent).await?;
    let text = match params.label.map(|label| label.chars().take(MAX_LABEL).collect::<String>()) {
        Some(label) if !label.trim().is_empty() => format!("[{label}]\n\n{}", params.message),
        _ => params.message,
    };
    saying::check(&Task::Text(text.clone()))?;
    let id = saying::new_name()?;
    let message = AddedMessage { id: id.clone(), speaker: Speaker::Assistant, text, key: None };
    let added = Event::MessageAdded { session: session.session_id, message };
    shared.supervisor.record(vec![added]).await?;
    Ok(json!({"ok": true, "messageId": id}))
}

/// A response that was made before it was known whether it is true.
impl Asker {
    pub(crate) fn answer_with(
        self,
        durable: Result<(), hatchery_store::CommitError>,
        payload: Value,
    ) {
        let response = match durable {
            Ok(()) => Response::ok(self.request, payload),
            Err(error) => {
                let refusal = crate::supervisor::unavailable("JOURNAL_UNAVAILABLE", error);
                Response::error(self.request, refusal.into())
            }
        };
        self.outbox.answer(response, self.share);
    }
}
