//! `agent` and `agent.wait`: a turn as one request with two answers, and waiting for one.

use std::sync::Arc;
use std::time::Duration;

use hatchery_access::{Caller, Permit, Write};
use hatchery_protocol::{AgentId, Response, RunId, WireError};
use hatchery_store::RunView;
use serde::Deserialize;
use serde_json::{Value, json};

use super::conversation;
use super::saying::{self, Reply, Words};
use super::sessions::reading;
use crate::asker::Asker;
use crate::clock::now_ms;
use crate::gateway::Shared;
use crate::outbox::Share;
use crate::talk::wait_status;

/// How long `agent.wait` waits where no time is asked for, in milliseconds.
const DEFAULT_WAIT_MS: u64 = 30_000;

/// How long it waits at most, in milliseconds.
const MAX_WAIT_MS: u64 = 24 * 60 * 60 * 1_000;

/// Parameters of `agent`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AgentParams {
    message: String,
    idempotency_key: String,
    agent_id: Option<AgentId>,
    session_key: Option<String>,
    session_id: Option<String>,
    provider: Option<String>,
    model: Option<String>,
    /// In seconds.
    timeout: Option<u64>,
    #[serde(default)]
    attachments: Option<Vec<Value>>,
}

/// Parameters of `agent.wait`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WaitParams {
    run_id: String,
    timeout_ms: Option<u64>,
}

/// Runs a turn. The first answer comes when it is durable, the second when it is over.
pub(crate) async fn agent(
    shared: &Arc<Shared>,
    permit: Permit<Write>,
    params: AgentParams,
    asker: Asker,
) -> Result<Option<Value>, WireError> {
    saying::no_attachments(params.attachments.as_deref())?;
    let named = params.session_key.or(params.session_id);
    let text = named.as_deref().unwrap_or("main");
    let session =
        conversation::open(shared, permit.caller(), text, params.agent_id.as_ref()).await?;
    let key = saying::key(Some(params.idempotency_key))?;
    let model = match (params.provider, params.model) {
        (Some(provider), Some(model)) if !model.contains('/') => {
            Some(format!("{provider}/{model}"))
        }
        (_, model) => model,
    };
    let timeout_ms = params.timeout.map(|seconds| seconds.saturating_mul(1_000));
    let words = Words { key: key.clone(), text: params.message, model, timeout_ms };
    let accepted = json!({
        "runId": key,
        "status": "accepted",
        "acceptedAt": now_ms(),
        "sessionKey": session.key,
        "agentId": session.agent_id,
    });
    let waiter = asker.watcher();
    let reply = saying::say(shared, &permit, &session, words, Some(waiter), move |durable| {
        asker.answer_with(durable, accepted);
    })
    .await?;
    Ok(match reply {
        Reply::Later => None,
        Reply::Now(answer) => Some(answer),
    })
}

/// Waits for the end of a turn. Others on the connection do not wait with it.
pub(crate) fn wait(shared: &Arc<Shared>, permit: &Permit<Write>, params: WaitParams, asker: Asker) {
    let (shared, caller) = (Arc::clone(shared), permit.caller().clone());
    tokio::spawn(async move {
        let response = match waited(&shared, &caller, &params).await {
            Ok(answer) => Response::ok(asker.request.clone(), answer),
            Err(error) => Response::error(asker.request.clone(), error),
        };
        let Asker { outbox, share, .. } = asker;
        outbox.answer(response, share);
    });
}

async fn waited(
    shared: &Arc<Shared>,
    caller: &Caller,
    params: &WaitParams,
) -> Result<Value, WireError> {
    let name = params.run_id.as_str();
    let limit = params.timeout_ms.unwrap_or(DEFAULT_WAIT_MS).min(MAX_WAIT_MS);
    let until_over = async {
        loop {
            shared.supervisor.ended(name).await;
            // Clients wait for names of their own making, also before they are used.
            match look(shared, caller, name).await? {
                Some(answer) => return Ok(answer),
                None => shared.supervisor.next_change().await,
            }
        }
    };
    match tokio::time::timeout(Duration::from_millis(limit), until_over).await {
        Ok(answer) => answer,
        Err(_) => Ok(json!({"runId": name, "status": "timeout"})),
    }
}

/// What became of the message or the run of that name, if there was one that this caller may
/// know of.
async fn look(
    shared: &Arc<Shared>,
    caller: &Caller,
    name: &str,
) -> Result<Option<Value>, WireError> {
    let wanted = name.to_owned();
    let (known, run) = reading(shared, move |store| match store.key_use(&wanted)? {
        Some(known) => Ok((true, known.run)),
        None => Ok((false, store.run(&RunId::new(wanted))?)),
    })
    .await?;
    let of_another = |run: &RunView| caller.grant().is_some_and(|grant| *grant.run() != run.run_id);
    Ok(match run {
        Some(run) if !of_another(&run) => Some(end_of(name, &run)),
        None if known && caller.grant().is_none() => Some(json!({"runId": name, "status": "ok"})),
        _ => None,
    })
}

fn end_of(name: &str, run: &RunView) -> Value {
    let Some(outcome) = &run.outcome else {
        return json!({"runId": name, "status": "timeout", "startedAt": run.accepted_at_ms});
    };
    let mut end = json!({
        "runId": name,
        "status": wait_status(outcome.status),
        "startedAt": run.accepted_at_ms,
        "endedAt": outcome.ended_at_ms,
    });
    if let Some(error) = &outcome.error {
        end["error"] = json!(error);
    }
    if outcome.status == hatchery_protocol::RunStatus::Ok {
        end["terminalReply"] = json!({"disposition": "reply", "text": outcome.tail});
    }
    end
}

/// Answers a waiting request at once, where no turn ever will.
pub(crate) fn answer_waiter(waiter: crate::watchers::Watcher, answer: Value) {
    waiter.outbox.answer(Response::ok(waiter.request, answer), Share::None);
}
