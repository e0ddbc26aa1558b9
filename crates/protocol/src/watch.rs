//! The parameters and the receipt of `sessions.watch`.

use serde::{Deserialize, Serialize};

use crate::{AgentId, RunId, RunStatus, RuntimeKind, SessionId, SessionKey, Task};

/// What `sessions.watch` takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WatchParams {
    /// The session: its id, its key, or an unambiguous beginning of its id.
    pub session: String,
    /// The last piece of output that was seen already; 0 is none.
    #[serde(default)]
    pub after_seq: u64,
}

/// The receipt: what a watcher is about to see. Output and the end of the run follow it, as they
/// follow the receipt of a streamed spawn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WatchAccepted {
    /// Where the run is in its life.
    pub status: RunStatus,
    /// The run.
    pub run_id: RunId,
    /// Its session, for people.
    pub session_id: SessionId,
    /// Its session, for machines.
    pub session_key: SessionKey,
    /// The agent that runs.
    pub agent_id: AgentId,
    /// The runtime it runs in.
    pub runtime: RuntimeKind,
    /// Its model.
    pub model: String,
    /// What it was asked to do.
    pub task: Task,
    /// The first piece that was asked for.
    pub from_seq: u64,
    /// How many bytes of its output are kept so far.
    pub kept_bytes: u64,
    /// The pieces that were asked for and are not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<OutputGap>,
}

/// Pieces of a run's output that cannot be shown any more. The first of them may have been kept in
/// part, and is then shown as far as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputGap {
    /// The first of them.
    pub from_seq: u64,
    /// The last of them; missing where the gateway ended before it was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_seq: Option<u64>,
}
