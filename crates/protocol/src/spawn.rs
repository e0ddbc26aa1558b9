//! The parameters and results of `sessions.spawn`.

use serde::{Deserialize, Serialize};

use crate::{AgentId, RunId, RunStatus, RuntimeKind, SessionId, SessionKey, Task};

/// What `sessions.spawn` takes: OpenClaw's names for what its `sessions_spawn` tool has
/// (protocol §6.2). Anything else is refused, lineage above all: parent, depth and workspace of
/// a run are set by the supervisor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SpawnParams {
    /// What the child is asked to do.
    pub task: Task,
    /// Which agent does it; the default agent where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<AgentId>,
    /// In which runtime; `isolated` where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<RuntimeKind>,
    /// With which model; the agent's own where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// In which directory, absolute. Where none is named, in the agent's workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Where the caller stands: the directory for an agent that has no workspace configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller_cwd: Option<String>,
    /// After how many seconds the run is ended; 0 is never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_timeout_seconds: Option<u64>,
    /// After how many seconds without a slot it is ended; 0 is never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_timeout_seconds: Option<u64>,
    /// After how many seconds of being started it is ended; 0 is never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_timeout_seconds: Option<u64>,
    /// After how many seconds without a sign of life it is ended; 0 is never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_timeout_seconds: Option<u64>,
    /// What it and everything below it may use up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<SpawnBudget>,
    /// An address its result is sent to besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announce_to: Option<String>,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Whether the run's output and its final answer come back on this connection.
    #[serde(default)]
    pub stream: bool,
}

impl SpawnParams {
    /// A task, and everything else as the settings have it.
    #[must_use]
    pub fn new(task: Task) -> Self {
        Self {
            task,
            agent_id: None,
            runtime: None,
            model: None,
            cwd: None,
            caller_cwd: None,
            run_timeout_seconds: None,
            queue_timeout_seconds: None,
            start_timeout_seconds: None,
            idle_timeout_seconds: None,
            budget: None,
            announce_to: None,
            label: None,
            stream: false,
        }
    }
}

/// What a run and everything below it may use up. What is not said is not limited beyond what the
/// settings and the runs above limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SpawnBudget {
    /// Tokens, read and written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Money, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// Seconds from its start, also when the run itself is over before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall_seconds: Option<u64>,
    /// Runs started below it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub descendants: Option<u32>,
    /// Runs at work at a time, itself included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
}

/// The receipt: what a caller holds once the spawn is durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SpawnAccepted {
    /// Always `accepted`.
    pub status: RunStatus,
    /// The run.
    pub run_id: RunId,
    /// The child's session, for people.
    pub session_id: SessionId,
    /// The child's session, for machines.
    pub child_session_key: SessionKey,
    /// The agent that runs.
    pub agent_id: AgentId,
    /// The runtime it runs in.
    pub runtime: RuntimeKind,
    /// The model that was settled on.
    pub model: String,
}

/// The end of a run, as a waiting caller gets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SpawnResult {
    /// How it ended.
    pub status: RunStatus,
    /// The run.
    pub run_id: RunId,
    /// Its session.
    pub session_id: SessionId,
    /// The exit code of its command, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The cause, where it did not end well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The last of what it said, at most 64 KiB.
    pub result: String,
    /// How many bytes it said altogether.
    pub output_bytes: u64,
    /// From acceptance to end, in milliseconds.
    pub duration_ms: u64,
}
