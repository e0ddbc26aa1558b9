//! Starting the program a keeper keeps.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use command_fds::{CommandFdExt, FdMapping};
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout};
use rustix::process::Pid;

use super::{Instructions, signals};
use crate::command::Network;
use crate::descriptor;
use crate::ending::StartFailure;
use crate::network;
use crate::ticket::TICKET_FD;

/// Starts the program with our standard streams, which we then let go of, as of the `ticket`
/// channel: they reach end of file when the tree is gone, not when we are.
///
/// # Errors
/// Why the program could not be executed, or not within its limits.
pub(super) fn start(
    instructions: &Instructions,
    ticket: Option<OwnedFd>,
) -> Result<Pid, StartFailure> {
    let (program, arguments) = instructions.argv.split_first().ok_or(StartFailure::NotFound)?;
    match instructions.network {
        Network::Host => {}
        Network::Denied => network::deny().map_err(|error| {
            StartFailure::Other(format!("the network cannot be denied here: {error}"))
        })?,
    }
    // What our gateway was started with, by whoever started it, is none of the program's business.
    descriptor::close_in_programs()?;
    let mut command = Command::new(program);
    signals::release_in(&mut command);
    let mappings = ticket.map(|parent_fd| FdMapping { parent_fd, child_fd: TICKET_FD });
    command
        .fd_mappings(mappings.into_iter().collect())
        .map_err(|collision| StartFailure::Other(collision.to_string()))?;
    let child = command.args(arguments).process_group(0).spawn()?;
    let_go_of_streams();
    i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| StartFailure::Other("the system gave no process id".to_owned()))
}

/// Lets the standard streams of this process lead nowhere.
pub(super) fn let_go_of_streams() {
    // Should this fail, the streams end with us instead, which is when the tree has gone.
    if let Ok(nothing) = File::options().read(true).write(true).open("/dev/null") {
        dup2_stdin(&nothing).ok();
        dup2_stdout(&nothing).ok();
        dup2_stderr(&nothing).ok();
    }
}
