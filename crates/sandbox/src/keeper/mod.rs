//! The keeper: the process between the gateway and a program.
//!
//! It does nothing until it is told to begin: a gateway that dies before has begun nothing. It
//! then starts one program, adopts every orphan below it, and stays until the kernel says that no
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
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::dup2_stdin;

pub(crate) use instructions::Instructions;

use crate::control;
use crate::ending::{Ending, StartFailure};
use crate::proc::KEEPER_NAME;
use tree::Tree;
use watch::Watch;

/// Runs a keeper, with the arguments that follow the words of
/// [`KeeperCommand::args`](crate::KeeperCommand::args). Call it first thing in `main`, while the
/// process has one thread. The exit code is 0 if the ending was reported or nobody wanted it, 2
/// if this process was not started by a gateway.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    // The one descriptor that every way of starting a process can hand over.
    let control = io::stdin().as_fd().try_clone_to_owned().map(UnixStream::from);
    let (Some(instructions), Ok(control)) = (Instructions::from_args(args), control) else {
        return not_by_hand();
    };
    let ending = match keep(&instructions, &control) {
        Ok(Kept::UntilTheEnd(ending)) => ending,
        Ok(Kept::Nothing) => return ExitCode::SUCCESS,
        Ok(Kept::NoGateway) => return not_by_hand(),
        Err(failure) => Ending::NotStarted(StartFailure::Other(failure.to_string())),
    };
    // A gateway that is gone does not want the report.
    if let Ok(words) = control::report(&ending) {
        (&control).write_all(&words).ok();
    }
    ExitCode::SUCCESS
}

fn not_by_hand() -> ExitCode {
    // With no terminal there is nobody to tell, and nothing to do about it.
    writeln!(io::stderr(), "the keeper is started by the gateway, not by hand").ok();
    ExitCode::from(2)
}

/// What there was to keep.
enum Kept {
    /// A tree, until all of it was gone.
    UntilTheEnd(Ending),
    /// Nothing: it was never told to begin.
    Nothing,
    /// Nothing: no gateway is at the other end.
    NoGateway,
}

/// Waits for the word to begin, starts the program and stays until all of its tree is gone.
fn keep(instructions: &Instructions, control: &UnixStream) -> io::Result<Kept> {
    // Before anything else, so that a signal cannot end this process and leave a tree behind.
    let signals = signals::hold()?;
    prctl::set_name(KEEPER_NAME)?;
    // A program that may signal its keeper can suspend it. When the gateway goes, it goes on.
    prctl::set_pdeathsig(Signal::SIGCONT)?;
    let descriptors = match control::await_begin(control) {
        Ok(Some(descriptors)) => descriptors,
        Ok(None) => return Ok(Kept::Nothing),
        Err(_) => return Ok(Kept::NoGateway),
    };
    // A session of our own: no terminal's Ctrl-C reaches the tree, and its number marks the tree.
    // Not before we are told to begin, for by then the gateway knows whose session it is.
    nix::unistd::setsid()?;
    prctl::set_child_subreaper(true)?;
    let ticket = take_over(instructions, descriptors)?;
    let tree = match Tree::start(instructions, ticket) {
        Ok(tree) => tree,
        Err(failure) => return Ok(Kept::UntilTheEnd(Ending::NotStarted(failure))),
    };
    // A gateway that is gone is noticed by watching.
    if let Ok(words) = control::opening(&tree.hold()) {
        let mut control = control;
        control.write_all(&words).ok();
    }
    Ok(Kept::UntilTheEnd(Watch::new(control, signals, tree).until_all_are_gone()))
}

/// Makes our standard input what the program's is to be, and gives its end of the ticket channel.
fn take_over(
    instructions: &Instructions,
    descriptors: Vec<OwnedFd>,
) -> io::Result<Option<OwnedFd>> {
    let mut descriptors = descriptors.into_iter();
    let mut next = |is_there: bool| match is_there {
        true => descriptors.next().map(Some).ok_or(io::ErrorKind::UnexpectedEof),
        false => Ok(None),
    };
    match next(instructions.stdin)? {
        Some(stdin) => dup2_stdin(stdin)?,
        None => dup2_stdin(File::open("/dev/null")?)?,
    }
    Ok(next(instructions.ticket)?)
}
