//! The parts this binary plays for its own tests.

use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::sync::Arc;

use hatchery_agent::Model;
use hatchery_runtime::acp::{AgentSide, serve_agent};
use hatchery_sandbox::{Network, Share, TICKET_FD, inherited_descriptor};
use tokio::net::unix::pipe;

use crate::support::keeper;

pub(crate) fn play() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next()?.to_str()? {
        "keeper" => Some(hatchery_sandbox::keeper::main(arguments)),
        "agent" => Some(agent()),
        _ => None,
    }
}

fn agent() -> ExitCode {
    let ticket = inherited_descriptor(TICKET_FD, Share::WithChildren).ok().map(Arc::new);
    let config = AgentSide {
        keeper: keeper(),
        env: std::env::vars_os().collect(),
        ticket,
        network: Network::Host,
        model: Model::Shell,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let own = |descriptor: std::os::fd::BorrowedFd<'_>| -> OwnedFd {
            descriptor.try_clone_to_owned().unwrap()
        };
        let input = pipe::Receiver::from_owned_fd(own(std::io::stdin().as_fd())).unwrap();
        let output = pipe::Sender::from_owned_fd(own(std::io::stdout().as_fd())).unwrap();
        serve_agent(input, output, config).await;
    });
    ExitCode::SUCCESS
}
