//! `sessions.list`: the method clients ask most. Its answer is kept and only copied.

use std::sync::Arc;

use bytes::Bytes;
use hatchery_access::{Permit, Read};
use hatchery_protocol::{AgentId, ErrorCode, WireError};
use hatchery_store::SessionQuery;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::session_row::{RowExtras, SessionRow, provider_and_name};
use super::sessions::reading;
use crate::clock::now_ms;
use crate::gateway::Shared;

/// How many sessions are listed where no number is asked for, and at most.
const DEFAULT_LISTED: u32 = 100;
pub(super) const MAX_LISTED: u32 = 1_000;

/// The longest text a list can be filtered by, in bytes.
const MAX_FILTER_BYTES: usize = 512;

/// Parameters of `sessions.list`. Those that are not named here are ignored, as clients send more
/// than any version of the wire names.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ListParams {
    limit: Option<u32>,
    offset: Option<u32>,
    active_minutes: Option<u64>,
    include_derived_titles: Option<bool>,
    include_last_message: Option<bool>,
    label: Option<String>,
    spawned_by: Option<String>,
    agent_id: Option<String>,
    search: Option<String>,
    archived: Option<Archived>,
}

/// Whether archived sessions are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(untagged)]
enum Archived {
    /// Only those, or all but those.
    Only(bool),
    /// With the others.
    Word(AllWord),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
enum AllWord {
    All,
}

/// A list as far as it depends on who asks and for what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ListKey {
    query: SessionQuery,
    active_minutes: Option<u64>,
    extras: RowExtras,
}

impl ListKey {
    fn of(permit: &Permit<Read>, params: ListParams) -> Result<Self, WireError> {
        let agent = params.agent_id.as_deref().map(AgentId::new).transpose().map_err(invalid)?;
        let query = SessionQuery {
            limit: params.limit.unwrap_or(DEFAULT_LISTED).min(MAX_LISTED),
            offset: params.offset.unwrap_or_default(),
            below: permit.caller().grant().map(|grant| grant.session().clone()),
            named: None,
            agent,
            label: text("label", params.label)?,
            spawned_by: text("spawnedBy", params.spawned_by)?,
            active_since_ms: None,
            archived: match params.archived {
                None => Some(false),
                Some(Archived::Only(archived)) => Some(archived),
                Some(Archived::Word(AllWord::All)) => None,
            },
            include_archived: true,
            search: text("search", params.search)?,
        };
        let extras = RowExtras {
            title: params.include_derived_titles.unwrap_or_default(),
            last_message: params.include_last_message.unwrap_or_default(),
        };
        Ok(Self { query, active_minutes: params.active_minutes, extras })
    }
}

/// A text to filter by; an empty one filters nothing.
fn text(name: &str, text: Option<String>) -> Result<Option<String>, WireError> {
    match text.filter(|text| !text.trim().is_empty()) {
        Some(text) if text.len() > MAX_FILTER_BYTES => {
            Err(invalid(format!("{name} is longer than {MAX_FILTER_BYTES} bytes")))
        }
        text => Ok(text),
    }
}

fn invalid(cause: impl std::fmt::Display) -> WireError {
    WireError::new(ErrorCode::InvalidRequest, format!("invalid params: {cause}"))
}

/// The answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'a> {
    ts: u64,
    path: String,
    count: usize,
    total_count: u64,
    limit_applied: u32,
    has_more: bool,
    next_offset: Option<u64>,
    defaults: Value,
    sessions: Vec<SessionRow<'a>>,
}

/// The sessions there are, those first that were used last: people see all, a run its own tree.
pub(crate) async fn list(
    shared: &Arc<Shared>,
    permit: &Permit<Read>,
    params: ListParams,
) -> Result<Bytes, WireError> {
    let key = ListKey::of(permit, params)?;
    let generation = || shared.supervisor.store.generation();
    shared.session_lists.get(generation, key, |key| make(shared, key)).await
}

async fn make(shared: &Arc<Shared>, key: ListKey) -> Result<Bytes, WireError> {
    let policy = shared.supervisor.settings.policy();
    let path = shared.state_directory.journal().display().to_string();
    let now = now_ms();
    let bytes = reading(shared, move |store| {
        let ListKey { mut query, active_minutes, extras } = key;
        query.active_since_ms =
            active_minutes.map(|minutes| now.saturating_sub(minutes.saturating_mul(60_000)));
        let page = store.list_sessions(&query)?;
        let seen = u64::from(query.offset) + page.sessions.len() as u64;
        let has_more = seen < page.total;
        let rows = page.sessions.iter().map(|listed| SessionRow::of(listed, &policy, extras));
        let listed = Listed {
            ts: now,
            path,
            count: page.sessions.len(),
            total_count: page.total,
            limit_applied: query.limit,
            has_more,
            next_offset: has_more.then_some(seen),
            defaults: defaults(&policy),
            sessions: rows.collect(),
        };
        Ok(serde_json::to_vec(&listed)?)
    })
    .await?;
    Ok(bytes.into())
}

/// What a session has where it says nothing else.
pub(crate) fn defaults(policy: &hatchery_spawn::Policy) -> Value {
    let model = policy.agents.get(&policy.default_agent).map(|agent| agent.model.as_str());
    let (provider, model) = model.map(provider_and_name).unzip();
    json!({"modelProvider": provider, "model": model, "contextTokens": null})
}
