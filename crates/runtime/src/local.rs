//! The runtime `local`: the built-in agent as a task in this process.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use hatchery_agent::{Cancel, Host, Model, StartingCommand, TurnEnd, Usage, Workplace, run_turn};
use hatchery_protocol::OutputStream;
use hatchery_sandbox::{KeeperCommand, Network};

use crate::{Observer, Progress, RunEnd, RunFailure, RunSpec, Spent};

/// An observer, as the agent sees it.
struct LocalHost<'a, O> {
    observer: &'a O,
    started: AtomicBool,
}

impl<O: Observer> Host for LocalHost<'_, O> {
    async fn command_starting(&self, command: &StartingCommand) {
        // A run starts once, however many commands it runs.
        if !self.started.swap(true, Ordering::Relaxed) {
            self.observer.starting(Some(command.process.clone())).await;
        }
        if let Some(step) = Progress::step("execute", &command.line) {
            self.observer.progress(Progress::Step(step)).await;
        }
    }

    async fn output(&self, stream: OutputStream, bytes: Bytes) {
        self.observer.output(stream, bytes).await;
    }

    async fn alive(&self) {
        self.observer.progress(Progress::Alive).await;
    }

    async fn used(&self, tokens: Usage) {
        let spent = Spent { tokens: Some(tokens), micro_dollars: None };
        self.observer.progress(Progress::Spent(spent)).await;
    }
}

pub(crate) async fn run<O: Observer>(
    spec: RunSpec,
    keeper: KeeperCommand,
    observer: &O,
    cancel: Cancel,
) -> RunEnd {
    let Some(model) = spec.model else { return RunEnd::Failed(RunFailure::NoModel) };
    if spec.resume.is_some() && model == Model::Shell {
        let reason = "a command is never run twice".to_owned();
        return RunEnd::Failed(RunFailure::CannotResume { reason });
    }
    // A command tells when it has started. A question has no process to tell of.
    if let Model::Chat(_) = model {
        observer.starting(None).await;
    }
    let workplace = Workplace {
        keeper,
        cwd: spec.cwd,
        env: spec.env,
        ticket: spec.ticket,
        network: Network::Host,
    };
    let host = LocalHost { observer, started: AtomicBool::new(false) };
    match run_turn(&host, &workplace, &model, &spec.conversation, &spec.task, cancel).await {
        TurnEnd::Answered { exit_code, report } => RunEnd::Answered { exit_code, report },
        TurnEnd::Cancelled => RunEnd::Cancelled,
        TurnEnd::Failed(failure) => RunEnd::Failed(failure.into()),
    }
}
