//! Cleaning up after a gateway that died.
//!
//! Keepers end by themselves when their gateway does. This makes sure of it: a keeper may have
//! been suspended, or be busy with a tree that resists.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, sleep, timeout_at};

use crate::descriptor::awaitable;
use crate::identity::ProcessIdentity;
use crate::proc;

/// What was done about one recorded keeper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaped {
    /// The keeper as it was recorded.
    pub keeper: ProcessIdentity,
    /// What became of it.
    pub outcome: ReapOutcome,
}

/// What became of a recorded keeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReapOutcome {
    /// It did not run any more; a process that has its number now was left alone.
    AlreadyGone,
    /// It ended when asked, and its tree before it.
    Stopped,
    /// It and its tree were killed.
    Killed,
    /// Something of its tree is still there: it belongs to another user, or hangs in the kernel.
    Survived,
}

/// Makes sure that the recorded keepers and their trees are gone: asks all of them to stop and
/// kills what is left after `patience` (a keeper asked to stop gives its tree 2 s, so give it
/// more). Never touches a process whose identity does not match. The report is in the order of
/// `left_over`. Must be called inside a tokio runtime with I/O and time enabled.
pub async fn reap(left_over: &[ProcessIdentity], patience: Duration) -> Vec<Reaped> {
    let deadline = Instant::now() + patience;
    let held: Vec<Held> = left_over.iter().map(Held::open).collect();
    for keeper in &held {
        keeper.signal(Signal::TERM);
    }
    let mut report = Vec::new();
    for (keeper, identity) in held.into_iter().zip(left_over) {
        let outcome = keeper.end(identity, deadline).await;
        report.push(Reaped { keeper: identity.clone(), outcome });
    }
    report
}

/// Kills the first process of a tree's namespace and waits, at most a second, until all of the
/// namespace is gone with it.
pub(crate) async fn end_init(init: &ProcessIdentity) {
    let held = Held::open(init);
    held.signal(Signal::KILL);
    // It counts as running until the kernel has killed and collected everybody in its namespace.
    held.ended_by(Instant::now() + Duration::from_secs(1)).await;
}

/// A recorded process, held in such a way that a signal can meet no other process.
enum Held {
    Gone,
    /// It runs, but the kernel gives us no hold on it.
    OutOfReach,
    Running(AsyncFd<OwnedFd>),
}

impl Held {
    fn open(identity: &ProcessIdentity) -> Self {
        // Nobody who asks is a process of an earlier life, whatever was recorded.
        let is_us = ProcessIdentity::current().as_ref() == Some(identity);
        if is_us || !identity.is_running() {
            return Held::Gone;
        }
        let Some(pid) = Pid::from_raw(identity.pid) else { return Held::Gone };
        let Ok(descriptor) = pidfd_open(pid, PidfdFlags::empty()) else {
            return if identity.is_running() { Held::OutOfReach } else { Held::Gone };
        };
        // Looked at again, because only now the number cannot pass to another process.
        if !identity.is_running() {
            return Held::Gone;
        }
        awaitable(descriptor, Interest::READABLE).map_or(Held::OutOfReach, Held::Running)
    }

    // An error means that it has ended, or is not ours to signal: waiting will tell.
    fn signal(&self, signal: Signal) {
        if let Held::Running(descriptor) = self {
            pidfd_send_signal(descriptor, signal).ok();
        }
    }

    async fn end(&self, identity: &ProcessIdentity, deadline: Instant) -> ReapOutcome {
        match self {
            Held::Gone => return ReapOutcome::AlreadyGone,
            Held::OutOfReach => return ReapOutcome::Survived,
            Held::Running(_) => {}
        }
        if self.ended_by(deadline).await {
            return ReapOutcome::Stopped;
        }
        // While the keeper is there it adopts every orphan, so its tree cannot scatter: the
        // keeper comes last.
        let tree_gone = end_tree(identity).await;
        self.signal(Signal::KILL);
        let gone = self.ended_by(Instant::now() + Duration::from_secs(1)).await;
        if tree_gone && gone { ReapOutcome::Killed } else { ReapOutcome::Survived }
    }

    // A descriptor of a process becomes readable when it ends.
    async fn ended_by(&self, deadline: Instant) -> bool {
        match self {
            Held::Running(descriptor) => {
                timeout_at(deadline, descriptor.readable()).await.is_ok_and(|ready| ready.is_ok())
            }
            Held::Gone => true,
            Held::OutOfReach => false,
        }
    }
}

/// Kills everything below the keeper until nothing runs there; false after a second of trying.
async fn end_tree(keeper: &ProcessIdentity) -> bool {
    const PAUSE: Duration = Duration::from_millis(10);
    const ROUNDS: usize = 100;
    for _ in 0..ROUNDS {
        let tree = proc::below(keeper.pid, proc::everyone(), |_| true);
        // Once it has ended its number may pass on; what we read before is still its own.
        if !keeper.is_running() {
            return true;
        }
        let running: Vec<_> = tree.iter().filter(|process| !process.has_ended()).collect();
        if running.is_empty() {
            return true;
        }
        for process in running {
            process.kill();
        }
        sleep(PAUSE).await;
    }
    false
}
