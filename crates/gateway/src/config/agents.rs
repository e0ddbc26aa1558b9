//! The section `agents`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hatchery_protocol::AgentId;
use serde::Deserialize;

use super::{Allowed, ModelChoice};

/// The agents and the limits of what they start.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgentsConfig {
    /// What holds for every agent that says nothing else.
    pub defaults: AgentDefaults,
    /// The agents, by name. An agent may be here without any key of its own.
    pub entries: BTreeMap<AgentId, AgentEntry>,
}

/// What holds for every agent that says nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgentDefaults {
    /// The model. Default: none; the built-in agent then uses `builtin/shell`.
    pub model: Option<ModelChoice>,
    /// The directory agents work in, absolute. Default: none.
    pub workspace: Option<PathBuf>,
    /// The limits of what an agent starts.
    pub subagents: SubagentDefaults,
}

/// The limits of what an agent starts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubagentDefaults {
    /// How many levels of sub-agents there may be below a main session, 1 to 5. Default: 1.
    pub max_spawn_depth: u32,
    /// How many running children one session may have, 1 to 20. Default: 5.
    pub max_children_per_agent: u32,
    /// How many sub-agents may run at a time in the whole gateway, at least 1. Default: 8.
    pub max_concurrent: u32,
    /// The agents an agent may start besides itself. Default: an empty list.
    pub allow_agents: Allowed,
    /// Whether a spawn has to name an agent. Default: false.
    pub require_agent_id: bool,
    /// How long a run may take, in seconds; 0 is no limit. Default: 0.
    pub run_timeout_seconds: u32,
    /// How long a run may wait for a slot, in seconds; 0 is no limit. Default: 0.
    pub queue_timeout_seconds: u32,
    /// How long a run may take to get to work, in seconds; 0 is no limit. Default: 300.
    pub start_timeout_seconds: u32,
    /// How long a run may give no sign of life, in seconds; 0 is no limit. It is not for commands,
    /// which may be silent and well. Default: 1,800.
    pub idle_timeout_seconds: u32,
    /// How long the session of a run stays in the lists after the run's end, in minutes; 0 is for
    /// ever. Default: 60.
    pub archive_after_minutes: u32,
    /// What each tree of runs may use up.
    #[serde(default)]
    pub budget: TreeBudget,
}

/// What a tree of runs may use up. Default: whatever it needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TreeBudget {
    /// Tokens, read and written.
    pub tokens: Option<u64>,
    /// Money, in US cents.
    pub cost_usd_cents: Option<u64>,
    /// Seconds from the start of the run at the top.
    pub wall_seconds: Option<u32>,
    /// Runs that were ever started below the one at the top.
    pub descendants: Option<u32>,
    /// Runs at work at a time.
    pub concurrency: Option<u32>,
}

/// One agent. What it leaves out comes from [`AgentDefaults`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AgentEntry {
    /// The model.
    pub model: Option<ModelChoice>,
    /// The directory it works in, absolute.
    pub workspace: Option<PathBuf>,
    /// How it runs when it is not the built-in agent.
    pub runtime: Option<AgentRuntime>,
    /// What it may start.
    pub subagents: SubagentOverrides,
}

impl AgentEntry {
    /// The program and arguments that speak ACP for this agent, if it names any. Never empty.
    #[must_use]
    pub fn acp_command(&self) -> Option<&[String]> {
        self.runtime.as_ref()?.acp.command.as_deref()
    }
}

/// How an agent runs that is not the built-in one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AgentRuntime {
    /// What kind of runtime.
    #[serde(rename = "type")]
    pub kind: AgentRuntimeKind,
    /// What an ACP runtime starts.
    pub acp: AcpCommand,
}

/// What kind of runtime an agent names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AgentRuntimeKind {
    /// A program that speaks ACP.
    #[default]
    Acp,
}

/// What an ACP runtime starts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AcpCommand {
    /// Program and arguments, never empty. A file may hold it as one shell-quoted text; it is
    /// split into words here and never seen by a shell. None: the built-in agent over ACP.
    pub command: Option<Vec<String>>,
}

/// What one agent may start. What it leaves out comes from [`SubagentDefaults`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SubagentOverrides {
    /// The agents it may start.
    pub allow_agents: Option<Allowed>,
    /// Whether its spawns have to name an agent.
    pub require_agent_id: Option<bool>,
    /// The model of the sub-agents it starts.
    pub model: Option<ModelChoice>,
}
