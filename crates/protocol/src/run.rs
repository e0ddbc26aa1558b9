//! Runs: their names, states and runtimes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of a run, unique for ever: a UUID, chosen by the supervisor.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// Takes an id that was made elsewhere: drawn at random, or read from the journal.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a run is in its life, as people and clients see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Durable, waiting for a free slot.
    Accepted,
    /// Its process or task is being started.
    Starting,
    /// At work.
    Running,
    /// Held up: it waits for results of its sub-agents, or for somebody's permission.
    Waiting,
    /// Ended with an answer.
    Ok,
    /// Ended without one.
    Failed,
    /// Ended by a deadline.
    TimedOut,
    /// Ended by a person or by its parent's end.
    Cancelled,
    /// Ended by the end of the gateway it ran under.
    Interrupted,
}

impl RunStatus {
    /// Whether the run is over.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            Self::Accepted | Self::Starting | Self::Running | Self::Waiting => false,
            Self::Ok | Self::Failed | Self::TimedOut | Self::Cancelled | Self::Interrupted => true,
        }
    }

    /// The state's name on the wire, in the journal and on the terminal.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What kind of runtime a run runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum RuntimeKind {
    /// The built-in agent as a task inside the gateway. Also spelled `subagent`.
    Local,
    /// The built-in agent in a process of its own.
    Isolated,
    /// An agent that speaks ACP, the built-in one where none is configured.
    Acp,
}

/// A runtime nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown runtime `{0}`: use local, isolated or acp")]
pub struct UnknownRuntime(String);

impl RuntimeKind {
    /// The runtime's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Isolated => "isolated",
            Self::Acp => "acp",
        }
    }
}

impl fmt::Display for RuntimeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RuntimeKind {
    type Err = UnknownRuntime;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "local" | "subagent" => Ok(Self::Local),
            "isolated" => Ok(Self::Isolated),
            "acp" => Ok(Self::Acp),
            other => Err(UnknownRuntime(other.chars().take(64).collect())),
        }
    }
}

impl TryFrom<String> for RuntimeKind {
    type Error = UnknownRuntime;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<RuntimeKind> for String {
    fn from(kind: RuntimeKind) -> Self {
        kind.as_str().to_owned()
    }
}
