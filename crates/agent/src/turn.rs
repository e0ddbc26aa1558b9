//! One turn: a task in, an ending out.

use hatchery_protocol::{OutputStream, Task};
use hatchery_sandbox::{Ending, StartError, StartFailure, Stopper, Tree};
use tokio::sync::watch;
use tokio::time::Duration;

use crate::chat::{self, ModelFailure};
use crate::output::carry;
use crate::{Cancel, Conversation, Host, Model, ModelReport, StartingCommand, Workplace, command};

/// How long a command may take to end once its turn is cancelled, before it is killed.
const GRACE: Duration = Duration::from_secs(2);

/// The same where the asker itself must go: within a second everything has to be over.
const SHORT_GRACE: Duration = Duration::from_millis(200);

/// How a turn ended.
#[derive(Debug)]
pub enum TurnEnd {
    /// With an answer, which is what was handed to the host.
    Answered {
        /// The exit code, where a command answered: 128 + N for signal N, 127 where there is no
        /// such program, 126 where it may not be executed. A code other than 0 is an answer too.
        exit_code: Option<i32>,
        /// What a model says of its answer, where a model answered.
        report: Option<ModelReport>,
    },
    /// Because somebody cancelled it.
    Cancelled,
    /// Without an answer.
    Failed(TurnFailure),
}

/// Why a turn had no answer.
#[derive(Debug, thiserror::Error)]
pub enum TurnFailure {
    /// The command's process tree could not be started.
    #[error(transparent)]
    NotStarted(#[from] StartError),
    /// The process that watches over the command ended before the command did, which ended the
    /// command too.
    #[error("the keeper of the command was killed; what the command had done until then stands")]
    KeeperLost,
    /// The model gave no answer.
    #[error(transparent)]
    Model(#[from] ModelFailure),
}

/// Runs one turn to its end. When this returns, no process and no request of it is left. `earlier`
/// is what a model is told of the conversation before `task`; a command knows no conversation.
///
/// Dropping the future kills the turn's processes without waiting for them to be gone.
pub async fn run_turn<H: Host>(
    host: &H,
    workplace: &Workplace,
    model: &Model,
    earlier: &Conversation,
    task: &Task,
    cancel: Cancel,
) -> TurnEnd {
    match model {
        Model::Shell => run_command(host, workplace, task, &cancel).await,
        Model::Chat(model) => chat::ask(host, model, earlier, task, &cancel).await,
    }
}

async fn run_command<H: Host>(
    host: &H,
    workplace: &Workplace,
    task: &Task,
    cancel: &Cancel,
) -> TurnEnd {
    if cancel.is_cancelled() {
        return TurnEnd::Cancelled;
    }
    let argv = command::argv(task);
    let prepared = match workplace.keeper.prepare(workplace.command(&argv)).await {
        Ok(prepared) => prepared,
        Err(error) => return TurnEnd::Failed(error.into()),
    };
    let process = prepared.identity().clone();
    let started = StartingCommand { line: command::command_line(task), argv, process };
    host.command_starting(&started).await;
    if cancel.is_cancelled() {
        prepared.give_up().await;
        return TurnEnd::Cancelled;
    }
    let tree = prepared.begin();

    let stopper = tree.stopper();
    let (ending, cancelled) = tokio::select! {
        end = watch_tree(tree, host, cancel) => end,
        never = stop_when_asked(cancel, &stopper) => match never {},
    };
    match ending {
        _ if cancelled => TurnEnd::Cancelled,
        Ending::KeeperLost => TurnEnd::Failed(TurnFailure::KeeperLost),
        Ending::NotStarted(ref failure) => {
            let line = cannot_run(&started.argv, failure);
            host.output(OutputStream::Stderr, line.into()).await;
            answered(&ending)
        }
        Ending::Exited(_) | Ending::Signalled(_) => answered(&ending),
    }
}

fn answered(ending: &Ending) -> TurnEnd {
    TurnEnd::Answered { exit_code: Some(ending.exit_code()), report: None }
}

/// Carries output and waits until the tree is gone; says too whether a cancel came before that.
async fn watch_tree<H: Host>(tree: Tree, host: &H, cancel: &Cancel) -> (Ending, bool) {
    let Tree { stdout, stderr, mut keeper, .. } = tree;
    let (gone, tree_gone) = watch::channel(false);
    let wait = async {
        let ending = keeper.wait().await;
        let cancelled = cancel.is_cancelled();
        gone.send_replace(true);
        (ending, cancelled)
    };
    let ((), (), end) = tokio::join!(
        carry(stdout, OutputStream::Stdout, host, tree_gone.clone()),
        carry(stderr, OutputStream::Stderr, host, tree_gone.clone()),
        wait,
    );
    end
}

/// Passes a cancel on to the tree, however often it becomes more urgent. Runs beside the
/// carrying of output, so that a slow host cannot hold a cancel up.
async fn stop_when_asked(cancel: &Cancel, stopper: &Stopper) -> std::convert::Infallible {
    cancel.cancelled().await;
    stopper.stop(GRACE);
    cancel.cancelled_now().await;
    stopper.stop(SHORT_GRACE);
    std::future::pending().await
}

/// What a person is told about a program that could not be executed.
fn cannot_run(argv: &[String], failure: &StartFailure) -> String {
    let program = argv.first().map_or("", String::as_str);
    match failure {
        StartFailure::NotFound => format!("hatchery: cannot run `{program}`: no such program\n"),
        StartFailure::PermissionDenied => {
            format!("hatchery: cannot run `{program}`: it is not executable\n")
        }
        StartFailure::Other(reason) => format!("hatchery: cannot run `{program}`: {reason}\n"),
    }
}

#[cfg(test)]
mod tests {
    use hatchery_sandbox::StartFailure;

    use super::cannot_run;

    #[test]
    fn a_program_that_cannot_run_is_named_with_the_reason() {
        let argv = ["nope".to_owned(), "-v".to_owned()];
        for (failure, line) in [
            (StartFailure::NotFound, "hatchery: cannot run `nope`: no such program\n"),
            (StartFailure::PermissionDenied, "hatchery: cannot run `nope`: it is not executable\n"),
            (StartFailure::Other("too long".into()), "hatchery: cannot run `nope`: too long\n"),
        ] {
            assert_eq!(cannot_run(&argv, &failure), line);
        }
    }
}
