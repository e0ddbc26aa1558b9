//! How a run ended. Every ending without an answer has a name and a sentence.

use std::fmt;

use hatchery_agent::{ModelFailure, ModelReport, TurnFailure};
use hatchery_sandbox::StartError;
use tokio::time::Duration;

/// How a run ended.
#[derive(Debug)]
pub enum RunEnd {
    /// With an answer, which is what the observer was given.
    Answered {
        /// The exit code, where the answer is what a command printed.
        exit_code: Option<i32>,
        /// What a model of ours says of its answer. Other agents keep that to themselves.
        report: Option<ModelReport>,
    },
    /// Because somebody cancelled it.
    Cancelled,
    /// Without an answer.
    Failed(RunFailure),
}

/// A step of a conversation with an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Agreeing on the protocol.
    Initialize,
    /// Opening a session.
    NewSession,
    /// Taking up a session where it was left.
    ResumeSession,
    /// The same, for an agent that tells the session's history first.
    LoadSession,
    /// The turn itself.
    Prompt,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Initialize => "initialize",
            Self::NewSession => "session/new",
            Self::ResumeSession => "session/resume",
            Self::LoadSession => "session/load",
            Self::Prompt => "session/prompt",
        })
    }
}

/// Why a run had no answer. `said` is the end of what the agent wrote to its standard error,
/// empty where it wrote nothing.
#[derive(Debug, thiserror::Error)]
pub enum RunFailure {
    /// The model gave no answer.
    #[error(transparent)]
    Model(#[from] ModelFailure),
    /// The model is a provider's, and the agent's process cannot reach one.
    #[error(
        "the model `{model}` is asked over the network, and an agent in a process of its own has neither network nor key; use --runtime local"
    )]
    NoProviderHere {
        /// The model.
        model: String,
    },
    /// The run's agent is the built-in one, and nobody said which model it asks.
    #[error("the run has no model; set agents.defaults.model")]
    NoModel,
    /// The run's process tree could not be started.
    #[error(transparent)]
    NotStarted(#[from] StartError),
    /// The agent's program could not be executed.
    #[error(
        "cannot run the agent's program `{program}`: {reason}; check the agent's command in the configuration"
    )]
    CannotRun {
        /// The program, as it was configured.
        program: String,
        /// What the system said.
        reason: String,
    },
    /// The process that watches over the run ended before the run did, which ended the run too.
    #[error("the keeper of the run was killed; what the run had done until then stands")]
    KeeperLost,
    /// The program does not speak ACP.
    #[error(
        "`{program}` does not speak ACP: {reason}; check the agent's command, many programs need an argument such as `acp` to speak it{}",
        saying(said)
    )]
    NotAcp {
        /// The program, as it was configured.
        program: String,
        /// What it did instead.
        reason: String,
        /// The end of its standard error.
        said: String,
    },
    /// The agent speaks another version of ACP.
    #[error("the agent speaks ACP version {version}; only version 1 is spoken here")]
    WrongVersion {
        /// The version it answered with.
        version: u64,
    },
    /// The agent ended, or closed its output, before it had answered.
    #[error("the agent ended during {step} ({how}){}", saying(said))]
    AgentExited {
        /// The request that was not answered.
        step: Step,
        /// How it ended, in words.
        how: String,
        /// Its exit code, 128 + N for signal N.
        code: i32,
        /// The end of its standard error.
        said: String,
    },
    /// The agent did not answer in time.
    #[error("the agent did not answer {step} within {} s{}", limit.as_secs(), saying(said))]
    Deadline {
        /// The request that was not answered.
        step: Step,
        /// How long it was given.
        limit: Duration,
        /// The end of its standard error.
        said: String,
    },
    /// The agent wants somebody to sign in.
    #[error("the agent wants you to sign in: {message}; run its own command once by hand to do so")]
    SignInNeeded {
        /// The agent's words.
        message: String,
    },
    /// The agent answered a request with an error.
    #[error("the agent answered {step} with error {code}: {message}")]
    Rpc {
        /// The request.
        step: Step,
        /// The JSON-RPC error code.
        code: i64,
        /// The agent's words.
        message: String,
    },
    /// The agent's answer to a request is not what the protocol says.
    #[error("the agent's answer to {step} cannot be used: it has no usable `{missing}`")]
    BadAnswer {
        /// The request.
        step: Step,
        /// The field that is missing or of another type.
        missing: &'static str,
    },
    /// The agent refused to go on.
    #[error("the agent refused the task")]
    Refused,
    /// The model ran out of tokens in the middle of its answer.
    #[error("the agent reached its token limit before it had finished; ask for less at a time")]
    OutOfTokens,
    /// The agent went on for as many model calls as it allows itself.
    #[error("the agent reached its limit of model calls in a turn; ask for less at a time")]
    OutOfCalls,
    /// The turn ended as cancelled, though nobody here cancelled it.
    #[error("the agent cancelled the turn by itself")]
    CancelledByAgent,
    /// The turn ended for a reason the protocol does not know.
    #[error("the agent ended the turn for an unknown reason: {reason}")]
    UnknownStopReason {
        /// The reason it gave.
        reason: String,
    },
    /// The run was to be taken up again, and cannot be. It has not been begun anew.
    #[error(
        "the run cannot be taken up where it was left: {reason}; what it had done until then stands, start it anew if that is safe"
    )]
    CannotResume {
        /// Why not.
        reason: String,
    },
    /// The agent ended its turn without having said anything.
    #[error("the agent ended its turn without an answer{}", saying(said))]
    EmptyAnswer {
        /// The end of its standard error.
        said: String,
    },
}

impl From<TurnFailure> for RunFailure {
    fn from(failure: TurnFailure) -> Self {
        match failure {
            TurnFailure::NotStarted(error) => Self::NotStarted(error),
            TurnFailure::KeeperLost => Self::KeeperLost,
            TurnFailure::Model(failure) => Self::Model(failure),
        }
    }
}

/// The most of an agent's standard error that goes into a message, in bytes.
const SAYING: usize = 2 * 1024;

/// The end of a standard error as part of a sentence; nothing where there is none.
fn saying(said: &str) -> String {
    let said = said.trim();
    let start = said.ceil_char_boundary(said.len().saturating_sub(SAYING));
    if said.is_empty() { String::new() } else { format!("; it said: {}", &said[start..]) }
}

#[cfg(test)]
mod tests {
    use super::{RunFailure, Step, saying};

    #[test]
    fn a_failure_carries_what_the_agent_said() {
        let failure = RunFailure::AgentExited {
            step: Step::Prompt,
            how: "exit code 3".to_owned(),
            code: 3,
            said: "no such key\n".to_owned(),
        };
        assert_eq!(
            failure.to_string(),
            "the agent ended during session/prompt (exit code 3); it said: no such key"
        );
    }

    #[test]
    fn of_a_long_speech_only_the_end_is_told() {
        assert_eq!(saying("  \n"), "");
        let told = saying(&"ä".repeat(5000));
        assert!(told.len() < 2200 && told.ends_with('ä'), "{}", told.len());
    }
}
