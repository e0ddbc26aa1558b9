//! Asking a keeper to stop its tree.

use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use nix::sys::socket::{MsgFlags, Shutdown, send, shutdown};
use tokio::net::UnixStream;

use crate::control;

/// Stops one tree, from anywhere and as often as wanted. Cheap to clone.
///
/// It does not keep the tree alive: once the tree's handle is dropped it does nothing.
#[derive(Clone, Debug)]
pub struct Stopper {
    // Weak, because the keeper takes a closed control socket for "nobody wants this tree": a
    // forgotten stopper must not hold it open.
    control: Weak<UnixStream>,
    asked: Arc<Mutex<Option<Asked>>>,
}

/// The earliest end asked for so far.
#[derive(Clone, Copy, Debug)]
enum Asked {
    By(Instant),
    /// A grace too long to have an end.
    Sometime,
}

impl Stopper {
    pub(crate) fn new(control: &Arc<UnixStream>) -> Self {
        Stopper { control: Arc::downgrade(control), asked: Arc::default() }
    }

    /// SIGTERM to the whole tree now, SIGKILL to what is left after `grace`; with
    /// [`Duration::ZERO`] SIGKILL now. Asking again can only bring the end nearer. Never blocks
    /// and never fails: a tree that is already gone is stopped.
    pub fn stop(&self, grace: Duration) {
        let Some(control) = self.control.upgrade() else { return };
        if !self.brings_the_end_nearer(grace) {
            return;
        }
        let line = control::stop_line(grace);
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        let sent = send(control.as_raw_fd(), line.as_bytes(), flags);
        if sent != Ok(line.len()) {
            // Either the keeper is gone, or it has not read for a long time. End of file reaches
            // it behind whatever is queued, and means stop as well; a socket that cannot even be
            // shut down has no keeper any more.
            shutdown(control.as_raw_fd(), Shutdown::Write).ok();
        }
    }

    // Keeps the number of lines small however often somebody asks.
    fn brings_the_end_nearer(&self, grace: Duration) -> bool {
        let end = Instant::now().checked_add(grace).map_or(Asked::Sometime, Asked::By);
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let nearer = match (*asked, end) {
            (None, _) | (Some(Asked::Sometime), Asked::By(_)) => true,
            (Some(_), Asked::Sometime) => false,
            (Some(Asked::By(before)), Asked::By(now)) => now < before,
        };
        if nearer {
            *asked = Some(end);
        }
        nearer
    }
}
