//! A keeper's tree: how it is started, asked to end and killed.

use std::collections::BTreeSet;
use std::os::fd::{BorrowedFd, OwnedFd};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid as GroupId, getpid};
use rustix::process::{Pid, Signal as Ask, WaitStatus};

use super::namespace::Init;
use super::{Instructions, program};
use crate::containment::Hold;
use crate::ending::{Ending, StartFailure};
use crate::proc;

pub(super) enum Tree {
    /// All of it is in a namespace.
    Namespace(Init),
    /// The program is our child, and all others are below us.
    Below { program: Pid },
}

impl Tree {
    /// # Errors
    /// Why the program could not be executed. In a namespace that is known later.
    pub(super) fn start(
        instructions: &Instructions,
        mut ticket: Option<OwnedFd>,
    ) -> Result<Self, StartFailure> {
        if let Some(init) = Init::make(instructions, &mut ticket) {
            program::let_go_of_streams();
            return Ok(Tree::Namespace(init));
        }
        program::start(instructions, ticket).map(|program| Tree::Below { program })
    }

    pub(super) fn hold(&self) -> Hold {
        match self {
            Tree::Namespace(init) => Hold::Namespace { init: init.identity().clone() },
            Tree::Below { .. } => Hold::Keeper,
        }
    }

    /// Whether there is anybody to ask to end.
    pub(super) fn has_started(&self) -> bool {
        match self {
            Tree::Namespace(init) => init.has_started(),
            Tree::Below { .. } => true,
        }
    }

    /// What is ready once the tree has started; None if it has.
    pub(super) fn start_to_await(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Tree::Namespace(init) => init.unheard(),
            Tree::Below { .. } => None,
        }
    }

    /// To be called when [`Tree::start_to_await`] is ready.
    pub(super) fn note_start(&mut self) {
        if let Tree::Namespace(init) = self {
            init.hear();
        }
    }

    /// How the program ended, if that is what the end of our child `pid` tells.
    pub(super) fn ending_of(&mut self, pid: Pid, status: WaitStatus) -> Option<Ending> {
        match self {
            Tree::Namespace(init) => init.ending_of(pid, status),
            Tree::Below { program } if pid == *program => Ending::from_status(status),
            Tree::Below { .. } => None,
        }
    }

    /// Asks everybody to end. What another keeper keeps is left to it: it passes the question on,
    /// and nobody is asked twice.
    pub(super) fn ask_to_end(&self) {
        let root = match self {
            Tree::Namespace(init) => {
                init.grant_grace();
                init.identity().pid
            }
            Tree::Below { .. } => getpid().as_raw(),
        };
        let ours = |process: &proc::Stat| !process.called_keeper;
        for process in proc::below(root, proc::everyone(), ours) {
            process.signal(Ask::TERM);
            if process.is_stopped() {
                process.signal(Ask::CONT);
            }
        }
    }

    /// Kills everybody who can be seen now, and returns who that was. In a namespace that is all
    /// there are; else more may have been born meanwhile: repeat until there are no children.
    pub(super) fn kill(&self) -> BTreeSet<i32> {
        match self {
            Tree::Namespace(init) => BTreeSet::from([init.kill().as_raw_nonzero().get()]),
            Tree::Below { .. } => kill_below_us(),
        }
    }
}

fn kill_below_us() -> BTreeSet<i32> {
    let me = getpid().as_raw();
    let tree = proc::below(me, proc::everyone(), |_| true);
    // A whole group at a time first, which the kernel does in one step: a group that forks
    // faster than we read cannot outrun it. Only ours is left out; all others in sessions below
    // us hold nobody from elsewhere.
    let groups: BTreeSet<i32> = tree
        .iter()
        .map(|process| process.group)
        .filter(|group| *group > 1 && *group != me)
        .collect();
    for group in groups {
        killpg(GroupId::from_raw(group), Signal::SIGKILL).ok();
    }
    for process in &tree {
        process.kill();
    }
    tree.iter().map(|process| process.pid).collect()
}
