//! `health`, `status`, `system-presence`, `last-heartbeat`: how the gateway is doing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hatchery_access::{Caller, Permit, Read, Refusal, authorize};
use hatchery_protocol::{Role, RunStatus, SessionId, WireError};
use hatchery_spawn::Policy;
use hatchery_store::{ListedSession, SessionCounts, SessionPage, SessionQuery};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, timeout};

use super::not_for_runs;
use super::session_list::defaults;
use super::sessions::reading;
use crate::clock::now_ms;
use crate::gateway::Shared;
use crate::methods::session_row::wire_status;

/// How many sessions are named as those used last.
const RECENT_SESSIONS: u32 = 5;

/// How long whoever asks waits for particulars that are to the moment, where there are others.
const PROMPTLY: Duration = Duration::from_millis(3);

/// How old those may be.
const MAX_AGE: Duration = Duration::from_secs(1);

/// How much of the gateway's health is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum HealthDepth {
    /// That it is alive: for whoever may not look around.
    Sign,
    /// How its agents and sessions are.
    Whole,
}

/// The last answer with particulars, and when it was made.
#[derive(Debug, Default)]
pub(crate) struct LastHealth(Mutex<Option<(Instant, Bytes)>>);

impl LastHealth {
    fn kept(&self) -> MutexGuard<'_, Option<(Instant, Bytes)>> {
        // It is replaced as a whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn not_older_than(&self, age: Duration) -> Option<Bytes> {
        let kept = self.kept();
        kept.as_ref().filter(|(at, _)| at.elapsed() < age).map(|(_, answer)| answer.clone())
    }

    fn set(&self, answer: &Bytes) {
        *self.kept() = Some((Instant::now(), answer.clone()));
    }
}

/// A sign of life, with particulars for those who may read. A run is told that the gateway lives.
///
/// Whoever watches over a gateway has to learn at once that it lives, also while it is busy with
/// the disk that the particulars are read from: then they may be a second old.
pub(crate) async fn health(shared: &Arc<Shared>, caller: &Caller) -> Result<Bytes, WireError> {
    let may_look = caller.grant().is_none()
        && caller.role() == Role::Operator
        && authorize::<Read>(caller).is_ok();
    if !may_look {
        return told(shared, HealthDepth::Sign).await;
    }
    let last = shared.last_health.not_older_than(MAX_AGE);
    let Some(last) = last.filter(|_| shared.supervisor.takes_what_happens()) else {
        return told_whole(shared).await;
    };
    let own = Arc::clone(shared);
    let making = tokio::spawn(async move { told_whole(&own).await });
    match timeout(PROMPTLY, making).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) | Err(_) => Ok(last),
    }
}

async fn told_whole(shared: &Arc<Shared>) -> Result<Bytes, WireError> {
    let answer = told(shared, HealthDepth::Whole).await?;
    shared.last_health.set(&answer);
    Ok(answer)
}

async fn told(shared: &Arc<Shared>, depth: HealthDepth) -> Result<Bytes, WireError> {
    // A journal that takes nothing any more is news that stands in no journal.
    let generation = || match shared.supervisor.takes_what_happens() {
        true => shared.supervisor.store.generation(),
        false => u64::MAX,
    };
    let make = async |depth| {
        let health = match depth {
            HealthDepth::Sign => sign(shared),
            HealthDepth::Whole => whole(shared).await?,
        };
        Ok(Bytes::from(serde_json::to_vec(&health).unwrap_or_default()))
    };
    shared.healths.get(generation, depth, make).await
}

/// That the gateway is alive, as `health` and the greeting tell it.
pub(crate) fn sign(shared: &Shared) -> Value {
    json!({
        "ok": shared.supervisor.takes_what_happens(),
        "ts": now_ms(),
        "durationMs": 0,
        "channels": {},
        "channelOrder": [],
        "channelLabels": {},
        "heartbeatSeconds": 0,
        "defaultAgentId": shared.supervisor.settings.policy().default_agent,
    })
}

/// The same with how its agents and sessions are.
async fn whole(shared: &Arc<Shared>) -> Result<Value, WireError> {
    let began = now_ms();
    let mut health = sign(shared);
    let policy = shared.supervisor.settings.policy();
    let path = shared.state_directory.journal().display().to_string();
    let (counts, page) = look(shared, None).await?;
    let agents: Vec<Value> =
        policy.agents.keys().map(|id| agent(id.as_str(), &policy, &path, &counts, &page)).collect();
    health["agents"] = json!(agents);
    health["sessions"] =
        json!({"path": path, "count": page.total, "recent": recent(&page.sessions, None)});
    health["durationMs"] = json!(now_ms().saturating_sub(began));
    Ok(health)
}

