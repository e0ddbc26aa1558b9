//! What happened: the entries of the journal.

use hatchery_protocol::{RunId, SessionId};
use serde::{Deserialize, Serialize};

use crate::{Outcome, ProcessMark, Run, StopReason};

/// Something that happened. Each is one entry of the journal, and the state of the gateway is
/// what they add up to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum Event {
    /// A run was taken on, and its session opened with it.
    RunAccepted {
        /// The run.
        run: Box<Run>,
    },
    /// It got a slot and is being started.
    RunStarting {
        /// The run.
        run: RunId,
    },
    /// It is at work.
    RunRunning {
        /// The run.
        run: RunId,
        /// Its process, where it has one of its own.
        process: Option<ProcessMark>,
    },
    /// It was told to stop.
    RunStopping {
        /// The run.
        run: RunId,
        /// Why.
        reason: StopReason,
    },
    /// It is over and its processes are gone.
    RunFinished {
        /// The run.
        run: RunId,
        /// How it ended.
        outcome: Outcome,
    },
    /// Its result stands in the inbox of a session. Always in one commit with `RunFinished`.
    RunAnnounced {
        /// The run.
        run: RunId,
        /// The session that has the result now.
        to: SessionId,
    },
    /// Somebody was refused.
    Refused {
        /// Who asked, as the door saw it.
        caller: String,
        /// The refusal's stable name.
        code: String,
        /// The rule that refused.
        rule: String,
        /// What it was about.
        subject: String,
    },
}

impl Event {
    /// The run it is about, if it is about one.
    #[must_use]
    pub fn run(&self) -> Option<&RunId> {
        match self {
            Self::RunAccepted { run } => Some(&run.id),
            Self::RunStarting { run }
            | Self::RunRunning { run, .. }
            | Self::RunStopping { run, .. }
            | Self::RunFinished { run, .. }
            | Self::RunAnnounced { run, .. } => Some(run),
            Self::Refused { .. } => None,
        }
    }

    /// The entry's kind, as the journal names it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::RunAccepted { .. } => "run_accepted",
            Self::RunStarting { .. } => "run_starting",
            Self::RunRunning { .. } => "run_running",
            Self::RunStopping { .. } => "run_stopping",
            Self::RunFinished { .. } => "run_finished",
            Self::RunAnnounced { .. } => "run_announced",
            Self::Refused { .. } => "refused",
        }
    }
}
