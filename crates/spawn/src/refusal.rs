//! Why a command was refused.

use hatchery_access::{Refusal, Remedy};
use hatchery_protocol::{AgentId, ErrorCode, RunId, RuntimeKind, SessionId, SessionKey};

use crate::budget::BudgetPart;
use crate::notice::MAX_OPEN_NOTICES;
use crate::policy::{MAX_TURNS, MAX_WAITING_TURNS};

/// Why a command was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpawnRefusal {
    /// The agent is not on the list that counts here.
    #[error("agent '{agent}' is not allowed by {list}{}", allowed(.known))]
    AgentNotAllowed {
        /// The agent that was asked for.
        agent: AgentId,
        /// The setting that decides.
        list: AllowList,
        /// Agents that would have been allowed.
        known: Vec<AgentId>,
    },
    /// The settings want the agent named.
    #[error("agents.defaults.subagents.requireAgentId is on, and no agent was named")]
    AgentRequired,
    /// `acp.enabled` is off.
    #[error("the runtime 'acp' is switched off by acp.enabled")]
    AcpDisabled,
    /// The agent's program is not there to be started.
    #[error("the agent '{agent}' is run by the program '{program}', which is not there")]
    HarnessMissing {
        /// The agent.
        agent: AgentId,
        /// The program its settings name.
        program: String,
    },
    /// As many ACP sessions run as may.
    #[error("{running} ACP sessions are running and acp.maxConcurrentSessions is {limit}")]
    SessionLimit {
        /// How many run.
        running: u32,
        /// How many may.
        limit: u32,
    },
    /// The caller stands too deep to start anything.
    #[error(
        "a sub-agent at depth {depth} would exceed agents.defaults.subagents.maxSpawnDepth, which is {limit}"
    )]
    DepthLimit {
        /// How deep the child would stand.
        depth: u32,
        /// How deep it may.
        limit: u32,
    },
    /// The caller has as many live children as it may.
    #[error(
        "the run has {children} live sub-agents and agents.defaults.subagents.maxChildrenPerAgent is {limit}"
    )]
    ChildLimit {
        /// How many it has.
        children: u32,
        /// How many it may.
        limit: u32,
    },
    /// Too many accepted runs wait for a slot.
    #[error("{limit} accepted runs are waiting already")]
    QueueFull {
        /// How many may wait.
        limit: usize,
    },
    /// The tasks of accepted runs that wait are as long as they may be together.
    #[error("accepted runs with {} MiB of tasks are waiting already", limit >> 20)]
    QueueTooLarge {
        /// How many bytes of tasks may wait.
        limit: u64,
    },
    /// A budget the run counts against is used up.
    #[error("the budget '{}' of the run {of} is used up", part.name())]
    OverBudget {
        /// The run at the top of what shares the budget.
        of: RunId,
        /// Which part of it.
        part: BudgetPart,
    },
    /// The budget that was asked for leaves no room for the run itself, which would wait for ever.
    #[error("with a concurrency of 0 the run itself could never begin")]
    NeverBegins,
    /// Somebody other than the owner wants results told elsewhere, or decides about such.
    #[error("only the owner has results told elsewhere")]
    RouteOfTheOwner,
    /// Too many results could not be told.
    #[error("{MAX_OPEN_NOTICES} results wait to be told elsewhere already")]
    TooManyNotices,
    /// There is no result that waits to be told.
    #[error("no result of the run {0} waits to be told elsewhere")]
    NoNotice(RunId),
    /// A run wants to wait for results and there is nothing that could bring any.
    #[error("the run has no live sub-agents and no results it has not seen")]
    NothingToWaitFor,
    /// A run wants to wait and does so already.
    #[error("run {0} is waiting already")]
    WaitsAlready(RunId),
    /// The directory lies outside the caller's workspace.
    #[error("the directory '{directory}' is outside the run's workspace '{workspace}'")]
    OutsideWorkspace {
        /// What was asked for.
        directory: String,
        /// Where it has to be.
        workspace: String,
    },
    /// The caller is isolated and the child would not be.
    #[error("the run is isolated, and what it starts in the runtime '{runtime}' would not be")]
    WouldLeaveIsolation {
        /// What was asked for.
        runtime: RuntimeKind,
    },
    /// The model cannot be used.
    #[error("model '{model}' cannot be used: {cause}")]
    ModelUnusable {
        /// What was asked for.
        model: String,
        /// Why not.
        cause: String,
        /// What to do about it.
        advice: String,
    },
    /// The model runs commands with the owner's rights, and the caller is not the owner.
    #[error(
        "the model '{model}' runs commands as the owner, and only the owner and what the owner starts may use it"
    )]
    ModelOfTheOwner {
        /// What was asked for, or configured.
        model: String,
    },
    /// The caller is a run that is over or being stopped.
    #[error("run {0} is over or being stopped and starts nothing any more")]
    CallerEnding(RunId),
    /// The run is not one of the live ones.
    #[error("nothing is running in {0}")]
    NotRunning(SessionId),
    /// The caller has no authority over that run.
    #[error("{0} is not below the run that asked")]
    NotBelow(SessionId),
    /// A run asked for a turn in a conversation.
    #[error("a run starts sub-agents; it takes no turn in a conversation")]
    TurnByRun,
    /// The session is a sub-agent's own.
    #[error("{0} is a sub-agent's session, which has its one task and takes no messages")]
    NoConversation(SessionKey),
    /// As many messages wait in the conversation as may.
    #[error("{MAX_WAITING_TURNS} messages are waiting in this session already")]
    TooManyMessages,
    /// As many conversations have a turn at work as may.
    #[error("{MAX_TURNS} sessions have a turn at work already")]
    TooManyTurns,
    /// The gateway is ending.
    #[error("the gateway is shutting down and starts nothing any more")]
    ShuttingDown,
}