async fn look(
    shared: &Arc<Shared>,
    below: Option<SessionId>,
) -> Result<(SessionCounts, SessionPage), WireError> {
    reading(shared, move |store| {
        let counts = store.count_sessions(below.as_ref())?;
        let query = SessionQuery { limit: RECENT_SESSIONS, below, ..SessionQuery::default() };
        Ok((counts, store.list_sessions(&query)?))
    })
    .await
}

fn agent(
    id: &str,
    policy: &Policy,
    path: &str,
    counts: &SessionCounts,
    page: &SessionPage,
) -> Value {
    json!({
        "agentId": id,
        "isDefault": id == policy.default_agent.as_str(),
        "heartbeat": no_heartbeat(),
        "sessions": {
            "path": path,
            "count": counts.by_agent.get(id).copied().unwrap_or_default(),
            "recent": recent(&page.sessions, Some(id)),
        },
    })
}

/// Agents of this gateway wake for a reason, never by the clock.
fn no_heartbeat() -> Value {
    json!({"enabled": false, "every": "0m", "everyMs": null, "prompt": "", "target": "none",
        "ackMaxChars": 0})
}

fn recent(sessions: &[ListedSession], agent: Option<&str>) -> Vec<Value> {
    let now = now_ms();
    sessions
        .iter()
        .map(|listed| &listed.session)
        .filter(|session| agent.is_none_or(|agent| session.agent_id.as_str() == agent))
        .map(|session| {
            let updated = session.updated_at_ms;
            json!({"key": session.key, "updatedAt": updated, "age": now.saturating_sub(updated)})
        })
        .collect()
}

/// How the gateway, its sessions and its tasks are doing; a run sees its own tree.
pub(crate) async fn status(
    shared: &Arc<Shared>,
    permit: &Permit<Read>,
) -> Result<Value, WireError> {
    let policy = shared.supervisor.settings.policy();
    let path = shared.state_directory.journal().display().to_string();
    let below = permit.caller().grant().map(|grant| grant.session().clone());
    let (counts, page) = look(shared, below).await?;
    let recent_of = |agent| recent(&page.sessions, agent);
    let by_agent: Vec<Value> = counts
        .by_agent
        .iter()
        .map(|(id, count)| {
            json!({"agentId": id, "path": path, "count": count,
            "recent": recent_of(Some(id))})
        })
        .collect();
    let heartbeats: Vec<Value> = policy
        .agents
        .keys()
        .map(|id| json!({"agentId": id, "enabled": false, "every": "0m", "everyMs": null}))
        .collect();
    Ok(json!({
        "runtimeVersion": env!("CARGO_PKG_VERSION"),
        "heartbeat": {"defaultAgentId": policy.default_agent, "agents": heartbeats},
        "channelSummary": [],
        "queuedSystemEvents": [],
        "sessions": {
            "paths": [path],
            "count": page.total,
            "defaults": defaults(&policy),
            "recent": recent_of(None),
            "byAgent": by_agent,
        },
        "tasks": tasks(&counts),
    }))
}

fn tasks(counts: &SessionCounts) -> Value {
    let (mut total, mut active, mut failures) = (0, 0, 0);
    let mut by_status = Map::new();
    let mut by_runtime = Map::new();
    for (kind, status, count) in &counts.runs {
        total += count;
        active += if status.is_final() { 0 } else { *count };
        failures += if status.is_final() && *status != RunStatus::Ok { *count } else { 0 };
        for (sums, name) in
            [(&mut by_status, wire_status(*status)), (&mut by_runtime, kind.as_str())]
        {
            let before = sums.get(name).and_then(Value::as_u64).unwrap_or_default();
            sums.insert(name.to_owned(), json!(before + count));
        }
    }
    json!({"total": total, "active": active, "terminal": total - active, "failures": failures,
        "byStatus": by_status, "byRuntime": by_runtime})
}

/// Who is connected. Runs are told nothing of the people around them.
pub(crate) fn presence(shared: &Shared, permit: &Permit<Read>) -> Result<Bytes, Refusal> {
    not_for_runs(permit.caller(), "the list of who is connected")?;
    Ok(Bytes::copy_from_slice(shared.hub.presence().get().as_bytes()))
}

/// There is no heartbeat.
pub(crate) fn last_heartbeat(_permit: &Permit<Read>) -> Value {
    Value::Null
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{LastHealth, MAX_AGE};

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_too_old_is_not_told_again() {
        let last = LastHealth::default();
        assert_eq!(last.not_older_than(MAX_AGE), None);
        let answer = Bytes::from_static(b"{}");
        last.set(&answer);
        assert_eq!(last.not_older_than(MAX_AGE), Some(answer));
        tokio::time::advance(MAX_AGE).await;
        assert_eq!(last.not_older_than(MAX_AGE), None);
    }
}
