//! From settings to the policy that decisions take.

use std::collections::{BTreeMap, BTreeSet};

use hatchery_agent::SHELL_MODEL;
use hatchery_protocol::AgentId;
use hatchery_spawn::{AgentPolicy, AllowAgents, Policy};

use crate::config::{AgentEntry, Allowed, Config};
use crate::models::providers;

/// What decisions need of the settings. The agents there are: `main`, those with an entry, and
/// those a list allows; an id without an entry runs the built-in agent.
pub(crate) fn policy(config: &Config) -> Policy {
    let subagents = &config.agents.defaults.subagents;
    let mut known = BTreeSet::from([AgentId::main()]);
    known.extend(config.agents.entries.keys().cloned());
    known.extend(named(&config.acp.allowed_agents));
    known.extend(config.acp.default_agent.clone());
    known.extend(named(&subagents.allow_agents));
    for entry in config.agents.entries.values() {
        known.extend(entry.subagents.allow_agents.iter().flat_map(named));
    }
    let empty = AgentEntry::default();
    let agents = known
        .into_iter()
        .map(|id| {
            let entry = config.agents.entries.get(&id).unwrap_or(&empty);
            let settings = agent(config, entry);
            (id, settings)
        })
        .collect::<BTreeMap<_, _>>();
    Policy {
        default_agent: AgentId::main(),
        acp_default_agent: config.acp.default_agent.clone(),
        acp_enabled: config.acp.enabled,
        acp_allowed: match &config.acp.allowed_agents {
            Allowed::Any => BTreeSet::new(),
            Allowed::Only(agents) => agents.iter().cloned().collect(),
        },
        acp_max_sessions: config.acp.max_concurrent_sessions.map(Into::into),
        max_spawn_depth: subagents.max_spawn_depth,
        max_children_per_agent: subagents.max_children_per_agent,
        max_concurrent: subagents.max_concurrent,
        run_timeout_ms: subagents
            .run_timeout()
            .map(|limit| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)),
        agents,
        models: providers(&config.models),
    }
}

fn agent(config: &Config, entry: &AgentEntry) -> AgentPolicy {
    let defaults = &config.agents.defaults;
    let allowed = entry.subagents.allow_agents.as_ref().unwrap_or(&defaults.subagents.allow_agents);
    AgentPolicy {
        model: entry
            .model
            .as_ref()
            .or(defaults.model.as_ref())
            .map_or_else(|| SHELL_MODEL.to_owned(), |choice| choice.primary.clone()),
        subagent_model: entry.subagents.model.as_ref().map(|choice| choice.primary.clone()),
        workspace: entry.workspace.clone().or_else(|| defaults.workspace.clone()),
        harness: entry.acp_command().map(<[String]>::to_vec),
        allow_agents: match allowed {
            Allowed::Any => AllowAgents::Any,
            Allowed::Only(agents) => AllowAgents::Only(agents.iter().cloned().collect()),
        },
        require_agent_id: entry
            .subagents
            .require_agent_id
            .unwrap_or(defaults.subagents.require_agent_id),
    }
}

fn named(allowed: &Allowed) -> Vec<AgentId> {
    match allowed {
        Allowed::Any => Vec::new(),
        Allowed::Only(agents) => agents.iter().cloned().collect(),
    }
}