/// The list that decides about an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowList {
    /// `acp.allowedAgents`.
    Acp,
    /// `agents.defaults.subagents.allowAgents`, or an agent's own.
    Subagents,
}

impl std::fmt::Display for AllowList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Acp => "acp.allowedAgents",
            Self::Subagents => "agents.defaults.subagents.allowAgents",
        })
    }
}

fn allowed(known: &[AgentId]) -> String {
    if known.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = known.iter().map(AgentId::as_str).collect();
    format!(" (allowed: {})", names.join(", "))
}

impl SpawnRefusal {
    /// The refusal's stable name.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::AgentNotAllowed { .. } => "AGENT_NOT_ALLOWED",
            Self::AgentRequired => "AGENT_REQUIRED",
            Self::AcpDisabled => "ACP_DISABLED",
            Self::HarnessMissing { .. } => "RUNTIME_UNAVAILABLE",
            Self::SessionLimit { .. } => "SESSION_LIMIT",
            Self::DepthLimit { .. } => "DEPTH_LIMIT",
            Self::ChildLimit { .. } => "CHILD_LIMIT",
            Self::QueueFull { .. } | Self::QueueTooLarge { .. } => "QUEUE_FULL",
            Self::OverBudget { .. } => "OVER_BUDGET",
            Self::NeverBegins => "NEVER_BEGINS",
            Self::RouteOfTheOwner => "ROUTE_OF_THE_OWNER",
            Self::TooManyNotices => "TOO_MANY_NOTICES",
            Self::NoNotice(_) => "NO_NOTICE",
            Self::NothingToWaitFor => "NOTHING_TO_WAIT_FOR",
            Self::WaitsAlready(_) => "WAITS_ALREADY",
            Self::OutsideWorkspace { .. } => "OUTSIDE_WORKSPACE",
            Self::WouldLeaveIsolation { .. } => "WOULD_LEAVE_ISOLATION",
            Self::ModelUnusable { .. } => "MODEL_UNUSABLE",
            Self::ModelOfTheOwner { .. } => "MODEL_OF_THE_OWNER",
            Self::CallerEnding(_) => "CALLER_ENDING",
            Self::NotRunning(_) => "NOT_RUNNING",
            Self::NotBelow(_) => "NOT_BELOW",
            Self::TurnByRun => "TURN_BY_RUN",
            Self::NoConversation(_) => "NO_CONVERSATION",
            Self::TooManyMessages => "TOO_MANY_MESSAGES",
            Self::TooManyTurns => "TOO_MANY_TURNS",
            Self::ShuttingDown => "SHUTTING_DOWN",
        }
    }

    /// The rule or setting that refused.
    #[must_use]
    pub fn rule(&self) -> &'static str {
        match self {
            Self::AgentNotAllowed { list: AllowList::Acp, .. } => "acp.allowedAgents",
            Self::AgentNotAllowed { list: AllowList::Subagents, .. } => {
                "agents.defaults.subagents.allowAgents"
            }
            Self::AgentRequired => "agents.defaults.subagents.requireAgentId",
            Self::AcpDisabled => "acp.enabled",
            Self::HarnessMissing { .. } => "runtime.acp.command of the agent",
            Self::SessionLimit { .. } => "acp.maxConcurrentSessions",
            Self::DepthLimit { .. } => "agents.defaults.subagents.maxSpawnDepth",
            Self::ChildLimit { .. } => "agents.defaults.subagents.maxChildrenPerAgent",
            Self::QueueFull { .. } | Self::QueueTooLarge { .. } => "queue length",
            Self::OverBudget { .. } | Self::NeverBegins => "agents.defaults.subagents.budget",
            Self::RouteOfTheOwner | Self::TooManyNotices | Self::NoNotice(_) => "routes of results",
            Self::NothingToWaitFor | Self::WaitsAlready(_) => "waiting of the run",
            Self::OutsideWorkspace { .. } => "workspace of the run",
            Self::WouldLeaveIsolation { .. } => "isolation of the run",
            Self::ModelUnusable { .. } => "models.providers",
            Self::ModelOfTheOwner { .. } => "agents.defaults.model",
            Self::CallerEnding(_) => "life of the run",
            Self::NotRunning(_) => "life of the session",
            Self::NotBelow(_) => "tree of the run",
            Self::TurnByRun | Self::NoConversation(_) => "turns of a session",
            Self::TooManyMessages | Self::TooManyTurns => "queue length",
            Self::ShuttingDown => "life of the gateway",
        }
    }

    fn remedy(&self) -> Remedy {
        let advice = |text: String| Remedy::Advice(text);
        match self {
            Self::AgentNotAllowed { agent, list: AllowList::Acp, .. } => {
                Remedy::Command(format!("hatchery agents allow {agent}"))
            }
            Self::AgentNotAllowed { agent, list: AllowList::Subagents, .. } => {
                Remedy::Command(format!("hatchery agents allow {agent} --for subagents"))
            }
            Self::AgentRequired => advice("name the agent: --agent ID".to_owned()),
            Self::AcpDisabled => advice("set acp.enabled to true, or use --runtime isolated".to_owned()),
            Self::HarnessMissing { agent, program } => advice(format!(
                "install '{program}' where the gateway's PATH finds it, or give its full path in agents.entries.{agent}.runtime.acp.command"
            )),
            Self::SessionLimit { .. } => advice(
                "wait for one to end, stop one with `hatchery sessions kill`, or raise acp.maxConcurrentSessions".to_owned(),
            ),
            Self::DepthLimit { depth, .. } => advice(format!(
                "set agents.defaults.subagents.maxSpawnDepth to {depth} or more (5 at most)"
            )),
            Self::ChildLimit { .. } => advice(
                "wait for a sub-agent to end, or raise agents.defaults.subagents.maxChildrenPerAgent (20 at most)".to_owned(),
            ),
            Self::QueueFull { .. } | Self::QueueTooLarge { .. } => {
                Remedy::Command("hatchery sessions list".to_owned())
            }
            Self::OverBudget { part, .. } => advice(format!(
                "finish with what there is, or start the tree with a larger budget: --budget {}, or agents.defaults.subagents.budget",
                part.option()
            )),
            Self::NeverBegins => {
                advice("ask for --budget concurrency=1 or more, or leave it out".to_owned())
            }
            Self::RouteOfTheOwner => {
                advice("leave the route out, or say it at the owner's terminal".to_owned())
            }
            Self::TooManyNotices | Self::NoNotice(_) => {
                Remedy::Command("hatchery tasks list --blocked".to_owned())
            }
            Self::NothingToWaitFor => advice("start a sub-agent first".to_owned()),
            Self::WaitsAlready(_) => advice("wait once, for as many as are needed".to_owned()),
            Self::OutsideWorkspace { workspace, .. } => {
                advice(format!("work in a directory below {workspace}"))
            }
            Self::WouldLeaveIsolation { .. } => advice(
                "use --runtime isolated here, or start the outer run with --runtime local".to_owned(),
            ),
            Self::ModelUnusable { advice: what, .. } => advice(what.clone()),
            Self::ModelOfTheOwner { .. } => advice(
                "on the gateway's machine, configure a provider in models.providers and set agents.defaults.model to one of its models, as provider/model".to_owned(),
            ),
            Self::CallerEnding(_) | Self::ShuttingDown => {
                advice("start it again from a run that lives on, or from the terminal".to_owned())
            }
            Self::NotRunning(_) => Remedy::Command("hatchery sessions list".to_owned()),
            Self::TurnByRun => Remedy::Advice("start a sub-agent with `hatchery spawn`".to_owned()),
            Self::NoConversation(_) => {
                advice("write to the session that started the sub-agent".to_owned())
            }
            Self::TooManyMessages => advice("wait for an answer, or say /stop".to_owned()),
            Self::TooManyTurns => advice("wait for one of them to end".to_owned()),
            Self::NotBelow(_) => advice("stop it from the owner's terminal".to_owned()),
        }
    }
}

