//! What is fixed about a run when it is accepted.

use std::path::PathBuf;

use hatchery_access::{Caller, CallerRecord, ChildFacts, Grant};
use hatchery_protocol::{AgentId, RunId, RuntimeKind, SessionId, SessionKey, SessionKind, Task};
use serde::{Deserialize, Serialize};

use crate::{Budget, Deadlines, Policy, Route};

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
    /// The runs above it, the nearest first; empty where the owner or a device started it.
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
    /// The conversation its tree belongs to, where it belongs to one: what has nobody else to
    /// tell its result tells it there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<SessionId>,
    /// The message it was asked for with, where that was in a conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    /// Who started it; unknown in journals of older programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starter: Option<CallerRecord>,
    /// Its other time limits.
    #[serde(default, skip_serializing_if = "is_default")]
    pub deadlines: Deadlines,
    /// What it and everything below it may use up.
    #[serde(default, skip_serializing_if = "Budget::is_unlimited")]
    pub budget: Budget,
    /// Where else its result is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Route>,
}

fn is_default(deadlines: &Deadlines) -> bool {
    *deadlines == Deadlines::default()
}

/// What a run waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "camelCase")]
pub enum Wait {
    /// Results of what it has started.
    Children {
        /// So many; all where it is not said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wanted: Option<u32>,
    },
    /// Somebody's permission.
    Approval,
}

/// A message in a conversation that a run was asked for with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// The client's own name for the message. The same name is the same message, however often
    /// it is sent.
    pub key: String,
    /// Whether the run is the answer itself, a turn of the conversation, or something that the
    /// message had started beside it.
    pub turn: bool,
}

/// A run above another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ancestor {
    /// The run.
    pub run: RunId,
    /// Its session.
    pub session: SessionId,
    /// Whether it is a turn: its session is a conversation, which outlives it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub turn: bool,
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
    /// Whether it is a turn of a conversation.
    #[must_use]
    pub fn is_turn(&self) -> bool {
        self.asked.as_ref().is_some_and(|asked| asked.turn)
    }

    /// Its name for clients: a turn has the name of the message it answers.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.asked {
            Some(asked) if asked.turn => &asked.key,
            _ => self.id.as_str(),
        }
    }

    /// How deep it stands: 0 for a turn, 1 for what a turn, the owner or a device started.
    #[must_use]
    pub fn depth(&self) -> u32 {
        let above = self.lineage.iter().filter(|above| !above.turn).count();
        u32::try_from(above).unwrap_or(u32::MAX).saturating_add(u32::from(!self.is_turn()))
    }

    /// The run that started it.
    #[must_use]
    pub fn parent(&self) -> Option<&RunId> {
        self.lineage.first().map(|ancestor| &ancestor.run)
    }

    /// Itself and the runs above it, the nearest first.
    pub fn path(&self) -> impl Iterator<Item = &RunId> {
        std::iter::once(&self.id).chain(self.lineage.iter().map(|above| &above.run))
    }

    /// The run at the top of its tree.
    #[must_use]
    pub fn root(&self) -> &RunId {
        self.lineage.last().map_or(&self.id, |top| &top.run)
    }

    /// Whether it is `run` or stands below it.
    #[must_use]
    pub fn is_in_tree_of(&self, run: &RunId) -> bool {
        self.id == *run || self.lineage.iter().any(|ancestor| ancestor.run == *run)
    }

    /// The authority it has while it runs, derived from whoever started it.
    #[must_use]
    pub fn grant(&self, started_by: &Caller, policy: &Policy, now_ms: u64) -> Grant {
        let facts = ChildFacts {
            run: self.id.clone(),
            session: self.session.clone(),
            agent: self.agent.clone(),
            max_depth: policy.max_spawn_depth,
            workspace: self.workspace.clone(),
            max_descendants: policy.max_children_per_agent,
            expires_at_ms: self.timeout_ms.map(|timeout| now_ms.saturating_add(timeout)),
        };
        if self.is_turn() {
            Grant::for_turn(started_by, facts)
        } else {
            Grant::for_child(started_by, facts)
        }
    }
}
