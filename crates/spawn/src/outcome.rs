//! How runs end.

use hatchery_protocol::RunStatus;
use serde::{Deserialize, Serialize};

/// How a run ended, as it is kept and announced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// One of the final states.
    pub status: RunStatus,
    /// The exit code of its command, where there was one.
    pub exit_code: Option<i32>,
    /// The cause, where it did not end well.
    pub error: Option<String>,
    /// The last of what it said, whatever the ending.
    pub tail: String,
    /// How many bytes it said altogether.
    pub output_bytes: u64,
    /// When it ended, in milliseconds since 1970.
    pub ended_at_ms: u64,
    /// What the model took, where a provider said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// What it cost in millionths of a US dollar, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_micros: Option<u64>,
    /// The last thing it was doing, in a few words, where it said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_step: Option<String>,
    /// The files it said it touched, the first [`MAX_FILES_TOUCHED`] of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files_touched: Vec<String>,
}

/// How many files an outcome names.
pub const MAX_FILES_TOUCHED: usize = 100;

/// The tokens a run took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// What was read.
    pub input_tokens: u64,
    /// What was written.
    pub output_tokens: u64,
    /// How much of what was read came from the provider's cache.
    pub cached_tokens: u64,
}

/// What a runtime reports when a run is over and its processes are gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ending {
    /// The exit code of its command, where there was one.
    pub exit_code: Option<i32>,
    /// The cause, where there was no answer.
    pub failure: Option<String>,
    /// The last of what it said.
    pub tail: String,
    /// How many bytes it said altogether.
    pub output_bytes: u64,
    /// What the model took, where a provider said so.
    pub usage: Option<Usage>,
    /// What it cost in millionths of a US dollar, where that is known.
    pub cost_micros: Option<u64>,
    /// The last thing it was doing.
    pub last_step: Option<String>,
    /// The files it said it touched.
    pub files_touched: Vec<String>,
}

/// Why a run is being stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// Somebody with authority over it said so, or its parent was stopped.
    Cancelled,
    /// Its time was up.
    TimedOut,
    /// It waited too long for a slot.
    QueueTimeout,
    /// It did not get to work in time.
    StartTimeout,
    /// It gave no sign of life for too long.
    IdleTimeout,
    /// The time of the tree it belongs to was up.
    TreeTimeout,
    /// A budget it counts against was used up.
    OverBudget,
    /// The gateway is ending.
    Shutdown,
}

impl StopReason {
    /// The final state of a run stopped for this reason.
    #[must_use]
    pub fn status(&self) -> RunStatus {
        match self {
            Self::Cancelled => RunStatus::Cancelled,
            Self::TimedOut
            | Self::QueueTimeout
            | Self::StartTimeout
            | Self::IdleTimeout
            | Self::TreeTimeout => RunStatus::TimedOut,
            Self::OverBudget => RunStatus::Failed,
            Self::Shutdown => RunStatus::Interrupted,
        }
    }

    /// One sentence for people.
    #[must_use]
    pub fn sentence(&self) -> &'static str {
        match self {
            Self::Cancelled => "it was cancelled",
            Self::TimedOut => "its time was up",
            Self::QueueTimeout => "no slot fell free within its queueTimeoutSeconds",
            Self::StartTimeout => "it did not get to work within its startTimeoutSeconds",
            Self::IdleTimeout => "it gave no sign of life for its idleTimeoutSeconds",
            Self::TreeTimeout => "the time of its whole tree was up",
            Self::OverBudget => "the budget of its tree is used up",
            Self::Shutdown => "the gateway was shut down",
        }
    }
}

impl Ending {
    /// The outcome of a run that ended so, having been stopped for `stopped` or not at all. A
    /// stop wins over what the command said on its way out; an exit code other than 0 is a failure,
    /// and so is an end without a word where there is no exit code.
    #[must_use]
    pub fn outcome(self, stopped: Option<&StopReason>, now_ms: u64) -> Outcome {
        let (status, error) = match (stopped, self.failure, self.exit_code) {
            (Some(reason), _, _) => (reason.status(), Some(reason.sentence().to_owned())),
            (None, Some(cause), _) => (RunStatus::Failed, Some(cause)),
            (None, None, None) if self.tail.trim().is_empty() => {
                (RunStatus::Failed, Some("it ended without an answer".to_owned()))
            }
            (None, None, Some(0) | None) => (RunStatus::Ok, None),
            (None, None, Some(code)) => {
                (RunStatus::Failed, Some(format!("the command ended with exit code {code}")))
            }
        };
        Outcome {
            status,
            exit_code: self.exit_code,
            error,
            tail: self.tail,
            output_bytes: self.output_bytes,
            ended_at_ms: now_ms,
            usage: self.usage,
            cost_micros: self.cost_micros,
            last_step: self.last_step,
            files_touched: self.files_touched.into_iter().take(MAX_FILES_TOUCHED).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use hatchery_protocol::RunStatus;

    use super::{Ending, StopReason};

    #[test]
    fn the_status_follows_from_stop_failure_and_exit_code_in_this_order() {
        let cases = [
            (Some(0), None, None, RunStatus::Ok),
            (None, None, None, RunStatus::Ok),
            (None, None, Some(StopReason::OverBudget), RunStatus::Failed),
            (Some(0), None, Some(StopReason::IdleTimeout), RunStatus::TimedOut),
            (Some(3), None, None, RunStatus::Failed),
            (None, Some("no answer"), None, RunStatus::Failed),
            (Some(0), None, Some(StopReason::Cancelled), RunStatus::Cancelled),
            (Some(143), Some("killed"), Some(StopReason::TimedOut), RunStatus::TimedOut),
            (None, None, Some(StopReason::Shutdown), RunStatus::Interrupted),
        ];
        for (exit_code, failure, stopped, expected) in cases {
            let ending = Ending {
                exit_code,
                failure: failure.map(str::to_owned),
                tail: "said".to_owned(),
                output_bytes: 4,
                ..Ending::default()
            };
            let outcome = ending.outcome(stopped.as_ref(), 7);
            assert_eq!(outcome.status, expected);
            assert_eq!(outcome.error.is_none(), expected == RunStatus::Ok);
            assert_eq!(outcome.tail, "said");
        }
    }

    #[test]
    fn an_end_without_a_word_is_no_answer_unless_a_command_says_so_by_its_exit_code() {
        let silent = Ending { tail: " \n".to_owned(), ..Ending::default() };
        let outcome = silent.clone().outcome(None, 7);
        assert_eq!(outcome.status, RunStatus::Failed);
        assert_eq!(outcome.error.as_deref(), Some("it ended without an answer"));
        let command = Ending { exit_code: Some(0), ..silent };
        assert_eq!(command.outcome(None, 7).status, RunStatus::Ok);
    }
}