impl From<SpawnRefusal> for Refusal {
    fn from(refusal: SpawnRefusal) -> Self {
        let class = match refusal {
            SpawnRefusal::AgentNotAllowed { .. }
            | SpawnRefusal::DepthLimit { .. }
            | SpawnRefusal::ChildLimit { .. }
            | SpawnRefusal::OutsideWorkspace { .. }
            | SpawnRefusal::WouldLeaveIsolation { .. }
            | SpawnRefusal::ModelOfTheOwner { .. }
            | SpawnRefusal::NotBelow(_)
            | SpawnRefusal::TurnByRun
            | SpawnRefusal::OverBudget { .. }
            | SpawnRefusal::RouteOfTheOwner
            | SpawnRefusal::CallerEnding(_) => ErrorCode::Forbidden,
            SpawnRefusal::AgentRequired
            | SpawnRefusal::AcpDisabled
            | SpawnRefusal::ModelUnusable { .. }
            | SpawnRefusal::NoConversation(_)
            | SpawnRefusal::NoNotice(_)
            | SpawnRefusal::NeverBegins
            | SpawnRefusal::NothingToWaitFor
            | SpawnRefusal::WaitsAlready(_)
            | SpawnRefusal::NotRunning(_) => ErrorCode::InvalidRequest,
            SpawnRefusal::SessionLimit { .. }
            | SpawnRefusal::HarnessMissing { .. }
            | SpawnRefusal::QueueFull { .. }
            | SpawnRefusal::QueueTooLarge { .. }
            | SpawnRefusal::TooManyNotices
            | SpawnRefusal::TooManyMessages
            | SpawnRefusal::TooManyTurns
            | SpawnRefusal::ShuttingDown => ErrorCode::Unavailable,
        };
        Self::forbidden(refusal.code(), refusal.rule(), refusal.to_string(), refusal.remedy())
            .in_class(class)
    }
}
