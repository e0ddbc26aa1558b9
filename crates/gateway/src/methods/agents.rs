//! `agents.*`.

use hatchery_access::{Permit, Read};
use serde_json::{Value, json};

use crate::gateway::Shared;

/// The agents there are.
pub(crate) fn list(shared: &Shared, _permit: &Permit<Read>) -> Value {
    let policy = shared.supervisor.settings.policy();
    let agents: Vec<Value> = policy
        .agents
        .iter()
        .map(|(id, agent)| {
            json!({
                "id": id,
                "default": *id == policy.default_agent,
                "model": {"primary": agent.model},
                "workspace": agent.workspace,
                "command": agent.harness,
                "acpAllowed": policy.acp_enabled
                    && (policy.acp_allowed.is_empty() || policy.acp_allowed.contains(id)),
            })
        })
        .collect();
    json!({"defaultId": policy.default_agent, "mainKey": "main", "agents": agents})
}
