//! `hatchery agent`: the built-in agent for any ACP client.

use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::Arc;

use hatchery_agent::{Model, SHELL_MODEL, TICKET_FD_VARIABLE};
use hatchery_runtime::MODEL_VARIABLE;
use hatchery_runtime::acp::{AgentSide, serve_agent};
use hatchery_sandbox::{KeeperCommand, Network, Share, TICKET_FD, inherited_descriptor};
use tokio::net::unix::pipe::{Receiver, Sender};

use crate::attach::THIS_PROGRAM;
use crate::exit;

/// Serves the client on standard input and output to its end.
pub(crate) fn serve() -> ExitCode {
    // A provider's model needs a key and the network, and this process is given neither.
    match std::env::var(MODEL_VARIABLE) {
        Ok(name) if name != SHELL_MODEL => {
            eprintln!(
                "hatchery: an agent in a process of its own has the model {SHELL_MODEL} only, not {name}"
            );
            return exit::FAILED;
        }
        _ => {}
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("hatchery: cannot start: {error}");
            return exit::FAILED;
        }
    };
    // Only the gateway's own children have tickets to hand down.
    let has_tickets = std::env::var_os(TICKET_FD_VARIABLE).is_some();
    let ticket = has_tickets
        .then(|| inherited_descriptor(TICKET_FD, Share::Private).ok())
        .flatten()
        .map(Arc::new);
    let side = AgentSide {
        keeper: KeeperCommand { program: THIS_PROGRAM.into(), args: vec!["keeper".into()] },
        env: std::env::vars_os().filter(|(name, _)| name != MODEL_VARIABLE).collect(),
        ticket,
        // Where the network is denied, it is denied to the whole tree from above.
        network: Network::Host,
        model: Model::Shell,
    };
    runtime.block_on(serve_on_standard_streams(side));
    // Standard input may have a reader that never returns; it ends with the process.
    runtime.shutdown_background();
    ExitCode::SUCCESS
}

/// A client gives us pipes; a person who tries it out by hand gives us a terminal or a file,
/// which can only be read by a thread that waits.
async fn serve_on_standard_streams(side: AgentSide) {
    match pipes() {
        Ok((input, output)) => serve_agent(input, output, side).await,
        Err(_) => serve_agent(tokio::io::stdin(), tokio::io::stdout(), side).await,
    }
}

fn pipes() -> io::Result<(Receiver, Sender)> {
    let input = Receiver::from_owned_fd(io::stdin().as_fd().try_clone_to_owned()?)?;
    let output = Sender::from_owned_fd(io::stdout().as_fd().try_clone_to_owned()?)?;
    Ok((input, output))
}
