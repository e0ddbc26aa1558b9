//! Signals to everything below a keeper.

use std::collections::BTreeSet;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, getpid};

use crate::proc;

/// Asks everything below us to end. What another keeper keeps is left to it: it passes the
/// question on, and nobody is asked twice.
pub(super) fn ask_to_end() {
    let ours = |process: &proc::Stat| !process.called_keeper;
    for process in proc::below(getpid().as_raw(), proc::everyone(), ours) {
        process.signal(Signal::SIGTERM);
        if process.is_stopped() {
            process.signal(Signal::SIGCONT);
        }
    }
}

/// Kills everything below us that can be seen now, and returns who that was. More may have been
/// born meanwhile: repeat until there are no children.
pub(super) fn kill() -> BTreeSet<i32> {
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
        killpg(Pid::from_raw(group), Signal::SIGKILL).ok();
    }
    for process in &tree {
        process.kill();
    }
    tree.iter().map(|process| process.pid).collect()
}
