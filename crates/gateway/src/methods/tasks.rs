//! `tasks.*`: the runs of sub-agents, as the wire's tasks, and results that could not be told.

use std::sync::Arc;

use hatchery_access::{Caller, Permit, Read, Refusal, Remedy, Write};
use hatchery_protocol::{AgentId, ErrorCode, RunId, WireError};
use hatchery_store::{
    DeliveryState, ListedSession, Lookup, ReadError, SessionQuery, SessionView, Store,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::session_look::full_key;
use super::sessions::reading;
use super::task_row::TaskRow;
use crate::gateway::Shared;

/// How many tasks are listed where no number is asked for, and at most.
const DEFAULT_TASKS: u32 = 100;
const MAX_TASKS: u32 = 500;

/// Parameters of `tasks.list`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct TasksParams {
    status: Option<Statuses>,
    agent_id: Option<AgentId>,
    session_key: Option<String>,
    /// How far the result is on its route; those alone that have one.
    delivery_status: Option<String>,
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
    let invalid =
        |words: &str| WireError::new(ErrorCode::InvalidRequest, format!("invalid params: {words}"));
    let limit = params.limit.unwrap_or(DEFAULT_TASKS).clamp(1, MAX_TASKS);
    let offset = params.cursor.as_deref().map_or(Ok(0), str::parse);
    let offset = offset.map_err(|_| invalid("cursor is none of ours"))?;
    let delivery = match params.delivery_status.as_deref() {
        None => None,
        Some(name) => Some(DeliveryState::parse(name).ok_or_else(|| {
            invalid("deliveryStatus is pending, delivered, blocked or dismissed")
        })?),
    };
    let query = SessionQuery {
        limit,
        offset,
        below: permit.caller().grant().map(|grant| grant.session().clone()),
        agent: params.agent_id,
        spawned_by: params.session_key.as_deref().map(full_key),
        include_archived: delivery.is_some(),
        delivery,
        ..SessionQuery::default()
    };
    let (rows, total) = reading(shared, move |store| {
        let page = store.list_sessions(&query)?;
        let rows = page.sessions.into_iter().map(|listed| TaskRow::read(store, listed));
        Ok((rows.collect::<Result<Vec<_>, _>>()?, page.total))
    })
    .await?;
    let seen = offset.saturating_add(limit);
    let tasks: Vec<Value> = rows
        .iter()
        .filter_map(TaskRow::short)
        .map(|task| as_published(task, permit.caller()))
        .filter(|task| {
            let status = task["status"].as_str().unwrap_or_default();
            params.status.as_ref().is_none_or(|wanted| wanted.hold(status))
        })
        .collect();
    let mut answer = json!({"tasks": tasks});
    if u64::from(seen) < total {
        answer["nextCursor"] = json!(seen.to_string());
    }
    Ok(answer)
}

/// Parameters of `tasks.get`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TaskGetParams {
    /// The run: its id, the beginning of it, or its session.
    task_id: String,
}

/// One run of a sub-agent, with its result.
pub(crate) async fn get(
    shared: &Arc<Shared>,
    permit: &Permit<Read>,
    params: TaskGetParams,
) -> Result<Value, WireError> {
    let caller = permit.caller().clone();
    let text = params.task_id;
    let wanted = text.clone();
    let found = reading(shared, move |store| find(store, &caller, &wanted)).await?;
    let task = found?.full().ok_or_else(|| no_such_task(&text))?;
    Ok(json!({"task": as_published(task, permit.caller())}))
}

/// What our own command shows of a task and the published schema does not have.
const OUR_OWN: [&str; 3] = ["delivery", "sessionId", "task"];

/// A task as a caller knows it: those who come over the network hold us to the published schema.
fn as_published(mut task: Value, caller: &Caller) -> Value {
    if let (Caller::Device(_), Some(fields)) = (caller, task.as_object_mut()) {
        fields.retain(|name, _| !OUR_OWN.contains(&name.as_str()));
    }
    task
}

/// The task a text means, among those the caller may see.
fn find(store: &Store, caller: &Caller, text: &str) -> Result<Result<TaskRow, Refusal>, ReadError> {
    let runs = if text.is_empty() { Vec::new() } else { store.runs_named(text)? };
    let session = match runs.as_slice() {
        [run] => store.session_of_run(run)?,
        [] => match store.find_session(text)? {
            Lookup::One(session) => Some(*session),
            Lookup::None => None,
            Lookup::Several(sessions) => return Ok(Err(ambiguous(text, &sessions))),
        },
        several => return Ok(Err(ambiguous(text, several))),
    };
    let Some(session) = session else { return Ok(Err(no_such_task(text))) };
    if let Some(grant) = caller.grant()
        && !store.stands_below(&session.session_id, grant.session())?
    {
        return Ok(Err(no_such_task(text)));
    }
    TaskRow::read(store, listed(store, session)?).map(Ok)
}

/// A session as lists have it; of one that was deleted there is less to say.
fn listed(store: &Store, session: SessionView) -> Result<ListedSession, ReadError> {
    let named = Some(session.session_id.to_string());
    let query = SessionQuery { limit: 1, named, ..SessionQuery::default() };
    let listed = store.list_sessions(&query)?.sessions.pop();
    Ok(listed.unwrap_or(ListedSession { session, parent_key: None, children: Vec::new() }))
}

fn no_such_task(text: &str) -> Refusal {
    refusal("NO_SUCH_TASK", format!("there is no run '{text}' of a sub-agent"))
}

fn ambiguous(text: &str, candidates: &[impl std::fmt::Display]) -> Refusal {
    let names: Vec<String> = candidates.iter().map(ToString::to_string).collect();
    refusal("AMBIGUOUS_TASK", format!("'{text}' could be {}", names.join(", ")))
}

fn refusal(code: &'static str, message: String) -> Refusal {
    let remedy = Remedy::Command("hatchery tasks list".to_owned());
    Refusal::forbidden(code, "tasks", message, remedy).in_class(ErrorCode::InvalidRequest)
}

/// Parameters that name runs by their ids.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TaskIdsParams {
    task_ids: Vec<RunId>,
}

/// How many runs may be named at a time.
const MAX_TASK_IDS: usize = 100;

/// What is wanted with results that could not be told on their routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// They are told again.
    Retry,
    /// They are given up.
    Dismiss,
}

/// Decides about results that could not be told on their routes; says for each whether it was one.
pub(crate) async fn decide(
    shared: &Arc<Shared>,
    permit: &Permit<Write>,
    params: TaskIdsParams,
    decision: Decision,
) -> Result<Value, WireError> {
    if params.task_ids.len() > MAX_TASK_IDS {
        let message = format!("invalid params: at most {MAX_TASK_IDS} tasks at a time");
        return Err(WireError::new(ErrorCode::InvalidRequest, message));
    }
    let mut results = Vec::new();
    for run in params.task_ids {
        let decided = match decision {
            Decision::Retry => shared.supervisor.retry_notice(permit, run.clone()).await,
            Decision::Dismiss => shared.supervisor.dismiss_notice(permit, run.clone()).await,
        };
        results.push(match decided {
            Ok(()) => json!({"taskId": run, "ok": true}),
            Err(refusal) => json!({"taskId": run, "ok": false, "reason": refusal.to_string()}),
        });
    }
    Ok(json!({"results": results}))
}
