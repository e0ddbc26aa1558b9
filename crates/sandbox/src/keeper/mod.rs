//! The keeper: the process between the gateway and a program.
//!
//! It starts one program, adopts every orphan below it, and stays until the kernel says that no
//! child is left. It ends the tree when told so on its control socket, when that socket closes,
//! when it gets a signal to end, and when the program has ended. Where the kernel allows it, the
//! tree is a PID namespace and a fork of the keeper its init; killing that one is killing all. A
//! keeper is one thread without a runtime, and reads nothing that the tree writes.

mod init;
mod instructions;
mod namespace;
mod program;
mod signals;
mod tree;
mod watch;

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use nix::sys::prctl;
use nix::sys::signal::Signal;

pub(crate) use instructions::Instructions;

use crate::control::{self, CONTROL_FD};
use crate::descriptor::{Share, inherited_descriptor};
use crate::ending::{Ending, StartFailure};
use crate::proc::KEEPER_NAME;
use tree::Tree;
use watch::Watch;

/// Runs a keeper, with the arguments that follow the words of
/// [`KeeperCommand::args`](crate::KeeperCommand::args). Call it first thing in `main`, while the
/// process has one thread. The exit code is 0 if the ending was reported or nobody wanted it, 2
/// if this process was not started by a gateway.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let instructions = Instructions::from_args(args);
    let control = inherited_descriptor(CONTROL_FD, Share::Private).map(UnixStream::from);
    let (Some(instructions), Ok(control)) = (instructions, control) else {
        // With no terminal there is nobody to tell, and nothing to do about it.
        writeln!(io::stderr(), "the keeper is started by the gateway, not by hand").ok();
        return ExitCode::from(2);
    };
    let ending = keep(&instructions, &control)
        .unwrap_or_else(|failure| Ending::NotStarted(StartFailure::Other(failure.to_string())));
    // A gateway that is gone does not want the report.
    if let Ok(words) = control::report(&ending) {
        (&control).write_all(&words).ok();
    }
    ExitCode::SUCCESS
}

/// Starts the program and stays until all of its tree is gone.
fn keep(instructions: &Instructions, control: &UnixStream) -> io::Result<Ending> {
    // Before anything else, so that a signal cannot end this process and leave a tree behind.
    let signals = signals::hold()?;
    // A session of our own: no terminal's Ctrl-C reaches the tree, and its number marks the tree.
    nix::unistd::setsid()?;
    prctl::set_child_subreaper(true)?;
    prctl::set_name(KEEPER_NAME)?;
    // A program that may signal its keeper can suspend it. When the gateway goes, it goes on.
    prctl::set_pdeathsig(Signal::SIGCONT)?;
    let tree = match Tree::start(instructions) {
        Ok(tree) => tree,
        Err(failure) => return Ok(Ending::NotStarted(failure)),
    };
    // A gateway that is gone is noticed by watching.
    if let Ok(words) = control::opening(&tree.hold()) {
        let mut control = control;
        control.write_all(&words).ok();
    }
    Ok(Watch::new(control, signals, tree).until_all_are_gone())
}
