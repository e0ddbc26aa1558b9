//! `sessions.describe`, `sessions.resolve`, `sessions.preview`: single sessions, as clients of the
//! wire ask for them.

use std::collections::BTreeSet;
use std::sync::Arc;

use hatchery_access::{Permit, Read};
use hatchery_protocol::{AgentId, ErrorCode, SessionId, WireError};
use hatchery_store::{ListedSession, Page, ReadError, SessionQuery, SessionView, Store};
use serde::Deserialize;
use serde_json::{Value, json};

use super::session_row::{RowExtras, SessionRow, shortened};
use super::sessions::reading;
use crate::clock::now_ms;
use crate::gateway::Shared;
use crate::talk::{role, text_of};

/// How many sessions are looked into for one `sessions.preview`.
const MAX_PREVIEWS: usize = 64;

/// How many items a preview has at most, and how long each is, in characters, unless less is asked.
const PREVIEW_ITEMS: usize = 12;
const PREVIEW_CHARACTERS: usize = 240;

/// How many sessions of a label are named where one was asked for.
const NAMED_CANDIDATES: u32 = 5;

/// Parameters of `sessions.describe`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DescribeParams {
    key: String,
    #[serde(default)]
    include_derived_titles: bool,
    #[serde(default)]
    include_last_message: bool,
}

/// Parameters of `sessions.resolve`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ResolveParams {
    key: Option<String>,
    session_id: Option<String>,
    label: Option<String>,
    agent_id: Option<AgentId>,
    spawned_by: Option<String>,
    allow_missing: bool,
}

/// Parameters of `sessions.preview`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PreviewParams {
    keys: Vec<String>,
    limit: Option<usize>,
    max_chars: Option<usize>,
}

/// The key a client means: `main`, or what follows `agent:<id>:`, is one of the default agent.
pub(crate) fn full_key(text: &str) -> String {
    let text = text.trim().to_lowercase();
    if text.starts_with("agent:") || text == "global" || text == "unknown" {
        return text;
    }
    format!("agent:{}:{text}", AgentId::main())
}

/// What a caller may see: everything, or what stands below its own session.
fn horizon(permit: &Permit<Read>) -> Option<SessionId> {
    permit.caller().grant().map(|grant| grant.session().clone())
}

/// The one session a query leads to.
fn one(store: &Store, query: SessionQuery) -> Result<Option<ListedSession>, ReadError> {
    Ok(store.list_sessions(&SessionQuery { limit: 1, ..query })?.sessions.pop())
}

/// One session as lists show it, or null.
pub(crate) async fn describe(
    shared: &Arc<Shared>,
    permit: &Permit<Read>,
    params: DescribeParams,
) -> Result<Value, WireError> {
    let policy = shared.supervisor.settings.policy();
    let query = SessionQuery {
        named: Some(full_key(&params.key)),
        below: horizon(permit),
        ..SessionQuery::default()
    };
    let extras = RowExtras {
        title: params.include_derived_titles,
        last_message: params.include_last_message,
    };
    let found = reading(shared, move |store| one(store, query)).await?;
    let row = found.as_ref().map(|listed| SessionRow::of(listed, &policy, extras));
    Ok(json!({"session": row}))
}

