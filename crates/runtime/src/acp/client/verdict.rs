//! What a conversation and the end of its process together amount to.

use hatchery_sandbox::{Ending, StartFailure};

use super::conversation::{Trouble, TurnResult};
use crate::acp::reader::JunkSeen;
use crate::acp::rpc::{AUTH_REQUIRED, RpcError};
use crate::{RunEnd, RunFailure, Step};

/// Everything there is to judge by, once the agent is gone.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    /// How the conversation went.
    pub(crate) result: Result<TurnResult, Trouble>,
    /// Whether there was anything but white space in the output.
    pub(crate) spoke: bool,
    /// How the agent's process ended.
    pub(crate) ending: Ending,
    /// Whether somebody cancelled.
    pub(crate) cancelled: bool,
    /// The agent's program, as it was configured.
    pub(crate) program: String,
    /// Lines of its that meant nothing.
    pub(crate) junk: JunkSeen,
    /// The end of its standard error.
    pub(crate) said: String,
}

/// How the run ended. A turn that ended properly counts, however its process ended afterwards.
pub(crate) fn verdict(ended: Ended) -> RunEnd {
    let Ended { result, spoke, ending, cancelled, program, junk, said } = ended;
    let trouble = match result {
        Ok(turn) => return turn_verdict(turn, spoke, said),
        Err(Trouble::Cancelled) => return RunEnd::Cancelled,
        Err(trouble) => trouble,
    };
    if let Ending::NotStarted(failure) = &ending {
        let reason = reason(failure);
        return RunEnd::Failed(RunFailure::CannotRun { program, reason });
    }
    if cancelled {
        return RunEnd::Cancelled;
    }
    let step = match &trouble {
        Trouble::Closed(step) | Trouble::Deadline(step, _) | Trouble::Rpc(step, _) => Some(*step),
        _ => None,
    };
    let failure = match trouble {
        // Handled above; a conversation nobody cancelled does not end so.
        Trouble::Cancelled => return RunEnd::Cancelled,
        Trouble::Closed(_) if ending == Ending::KeeperLost => {
            return RunEnd::Failed(RunFailure::KeeperLost);
        }
        Trouble::Closed(Step::Initialize) => {
            let reason = no_acp(&ending, &junk);
            RunFailure::NotAcp { program, reason, said }
        }
        Trouble::Closed(step) => {
            RunFailure::AgentExited { step, how: how(&ending), code: ending.exit_code(), said }
        }
        Trouble::Deadline(step, limit) => RunFailure::Deadline { step, limit, said },
        Trouble::Rpc(_, RpcError { code: AUTH_REQUIRED, message }) => {
            RunFailure::SignInNeeded { message }
        }
        Trouble::Rpc(step, RpcError { code, message }) => RunFailure::Rpc { step, code, message },
        Trouble::WrongVersion(version) => RunFailure::WrongVersion { version },
        Trouble::BadAnswer(step, missing) => RunFailure::BadAnswer { step, missing },
        Trouble::CannotResume(reason) => RunFailure::CannotResume { reason },
    };
    RunEnd::Failed(match step {
        // Whatever went wrong there, what matters to a person is that the turn does not go on.
        Some(Step::ResumeSession | Step::LoadSession) => {
            RunFailure::CannotResume { reason: failure.to_string() }
        }
        _ => failure,
    })
}

fn turn_verdict(turn: TurnResult, spoke: bool, said: String) -> RunEnd {
    let TurnResult { stop_reason, exit_code } = turn;
    RunEnd::Failed(match stop_reason.as_str() {
        "end_turn" if spoke || exit_code.is_some() => {
            return RunEnd::Answered { exit_code, report: None };
        }
        "end_turn" => RunFailure::EmptyAnswer { said },
        "cancelled" => RunFailure::CancelledByAgent,
        "refusal" => RunFailure::Refused,
        "max_tokens" => RunFailure::OutOfTokens,
        "max_turn_requests" => RunFailure::OutOfCalls,
        _ => RunFailure::UnknownStopReason { reason: stop_reason.chars().take(64).collect() },
    })
}

fn reason(failure: &StartFailure) -> String {
    match failure {
        StartFailure::NotFound => "there is no such program".to_owned(),
        StartFailure::PermissionDenied => "it is not executable".to_owned(),
        StartFailure::Other(reason) => reason.clone(),
    }
}

fn no_acp(ending: &Ending, junk: &JunkSeen) -> String {
    match junk.count {
        0 => format!("it ended without a word ({})", how(ending)),
        1 => format!("it said something else: {}", junk.last),
        count => format!("it said {count} lines that are something else, the last: {}", junk.last),
    }
}

