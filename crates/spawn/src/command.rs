//! What is asked of the run tree, or was found out about it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use hatchery_access::Caller;
use hatchery_protocol::{AgentId, RunId, RuntimeKind, SessionId, SessionKey, SessionKind, Task};

use crate::{Asked, Budget, Clock, Deadlines, Ending, ProcessMark, Route, Spend};

/// Something that is asked for or was found out.
#[derive(Clone, Debug)]
pub enum Command {
    /// A caller asks for a run.
    Spawn(Box<SpawnRequest>),
    /// A caller says something in a conversation, which a turn is to answer.
    Turn(Box<TurnRequest>),
    /// A runtime says that a run is at work.
    Started {
        /// The run.
        run: RunId,
        /// Its process, where it has one.
        process: Option<ProcessMark>,
    },
    /// A runtime says under which name the run's agent keeps its session, so that it can be asked
    /// to go on with it after a crash.
    Resumable {
        /// The run.
        run: RunId,
        /// The agent's own name for its session.
        session: String,
    },
    /// A runtime says that a run is over and its processes are gone.
    Ended {
        /// The run.
        run: RunId,
        /// How.
        ending: Ending,
        /// Whether the run that started it is told the result on a connection of its own.
        heard: bool,
    },
    /// A caller wants a session's run stopped, with everything below it.
    Kill {
        /// Who wants it.
        caller: Caller,
        /// The session.
        session: SessionId,
    },
    /// A caller wants a conversation to be still: the turn at work is stopped, with everything
    /// below it, and what waits behind it is not begun.
    Hush {
        /// Who wants it.
        caller: Caller,
        /// The conversation.
        session: SessionId,
        /// Only this turn, where one is named.
        only: Option<RunId>,
    },
    /// One of a run's clocks has run out.
    DeadlinePassed {
        /// The run.
        run: RunId,
        /// Which clock.
        clock: Clock,
    },
    /// A run waits for results of what it has started.
    Yield {
        /// The run.
        run: RunId,
        /// For so many, those included that are there already; for all where it is not said.
        wanted: Option<u32>,
    },
    /// A run has waited for as long as it wanted to, and takes what there is.
    StopWaiting {
        /// The run.
        run: RunId,
    },
    /// Whoever waited in a run's name is gone. What has come, and what still comes, is for the next
    /// who asks.
    AbandonWait {
        /// The run.
        run: RunId,
    },
    /// A run waits for somebody's permission.
    AwaitApproval {
        /// The run.
        run: RunId,
    },
    /// The permission was given or refused.
    ApprovalDecided {
        /// The run.
        run: RunId,
    },
    /// A run is about to ask a model: what that may take is set aside first.
    Reserve {
        /// The run.
        run: RunId,
        /// The run's own number for the call.
        call: u32,
        /// The most it may take.
        spend: Spend,
    },
    /// A model call is over, or an agent says what it has used.
    Settle {
        /// The run.
        run: RunId,
        /// The call that is over, where something was set aside for it.
        call: Option<u32>,
        /// What it took.
        spend: Spend,
    },
    /// A result was told on its route.
    Delivered {
        /// The run it tells of.
        run: RunId,
    },
    /// A result could not be told on its route.
    DeliveryFailed {
        /// The run it tells of.
        run: RunId,
        /// Why, for people.
        reason: String,
        /// Whether it would fail again.
        for_good: bool,
    },
    /// Somebody wants a blocked result told again.
    RetryNotice {
        /// Who wants it.
        caller: Caller,
        /// The run it tells of.
        run: RunId,
    },
    /// Somebody wants no more of a result that is not told yet.
    DismissNotice {
        /// Who wants it.
        caller: Caller,
        /// The run it tells of.
        run: RunId,
    },
    /// Time has passed: notices that are blocked for too long are given up.
    ExpireNotices,
    /// These sessions have been over for long enough to leave the lists.
    Archive {
        /// The sessions.
        sessions: Vec<SessionId>,
    },
    /// The gateway is about to end; everything is stopped and nothing new begins.
    ShutDown {
        /// Whether what has not begun is left for the next life of the gateway.
        keep_queued: bool,
    },
    /// The gateway has started again and nothing of its last life runs any more.
    Recover {
        /// What each run that was live then had said.
        said: BTreeMap<RunId, LastWords>,
        /// Whether runs go on: not where the gateway is there for one command only.
        resume: bool,
        /// The runs whose starter may not start them any more. They and what is below them are
        /// over.
        disowned: BTreeSet<RunId>,
    },
}

/// What is known of a run that ended with the gateway.
#[derive(Clone, Debug, Default)]
pub struct LastWords {
    /// The last of what it said.
    pub tail: String,
    /// How many bytes it had said altogether.
    pub output_bytes: u64,
}

/// What a caller asks for. Lineage and depth are not in it: they follow from the caller.
#[derive(Clone, Debug)]
pub struct SpawnRequest {
    /// Who asks.
    pub caller: Caller,
    /// The name the run will have.
    pub run: RunId,
    /// The name its session will have.
    pub session: SessionId,
    /// The task.
    pub task: Task,
    /// The agent, where one was named.
    pub agent: Option<AgentId>,
    /// The runtime.
    pub runtime: RuntimeKind,
    /// The agents whose program is not there to be started.
    pub missing: BTreeSet<AgentId>,
    /// The model, where one was named.
    pub model: Option<String>,
    /// The directory, where one was named; absolute and resolved.
    pub cwd: Option<PathBuf>,
    /// Where the caller itself stands, for an agent without a workspace of its own.
    pub caller_cwd: PathBuf,
    /// The time limit in milliseconds, where one was named; 0 is for ever.
    pub timeout_ms: Option<u64>,
    /// The other time limits, where they were named; 0 is for ever.
    pub deadlines: Deadlines,
    /// What it and everything below it may use up, where that was said.
    pub budget: Budget,
    /// Where else its result is told.
    pub route: Option<Route>,
    /// A name for people.
    pub label: Option<String>,
    /// The conversation it is asked for in, and with which message.
    pub asked: Option<(SessionId, Asked)>,
}

/// A message that a turn is to answer.
#[derive(Clone, Debug)]
pub struct TurnRequest {
    /// Who says it.
    pub caller: Caller,
    /// The name the turn's run will have.
    pub run: RunId,
    /// The conversation, which is open already.
    pub session: SessionId,
    /// Its key.
    pub session_key: SessionKey,
    /// What it is for.
    pub kind: SessionKind,
    /// The client's own name for the message.
    pub key: String,
    /// The message.
    pub task: Task,
    /// Who answers.
    pub agent: AgentId,
    /// With which model, where the message or the session names one.
    pub model: Option<String>,
    /// The directory for an agent without a workspace of its own.
    pub caller_cwd: PathBuf,
    /// The time limit in milliseconds, where one was named; 0 is for ever.
    pub timeout_ms: Option<u64>,
}
