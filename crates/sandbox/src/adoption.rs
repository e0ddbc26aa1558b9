//! What becomes of a tree whose keeper was killed.
//!
//! A process of a tree may have the right to kill its own keeper. The kernel then gives the
//! keeper's orphans to the nearest process above that takes such: to us, if we said so. Here they
//! are known for what they are, and ended.

use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use crate::proc::{self, Stat};

/// Whether orphans come to this process.
static ADOPTS: AtomicBool = AtomicBool::new(false);

/// The keepers this process has started and not yet waited for. Every other child with a session
/// of its own is an orphan.
static KEEPERS: Mutex<Option<HashSet<i32>>> = Mutex::new(None);

/// From now on the orphans of killed keepers come to this process, which ends them. Without this
/// they go to the system's first process, and nothing tells them from the owner's own.
///
/// # Errors
/// When the kernel does not allow it.
pub fn adopt_orphans() -> io::Result<()> {
    nix::sys::prctl::set_child_subreaper(true)?;
    ADOPTS.store(true, Ordering::Relaxed);
    Ok(())
}

/// The list of our keepers. A new one is on it before it is told to begin, and until then shares
/// our session, so no keeper is ever taken for an orphan.
pub(crate) struct Keepers(MutexGuard<'static, Option<HashSet<i32>>>);

impl Keepers {
    pub(crate) fn lock() -> Self {
        Self(KEEPERS.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn add(&mut self, pid: i32) {
        self.0.get_or_insert_default().insert(pid);
    }

    /// Called once the keeper is waited for, when its number may go to another process.
    pub(crate) fn remove(&mut self, pid: i32) {
        self.0.get_or_insert_default().remove(&pid);
    }

    fn has(&self, pid: i32) -> bool {
        self.0.as_ref().is_some_and(|keepers| keepers.contains(&pid))
    }
}

/// Kills the orphans that have come to this process, with all that is below them, and collects
/// those that have ended. Gives how many were found; to be repeated until there are none.
pub(crate) fn end_adopted() -> usize {
    if !ADOPTS.load(Ordering::Relaxed) {
        return 0;
    }
    let keepers = Keepers::lock();
    let (us, ours) = (nix::unistd::getpid().as_raw(), nix::unistd::getsid(None));
    // What we started ourselves, and no keeper, shares our session; an orphan cannot enter it.
    let our_session = ours.map_or(0, Pid::as_raw);
    let everyone = proc::everyone();
    let is_orphan = |process: &&Stat| {
        process.parent == us && process.session != our_session && !keepers.has(process.pid)
    };
    let orphans: Vec<Stat> = everyone.iter().filter(is_orphan).cloned().collect();
    for orphan in &orphans {
        for process in proc::below(orphan.pid, everyone.clone(), |_| true) {
            process.kill();
        }
        orphan.kill();
        // One that still runs is collected in the next round.
        waitpid(Pid::from_raw(orphan.pid), Some(WaitPidFlag::WNOHANG)).ok();
    }
    orphans.len()
}