fn how(ending: &Ending) -> String {
    match ending {
        Ending::Exited(code) => format!("exit code {code}"),
        Ending::Signalled(signal) => format!("signal {signal}"),
        Ending::NotStarted(failure) => reason(failure),
        Ending::KeeperLost => "its keeper was killed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use hatchery_sandbox::{Ending, StartFailure};

    use tokio::time::Duration;

    use super::{Ended, verdict};
    use crate::acp::client::conversation::{Trouble, TurnResult};
    use crate::acp::reader::JunkSeen;
    use crate::acp::rpc::RpcError;
    use crate::{RunEnd, RunFailure, Step};

    fn told(ended: Ended) -> String {
        match verdict(ended) {
            RunEnd::Answered { exit_code, .. } => format!("answered {exit_code:?}"),
            RunEnd::Cancelled => "cancelled".to_owned(),
            RunEnd::Failed(failure) => failure.to_string(),
        }
    }

    fn ended(result: Result<TurnResult, Trouble>, ending: Ending) -> Ended {
        Ended {
            result,
            spoke: true,
            ending,
            cancelled: false,
            program: "prog".to_owned(),
            junk: JunkSeen::default(),
            said: "a word".to_owned(),
        }
    }

    fn turn(stop_reason: &str, exit_code: Option<i32>) -> Result<TurnResult, Trouble> {
        Ok(TurnResult { stop_reason: stop_reason.to_owned(), exit_code })
    }

    #[test]
    fn every_stop_reason_but_the_end_of_the_turn_is_a_named_failure() {
        for (reason, words) in [
            ("end_turn", "answered None"),
            ("refusal", "the agent refused the task"),
            ("max_tokens", "the agent reached its token limit"),
            ("max_turn_requests", "the agent reached its limit of model calls"),
            ("cancelled", "the agent cancelled the turn by itself"),
            ("tired", "the agent ended the turn for an unknown reason: tired"),
        ] {
            let told = told(ended(turn(reason, None), Ending::Signalled(15)));
            assert!(told.starts_with(words), "{told}");
        }
    }

    #[test]
    fn an_answer_needs_a_word_or_an_exit_code() {
        let silent = |exit_code| Ended {
            spoke: false,
            ..ended(turn("end_turn", exit_code), Ending::Exited(0))
        };
        assert_eq!(told(silent(Some(0))), "answered Some(0)");
        assert_eq!(
            told(silent(None)),
            "the agent ended its turn without an answer; it said: a word"
        );
    }

    #[test]
    fn trouble_is_told_with_what_the_process_did() {
        let junk = JunkSeen { count: 2, last: "Usage: prog".to_owned() };
        let closed = |step| Err(Trouble::Closed(step));
        for (told, words) in [
            (
                told(ended(closed(Step::Initialize), Ending::NotStarted(StartFailure::NotFound))),
                "cannot run the agent's program `prog`: there is no such program",
            ),
            (
                told(ended(closed(Step::Initialize), Ending::Exited(2))),
                "`prog` does not speak ACP: it ended without a word (exit code 2)",
            ),
            (
                told(Ended { junk, ..ended(closed(Step::Initialize), Ending::Exited(2)) }),
                "`prog` does not speak ACP: it said 2 lines that are something else, the last: Usage",
            ),
            (
                told(ended(closed(Step::Prompt), Ending::Signalled(9))),
                "the agent ended during session/prompt (signal 9); it said: a word",
            ),
            (
                told(ended(closed(Step::Prompt), Ending::KeeperLost)),
                "the keeper of the run was killed",
            ),
            (
                told(ended(
                    Err(Trouble::Rpc(Step::NewSession, RpcError::new(-32000, "no key"))),
                    Ending::Exited(0),
                )),
                "the agent wants you to sign in: no key",
            ),
        ] {
            assert!(told.starts_with(words), "{told}");
        }
    }

    #[test]
    fn a_session_that_is_not_taken_up_is_one_kind_of_failure() {
        let not_found = RpcError::new(-32002, "no such session");
        for (trouble, ending, reason) in [
            (
                Trouble::Rpc(Step::LoadSession, not_found),
                Ending::Exited(0),
                "the agent answered session/load with error -32002: no such session",
            ),
            (
                Trouble::Closed(Step::ResumeSession),
                Ending::Exited(3),
                "the agent ended during session/resume (exit code 3); it said: a word",
            ),
            (
                Trouble::Deadline(Step::LoadSession, Duration::from_secs(120)),
                Ending::Signalled(15),
                "the agent did not answer session/load within 120 s; it said: a word",
            ),
            (Trouble::CannotResume("it will not".to_owned()), Ending::Exited(0), "it will not"),
        ] {
            match verdict(ended(Err(trouble), ending)) {
                RunEnd::Failed(RunFailure::CannotResume { reason: told }) => {
                    assert_eq!(told, reason);
                }
                other => panic!("{other:?}"),
            }
        }
        // That is nothing the agent did.
        let lost = ended(Err(Trouble::Closed(Step::ResumeSession)), Ending::KeeperLost);
        assert!(matches!(verdict(lost), RunEnd::Failed(RunFailure::KeeperLost)));
    }

    #[test]
    fn after_a_cancel_trouble_is_no_failure() {
        let trouble = ended(Err(Trouble::Closed(Step::Prompt)), Ending::Signalled(15));
        assert_eq!(told(Ended { cancelled: true, ..trouble }), "cancelled");
    }
}
