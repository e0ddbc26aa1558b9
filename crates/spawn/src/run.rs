//! What is fixed about a run when it is accepted.

use std::path::PathBuf;

use hatchery_access::{Caller, ChildFacts, Grant};
use hatchery_protocol::{AgentId, RunId, RuntimeKind, SessionId, SessionKey, SessionKind, Task};
use serde::{Deserialize, Serialize};

use crate::Policy;

/// A run as it was accepted. Nothing in it changes afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Its name.
    pub id: RunId,
    /// Its session, for people.
    pub session: SessionId,
    /// Its session, for machines.
    pub session_key: SessionKey,
    /// What kind of session that is.
    pub kind: SessionKind,
    /// The runs above it, the nearest first; empty where the owner started it.
    pub lineage: Vec<Ancestor>,
    /// The session that asked and that gets the result.
    pub requester: SessionId,
    /// The agent that runs.
    pub agent: AgentId,
    /// Where it runs.
    pub runtime: RuntimeKind,
    /// The model it was settled on.
    pub model: String,
    /// The external command that speaks ACP, where the built-in agent does not run.
    pub harness: Option<Vec<String>>,
    /// What it is asked to do.
    pub task: Task,
    /// The directory it works in, absolute and resolved. It and what it starts stay inside.
    pub workspace: PathBuf,
    /// A name for people.
    pub label: Option<String>,
    /// How long it may take from its start, in milliseconds; `None` is for ever.
    pub timeout_ms: Option<u64>,
    /// When it was accepted, in milliseconds since 1970.
    pub accepted_at_ms: u64,
}

/// A run above another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ancestor {
    /// The run.
    pub run: RunId,
    /// Its session.
    pub session: SessionId,
}

/// Which process a run has, so that it is found again after a crash of the gateway and never
/// mistaken for another with the same number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessMark {
    /// The process id.
    pub pid: i32,
    /// When the process started, in clock ticks since boot.
    pub start_time: u64,
    /// Which boot of the machine that was.
    pub boot_id: String,
}

impl Run {
    /// How deep it stands: 1 where the owner started it.
    #[must_use]
    pub fn depth(&self) -> u32 {
        u32::try_from(self.lineage.len()).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// The run that started it.
    #[must_use]
    pub fn parent(&self) -> Option<&RunId> {
        self.lineage.first().map(|ancestor| &ancestor.run)
    }

    /// Whether it is `run` or stands below it.
    #[must_use]
    pub fn is_in_tree_of(&self, run: &RunId) -> bool {
        self.id == *run || self.lineage.iter().any(|ancestor| ancestor.run == *run)
    }

    /// The authority it has while it runs, derived from whoever started it.
    #[must_use]
    pub fn grant(&self, started_by: &Caller, policy: &Policy, now_ms: u64) -> Grant {
        Grant::for_child(
            started_by,
            ChildFacts {
                run: self.id.clone(),
                session: self.session.clone(),
                agent: self.agent.clone(),
                max_depth: policy.max_spawn_depth,
                workspace: self.workspace.clone(),
                max_descendants: policy.max_children_per_agent,
                expires_at_ms: self.timeout_ms.map(|timeout| now_ms.saturating_add(timeout)),
            },
        )
    }
}
