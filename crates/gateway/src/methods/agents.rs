//! `agents.*`.

use hatchery_access::{Permit, Read};
use hatchery_protocol::{AgentId, ErrorCode, WireError};
use serde::Deserialize;
use serde_json::{Value, json};

use super::session_look::full_key;
use crate::gateway::Shared;

/// Parameters of `agent.identity.get`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct IdentityParams {
    agent_id: Option<AgentId>,
    session_key: Option<String>,
}

/// The agents there are.
pub(crate) fn list(shared: &Shared, _permit: &Permit<Read>) -> Value {
    let policy = shared.supervisor.settings.policy();
    let agents: Vec<Value> = policy
        .agents
        .iter()
        .map(|(id, agent)| {
            let mut summary = json!({
                "id": id,
                "name": id,
                "identity": {"name": id},
                "model": {"primary": agent.model},
            });
            if let Some(workspace) = &agent.workspace {
                summary["workspace"] = json!(workspace);
            }
            summary
        })
        .collect();
    json!({"defaultId": policy.default_agent, "mainKey": "main", "scope": "per-sender",
        "agents": agents})
}

/// The agents there are, and how each is set up: what our own commands show besides. The wire's
/// own list takes no field it does not know.
pub(crate) fn setup(shared: &Shared, permit: &Permit<Read>) -> Value {
    let policy = shared.supervisor.settings.policy();
    // A command line can hold a secret; it is for those who could change it.
    let whole = hatchery_access::authorize::<hatchery_access::Admin>(permit.caller()).is_ok();
    let agents: Vec<Value> = policy
        .agents
        .iter()
        .map(|(id, agent)| {
            json!({
                "id": id,
                "default": *id == policy.default_agent,
                "model": {"primary": agent.model},
                "workspace": agent.workspace,
                "command": agent.harness.as_ref().map(|command| match whole {
                    true => command.clone(),
                    false => command.iter().take(1).cloned().collect(),
                }),
                "acpAllowed": policy.acp_enabled
                    && (policy.acp_allowed.is_empty() || policy.acp_allowed.contains(id)),
            })
        })
        .collect();
    json!({"defaultId": policy.default_agent, "mainKey": "main", "agents": agents})
}

/// How an agent presents itself: by its name. The agent of a session is the one in its key.
pub(crate) fn identity(
    shared: &Shared,
    _permit: &Permit<Read>,
    params: IdentityParams,
) -> Result<Value, WireError> {
    let policy = shared.supervisor.settings.policy();
    let of_key = params.session_key.as_deref().map(full_key);
    let of_key = of_key.as_deref().and_then(|key| key.split(':').nth(1));
    let id = match (params.agent_id, of_key) {
        (Some(id), _) => id,
        (None, Some(name)) => AgentId::new(name)
            .map_err(|error| WireError::new(ErrorCode::InvalidRequest, error.to_string()))?,
        (None, None) => policy.default_agent.clone(),
    };
    if !policy.agents.contains_key(&id) {
        let message = format!("unknown agent id \"{id}\"");
        return Err(WireError::new(ErrorCode::InvalidRequest, message));
    }
    Ok(json!({"agentId": id, "name": id}))
}
