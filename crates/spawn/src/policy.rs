//! The settings a decision depends on, as plain values.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use hatchery_protocol::AgentId;

use crate::{Budget, Deadlines};

/// How many accepted runs may wait for a slot before more are refused.
pub const MAX_QUEUED_RUNS: usize = 5_000;

/// How many bytes of tasks may wait with them.
pub const MAX_QUEUED_TASK_BYTES: u64 = 64 * 1024 * 1024;

/// How many messages may wait in one conversation behind the turn at work.
pub const MAX_WAITING_TURNS: usize = 20;

/// How many conversations may have a turn at work.
pub const MAX_TURNS: usize = 100;

/// What may wait for a slot before more is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueRoom {
    /// How many accepted runs.
    pub runs: usize,
    /// How many bytes of tasks.
    pub task_bytes: u64,
}

impl Default for QueueRoom {
    fn default() -> Self {
        Self { runs: MAX_QUEUED_RUNS, task_bytes: MAX_QUEUED_TASK_BYTES }
    }
}

/// The settings in force when a decision is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The agent that runs where none is named (`acp.defaultAgent` for the runtime `acp`).
    pub default_agent: AgentId,
    /// `acp.defaultAgent`.
    pub acp_default_agent: Option<AgentId>,
    /// `acp.enabled`.
    pub acp_enabled: bool,
    /// `acp.allowedAgents`; empty allows every known agent.
    pub acp_allowed: BTreeSet<AgentId>,
    /// `acp.maxConcurrentSessions`; `None` is without limit.
    pub acp_max_sessions: Option<u32>,
    /// `agents.defaults.subagents.maxSpawnDepth`.
    pub max_spawn_depth: u32,
    /// `agents.defaults.subagents.maxChildrenPerAgent`: live children of one run.
    pub max_children_per_agent: u32,
    /// `agents.defaults.subagents.maxConcurrent`: runs at work at a time; more wait.
    pub max_concurrent: u32,
    /// How much may wait. No setting decides that.
    pub queue_room: QueueRoom,
    /// `agents.defaults.subagents.runTimeoutSeconds`, in milliseconds; `None` is for ever.
    pub run_timeout_ms: Option<u64>,
    /// `agents.defaults.subagents.queueTimeoutSeconds`, `startTimeoutSeconds` and
    /// `idleTimeoutSeconds`. The last is not for commands, which may be silent and well.
    pub deadlines: Deadlines,
    /// `agents.defaults.subagents.budget`: of each tree.
    pub budget: Budget,
    /// Whether the gateway is about to end and begins nothing more.
    pub closing: bool,
    /// The agents there are.
    pub agents: BTreeMap<AgentId, AgentPolicy>,
    /// The providers of models there are, and which models each takes.
    pub models: BTreeMap<String, ProviderModels>,
}

/// Which models a provider takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderModels {
    /// Whatever it is asked for; it knows best.
    Any,
    /// These.
    Only(BTreeSet<String>),
}

/// The settings of one agent, the defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentPolicy {
    /// Its model.
    pub model: String,
    /// The model of the sub-agents its runs start, where one is configured.
    pub subagent_model: Option<String>,
    /// Its workspace, where one is configured.
    pub workspace: Option<PathBuf>,
    /// The external command that speaks ACP; `None` is the built-in agent.
    pub harness: Option<Vec<String>>,
    /// Which agents its runs may start.
    pub allow_agents: AllowAgents,
    /// Whether its runs have to name the agent they start.
    pub require_agent_id: bool,
}

/// Which agents a run may start besides its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowAgents {
    /// Every known agent: `["*"]`.
    Any,
    /// These; an empty list leaves an agent only itself.
    Only(BTreeSet<AgentId>),
}

impl AllowAgents {
    /// Whether the list names an agent.
    #[must_use]
    pub fn names(&self, agent: &AgentId) -> bool {
        match self {
            Self::Any => true,
            Self::Only(agents) => agents.contains(agent),
        }
    }
}