/// Which session is meant by a key, an id or a label.
pub(crate) async fn resolve(
    shared: &Arc<Shared>,
    permit: &Permit<Read>,
    params: ResolveParams,
) -> Result<Value, WireError> {
    let (what, named, label) = match (params.key, params.session_id, params.label) {
        (Some(key), None, None) => (key.clone(), Some(full_key(&key)), None),
        (None, Some(id), None) => (id.clone(), Some(id), None),
        (None, None, Some(label)) => (label.clone(), None, Some(label)),
        _ => return Err(invalid("give one of key, sessionId and label")),
    };
    let query = SessionQuery {
        limit: NAMED_CANDIDATES,
        below: horizon(permit),
        named,
        label,
        agent: params.agent_id,
        spawned_by: params.spawned_by,
        ..SessionQuery::default()
    };
    let found = reading(shared, move |store| store.list_sessions(&query)).await?.sessions;
    match &found[..] {
        [only] => Ok(with_ok(candidate(&only.session))),
        [] if params.allow_missing => Ok(json!({"ok": false})),
        [] => Err(invalid(&format!("No session found: {}", shortened(&what, 128)))),
        several if params.allow_missing => {
            let candidates: Vec<Value> =
                several.iter().map(|listed| candidate(&listed.session)).collect();
            Ok(json!({"ok": false, "candidates": candidates}))
        }
        several => {
            let keys: Vec<&str> =
                several.iter().map(|listed| listed.session.key.as_str()).collect();
            let what = shortened(&what, 128);
            Err(invalid(&format!("Several sessions found: {what} ({})", keys.join(", "))))
        }
    }
}

fn candidate(session: &SessionView) -> Value {
    let mut candidate = json!({"key": session.key, "agentId": session.agent_id});
    if let Some(label) = &session.label {
        candidate["displayName"] = json!(label);
    }
    candidate
}

fn with_ok(mut candidate: Value) -> Value {
    candidate["ok"] = json!(true);
    candidate
}

/// The last of what was said in some sessions.
pub(crate) async fn preview(
    shared: &Arc<Shared>,
    permit: &Permit<Read>,
    params: PreviewParams,
) -> Result<Value, WireError> {
    if params.keys.len() > MAX_PREVIEWS {
        return Err(invalid(&format!("at most {MAX_PREVIEWS} keys are taken")));
    }
    let items = params.limit.unwrap_or(PREVIEW_ITEMS).min(PREVIEW_ITEMS);
    let characters = params.max_chars.unwrap_or(PREVIEW_CHARACTERS).min(PREVIEW_CHARACTERS);
    let below = horizon(permit);
    let previews = reading(shared, move |store| {
        let keys: BTreeSet<String> = params.keys.into_iter().collect();
        let mut previews = Vec::with_capacity(keys.len());
        for key in keys {
            let query = SessionQuery {
                named: Some(full_key(&key)),
                below: below.clone(),
                ..SessionQuery::default()
            };
            let said = match one(store, query)? {
                Some(listed) => Some(said(store, &listed.session, items, characters)?),
                None => None,
            };
            let status = match &said {
                None => "missing",
                Some(said) if said.is_empty() => "empty",
                Some(_) => "ok",
            };
            let said = said.unwrap_or_default();
            previews.push(json!({"key": key, "status": status, "items": said}));
        }
        Ok(previews)
    })
    .await?;
    Ok(json!({"ts": now_ms(), "previews": previews}))
}

/// The last of what was said in a session, the oldest first.
fn said(
    store: &Store,
    session: &SessionView,
    items: usize,
    characters: usize,
) -> Result<Vec<Value>, ReadError> {
    let limit = u32::try_from(items).unwrap_or(u32::MAX);
    let transcript = store.transcript(session, Page { limit, offset: 0 })?;
    let said = transcript.messages.iter().map(|message| {
        let text = shortened(text_of(&message.said).trim(), characters);
        (role(&message.said), text)
    });
    Ok(said
        .filter(|(_, text)| !text.is_empty())
        .map(|(role, text)| json!({"role": role, "text": text}))
        .collect())
}

fn invalid(message: &str) -> WireError {
    WireError::new(ErrorCode::InvalidRequest, message)
}

#[cfg(test)]
mod tests {
    use super::full_key;

    #[test]
    fn a_bare_key_is_one_of_the_default_agent() {
        for (text, key) in [
            ("main", "agent:main:main"),
            ("Agent:Coder:Main", "agent:coder:main"),
            (" subagent:x ", "agent:main:subagent:x"),
            ("global", "global"),
        ] {
            assert_eq!(full_key(text), key);
        }
    }
}
