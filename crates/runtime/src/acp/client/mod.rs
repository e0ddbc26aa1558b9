//! The client's side: a run whose agent is a command that speaks ACP.

mod conversation;
mod hearing;
mod opening;
mod permission;
mod signs;
mod spending;
mod stop;
mod verdict;

use std::ffi::OsString;

use hatchery_agent::{Cancel, Model, TICKET_FD_VARIABLE};
use hatchery_sandbox::{CommandSpec, Containment, KeeperCommand, Network, Stdin, TICKET_FD, Tree};

use self::conversation::{Conversation, Subject};
use self::stop::{Phase, see_off};
use self::verdict::{Ended, verdict};
use super::peer::{Role, connect};
use super::reader::silence;
use crate::spec::MODEL_VARIABLE;
use crate::tail::Tail;
use crate::{Observer, RunEnd, RunFailure, RunSpec};

/// Starts the agent, has it do the task, and sees it off.
pub(crate) async fn run<O: Observer>(
    spec: RunSpec,
    argv: Vec<OsString>,
    network: Network,
    keeper: &KeeperCommand,
    observer: &O,
    cancel: &Cancel,
) -> RunEnd {
    // The key stays here, and so does the model.
    if let Some(Model::Chat(model)) = &spec.model {
        return RunEnd::Failed(RunFailure::NoProviderHere { model: model.reference() });
    }
    let program = argv.first().map(|word| word.to_string_lossy().into_owned());
    let prepared = match keeper.prepare(command(&spec, argv, network)).await {
        Ok(prepared) => prepared,
        Err(error) => return RunEnd::Failed(RunFailure::NotStarted(error)),
    };
    observer.starting(Some(prepared.identity().clone())).await;
    if cancel.is_cancelled() {
        prepared.give_up().await;
        return RunEnd::Cancelled;
    }
    let tree = prepared.begin();

    let stopper = tree.stopper();
    let stop = |grace| stopper.stop(grace);
    let Tree { stdin, stdout, stderr, mut keeper } = tree;
    let Some(stdin) = stdin else {
        return RunEnd::Failed(RunFailure::KeeperLost);
    };
    let mut connection = connect(stdout, stdin, Role::Client);
    let peer = connection.peer.clone();
    let phase = Phase::new();
    let mut said = Tail::default();

    let talk = async {
        let mut conversation =
            Conversation::new(&peer, &mut connection.incoming, observer, &phase, cancel);
        let subject = Subject { cwd: &spec.cwd, task: &spec.task, resume: spec.resume.as_deref() };
        let result = conversation.hold(subject, &spec.deadlines).await;
        phase.over();
        conversation.linger().await;
        (result, conversation.has_words())
    };
    let wait = async {
        let ending = keeper.wait().await;
        connection.gone.send_replace(true);
        ending
    };
    let listen = async {
        tokio::join!(talk, async {
            // The tree being gone ends this too, whoever else may hold the stream open.
            let mut tree_gone = connection.gone.subscribe();
            tokio::select! {
                () = said.read(stderr) => {}
                () = silence(&mut tree_gone) => {}
            }
        })
    };
    let (((result, spoke), ()), ending) = tokio::select! {
        all = async { tokio::join!(listen, wait) } => all,
        never = see_off(&peer, &phase, stop, &spec.deadlines, cancel) => match never {},
    };
    verdict(Ended {
        result,
        spoke,
        ending,
        cancelled: cancel.is_cancelled(),
        program: program.unwrap_or_default(),
        junk: peer.junk().seen(),
        said: said.into_text(),
    })
}

fn command(spec: &RunSpec, argv: Vec<OsString>, network: Network) -> CommandSpec {
    let mut env = spec.env.clone();
    env.retain(|(name, _)| name != TICKET_FD_VARIABLE && name != MODEL_VARIABLE);
    if spec.ticket.is_some() {
        env.push((TICKET_FD_VARIABLE.into(), TICKET_FD.to_string().into()));
    }
    if let Some(model) = &spec.model {
        env.push((MODEL_VARIABLE.into(), model.name().into()));
    }
    let (cwd, ticket) = (spec.cwd.clone(), spec.ticket.clone());
    let containment = Containment::Auto;
    CommandSpec { argv, cwd, env, stdin: Stdin::Piped, ticket, network, containment }
}

#[cfg(test)]
mod tests;
