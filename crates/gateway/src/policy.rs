//! From settings to the policy that decisions take.

use std::collections::{BTreeMap, BTreeSet};

use hatchery_agent::SHELL_MODEL;
use hatchery_protocol::AgentId;
use hatchery_spawn::{AgentPolicy, AllowAgents, Budget, Deadlines, Policy, QueueRoom};

use crate::config::{AgentEntry, Allowed, Config, TreeBudget};
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
        queue_room: QueueRoom::default(),
        run_timeout_ms: limit(subagents.run_timeout_seconds),
        deadlines: Deadlines {
            queue_ms: limit(subagents.queue_timeout_seconds),
            start_ms: limit(subagents.start_timeout_seconds),
            idle_ms: limit(subagents.idle_timeout_seconds),
        },
        budget: budget(&subagents.budget),
        closing: false,
        agents,
        models: providers(&config.models),
    }
}

/// A limit of time in milliseconds; 0 seconds are none.
fn limit(seconds: u32) -> Option<u64> {
    (seconds > 0).then(|| u64::from(seconds) * 1_000)
}

fn budget(configured: &TreeBudget) -> Budget {
    Budget {
        tokens: configured.tokens,
        cost_micros: configured.cost_usd_cents.map(|cents| cents.saturating_mul(10_000)),
        wall_ms: configured.wall_seconds.map(|seconds| u64::from(seconds) * 1_000),
        descendants: configured.descendants,
        concurrency: configured.concurrency,
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
