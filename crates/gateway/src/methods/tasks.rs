//! `tasks.*`: the runs of sub-agents, as the wire's tasks, and results that could not be told.

use std::collections::BTreeMap;
use std::sync::Arc;

use hatchery_access::{Permit, Read, Refusal, Write};
use hatchery_protocol::{AgentId, ErrorCode, RunId, RunStatus, SessionKind, WireError};
use hatchery_spawn::Notice;
use hatchery_store::{ListedSession, SessionQuery};
use serde::Deserialize;
use serde_json::{Value, json};

use super::session_look::full_key;
use super::session_row::{last_words, shortened, title};
use super::sessions::reading;
use crate::gateway::Shared;

/// How many tasks are listed where no number is asked for, and at most.
const DEFAULT_TASKS: u32 = 100;
const MAX_TASKS: u32 = 500;

/// How long the end of a task's answer is, in characters.
const SUMMARY_CHARACTERS: usize = 200;

/// Parameters of `tasks.list`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct TasksParams {
    status: Option<Statuses>,
    agent_id: Option<AgentId>,
    session_key: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// One state or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Statuses {
    One(String),
    Several(Vec<String>),
}

impl Statuses {
    fn hold(&self, status: &str) -> bool {
        match self {
            Self::One(one) => one == status,
            Self::Several(several) => several.iter().any(|one| one == status),
        }
    }
}

/// The runs of sub-agents, the newest first: people see all, a run its own tree.
pub(crate) async fn list(
    shared: &Arc<Shared>,
    permit: &Permit<Read>,
    params: TasksParams,
) -> Result<Value, WireError> {
    let limit = params.limit.unwrap_or(DEFAULT_TASKS).clamp(1, MAX_TASKS);
    let offset = params.cursor.as_deref().map_or(Ok(0), str::parse).map_err(|_| {
        WireError::new(ErrorCode::InvalidRequest, "invalid params: cursor is none of ours")
    })?;
    let query = SessionQuery {
        limit,
        offset,
        below: permit.caller().grant().map(|grant| grant.session().clone()),
        agent: params.agent_id,
        spawned_by: params.session_key.as_deref().map(full_key),
        ..SessionQuery::default()
    };
    let page = reading(shared, move |store| store.list_sessions(&query)).await?;
    let notices: BTreeMap<RunId, Notice> = shared.supervisor.notices().into_iter().collect();
    let seen = offset.saturating_add(limit);
    let tasks: Vec<Value> = page
        .sessions
        .iter()
        .filter_map(|listed| task(listed, &notices))
        .filter(|task| {
            let status = task["status"].as_str().unwrap_or_default();
            params.status.as_ref().is_none_or(|wanted| wanted.hold(status))
        })
        .collect();
    let mut answer = json!({"tasks": tasks});
    if u64::from(seen) < page.total {
        answer["nextCursor"] = json!(seen.to_string());
    }
    Ok(answer)
}

/// Parameters that name a run.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TaskParams {
    run_id: RunId,
}

/// Has a result that could not be told on its route told again.
pub(crate) fn retry(
    shared: &Arc<Shared>,
    permit: &Permit<Write>,
    params: TaskParams,
) -> Result<Value, Refusal> {
    shared.supervisor.retry_notice(permit, params.run_id)?;
    Ok(json!({"ok": true}))
}

/// Gives up a result that could not be told on its route.
pub(crate) fn dismiss(
    shared: &Arc<Shared>,
    permit: &Permit<Write>,
    params: TaskParams,
) -> Result<Value, Refusal> {
    shared.supervisor.dismiss_notice(permit, params.run_id)?;
    Ok(json!({"ok": true}))
}

/// A session's run as a task. A conversation is none: its turns answer somebody who is there.
fn task(listed: &ListedSession, notices: &BTreeMap<RunId, Notice>) -> Option<Value> {
    let session = &listed.session;
    let run = session.run.as_ref().filter(|_| session.kind.is_of_a_run())?;
    let kind = if session.kind == SessionKind::Acp { "acp" } else { "subagent" };
    let named = session.label.clone().unwrap_or_else(|| title(&run.task));
    let mut task = json!({
        "id": run.run_id,
        "taskId": run.run_id,
        "runId": run.run_id,
        "kind": kind,
        "runtime": kind,
        "status": status(run.status),
        "title": named,
        "agentId": session.agent_id,
        "childSessionKey": session.key,
        "createdAt": session.created_at_ms,
        "updatedAt": session.created_at_ms,
    });
    if let Some(parent) = &listed.parent_key {
        task["sessionKey"] = json!(parent);
        task["ownerKey"] = json!(parent);
    }
    if let Some(outcome) = &run.outcome {
        task["updatedAt"] = json!(outcome.ended_at_ms);
        task["endedAt"] = json!(outcome.ended_at_ms);
        // The result stands in an inbox from the commit of the end on; only a route takes longer.
        match notices.get(&run.run_id) {
            None => task["deliveryStatus"] = json!("delivered"),
            Some(Notice { blocked: None, route, attempts, .. }) => {
                task["deliveryStatus"] = json!("pending");
                task["delivery"] = json!({"to": route.to, "attempts": attempts});
            }
            Some(Notice { blocked: Some(reason), route, attempts, .. }) => {
                task["deliveryStatus"] = json!("blocked");
                task["delivery"] = json!({"to": route.to, "attempts": attempts, "reason": reason});
            }
        }
        if let Some(summary) = last_words(&outcome.tail, SUMMARY_CHARACTERS) {
            task["terminalSummary"] = json!(summary);
        }
        if let Some(error) = &outcome.error {
            task["error"] = json!(shortened(error, SUMMARY_CHARACTERS));
        }
    }
    Some(task)
}

/// A run's state in the words of the wire's tasks.
fn status(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Accepted => "queued",
        RunStatus::Starting | RunStatus::Running | RunStatus::Waiting => "running",
        RunStatus::Ok => "completed",
        RunStatus::Failed | RunStatus::Interrupted => "failed",
        RunStatus::TimedOut => "timed_out",
        RunStatus::Cancelled => "cancelled",
    }
}
