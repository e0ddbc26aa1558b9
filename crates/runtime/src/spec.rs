//! What is to be run, and how.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use hatchery_agent::{Conversation, Model};
use hatchery_protocol::{AgentId, Task};
use hatchery_sandbox::Network;
use tokio::time::Duration;

/// The environment variable that tells the built-in agent, in a process of its own, its model.
pub const MODEL_VARIABLE: &str = "HATCHERY_MODEL";

/// What is to be run, and how.
#[derive(Clone, Debug)]
pub struct RunSpec {
    /// The agent that runs it.
    pub agent: AgentId,
    /// What it is asked to do.
    pub task: Task,
    /// What was said before the task. Only the built-in agent in this process takes it.
    pub conversation: Conversation,
    /// The model the built-in agent asks; none for an agent that has its own idea of models.
    pub model: Option<Model>,
    /// The directory the run works in: absolute, and existing.
    pub cwd: PathBuf,
    /// The whole environment of the run's processes. The ticket's variable is added where there
    /// is a ticket, and [`MODEL_VARIABLE`] for an agent in a process of its own.
    pub env: Vec<(OsString, OsString)>,
    /// The descriptor the run's processes read tickets from.
    pub ticket: Option<Arc<OwnedFd>>,
    /// Where the agent runs.
    pub launch: Launch,
    /// How long an agent in a process of its own may take over things.
    pub deadlines: AcpDeadlines,
    /// The session to take up where an earlier life of this run left it, by the name the observer
    /// was told. The agent is then asked to go on, not to do the task again. A question to a model
    /// is simply asked again, and a command is never run twice.
    pub resume: Option<String>,
}

/// Where a run's agent runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Launch {
    /// The built-in agent, as a task in this process. Its commands are processes still.
    Local,
    /// A command that speaks ACP on its standard input and output.
    Acp {
        /// The program and its arguments.
        argv: Vec<OsString>,
        /// Whether it may open network connections.
        network: Network,
    },
}

/// How long an agent in a process of its own may take over things. The turn itself has no
/// deadline here: that is for whoever started the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcpDeadlines {
    /// To answer the first request. Some agents are ten seconds in starting, and longer where
    /// they are downloaded first.
    pub initialize: Duration,
    /// To open a session.
    pub new_session: Duration,
    /// To end a turn that was cancelled.
    pub cancel: Duration,
    /// To end by itself once its standard input is closed.
    pub exit: Duration,
    /// To end after SIGTERM, before SIGKILL.
    pub terminate: Duration,
}

impl Default for AcpDeadlines {
    fn default() -> Self {
        Self {
            initialize: Duration::from_secs(60),
            new_session: Duration::from_secs(120),
            cancel: Duration::from_secs(10),
            exit: Duration::from_secs(3),
            terminate: Duration::from_secs(2),
        }
    }
}
