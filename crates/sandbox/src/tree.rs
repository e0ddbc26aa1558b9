//! The gateway's end of a started tree.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};

use crate::adoption::{Keepers, end_adopted};
use crate::containment::Hold;
use crate::control::{self, Said};
use crate::ending::Ending;
use crate::identity::ProcessIdentity;
use crate::proc;
use crate::reap::end_init;
use crate::stopper::Stopper;

/// A started program and everything below it.
///
/// Dropping it (or its [`keeper`](Tree::keeper)) makes the keeper stop the tree at once. Both
/// outputs reach end of file at the latest when the whole tree is gone; read them, or a program
/// that writes much will wait for ever. The fields may be taken apart to read and wait in
/// different tasks.
#[derive(Debug)]
pub struct Tree {
    /// Where the program reads, if it was asked for.
    pub stdin: Option<ChildStdin>,
    /// What the tree writes to its standard output.
    pub stdout: ChildStdout,
    /// What the tree writes to its standard error.
    pub stderr: ChildStderr,
    /// Waits for the tree and stops it.
    pub keeper: KeeperHandle,
}

/// The lifeline to a tree's keeper.
#[derive(Debug)]
pub struct KeeperHandle {
    identity: ProcessIdentity,
    child: Child,
    control: Arc<UnixStream>,
    stopper: Stopper,
    words: Vec<u8>,
    said: Option<Said>,
}

impl Tree {
    /// The process the tree can be recognised by: its keeper.
    #[must_use]
    pub fn identity(&self) -> &ProcessIdentity {
        self.keeper.identity()
    }

    /// Something to stop the tree with, to hand to others.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.keeper.stopper()
    }

    /// See [`KeeperHandle::wait`].
    pub async fn wait(&mut self) -> Ending {
        self.keeper.wait().await
    }
}

impl KeeperHandle {
    pub(crate) fn new(identity: ProcessIdentity, child: Child, control: UnixStream) -> Self {
        let control = Arc::new(control);
        let stopper = Stopper::new(&control);
        KeeperHandle { identity, child, control, stopper, words: Vec::new(), said: None }
    }

    /// The process the tree can be recognised by: its keeper.
    #[must_use]
    pub fn identity(&self) -> &ProcessIdentity {
        &self.identity
    }

    /// Something to stop the tree with, to hand to others.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// What the tree was held by. Known once it has been waited for; None where its keeper could
    /// not hold it at all, or did not live to say so.
    #[must_use]
    pub fn hold(&self) -> Option<&Hold> {
        self.said.as_ref()?.hold.as_ref()
    }

    pub(crate) fn control(&self) -> &UnixStream {
        &self.control
    }

    /// Closes the control socket and waits for the keeper, which was not told to begin.
    pub(crate) async fn give_up(self) {
        let Self { identity, mut child, control, .. } = self;
        drop(control);
        // An error here means that somebody else collected the exit status: it is gone as well.
        child.wait().await.ok();
        Keepers::lock().remove(identity.pid);
    }

    /// Waits until the keeper is gone, and with it the whole tree. May be cancelled and called
    /// again; once answered it answers the same at once.
    pub async fn wait(&mut self) -> Ending {
        if let Some(said) = &self.said {
            return said.ending.clone();
        }
        self.hear_last_words().await;
        let said = control::understand(&self.words);
        if said.ending == Ending::KeeperLost {
            if let Some(Hold::Namespace { init }) = &said.hold {
                end_init(init).await;
            }
            self.end_the_orphans().await;
        }
        // An error here means that somebody else collected the exit status: it is gone as well.
        self.child.wait().await.ok();
        Keepers::lock().remove(self.identity.pid);
        self.said.insert(said).ending.clone()
    }

    async fn hear_last_words(&mut self) {
        let mut piece = [0_u8; 512];
        loop {
            if self.control.readable().await.is_err() {
                return;
            }
            match self.control.try_read(&mut piece) {
                Ok(0) => return,
                Ok(length) => self.words.extend_from_slice(&piece[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // A keeper that was killed with a question unread resets the socket.
                Err(_) => return,
            }
        }
    }

    // Somebody killed the keeper itself. What it kept has come to us, or gone to the system's
    // reaper where we do not adopt; much of it still carries the keeper's session, whose number
    // stays taken while our child is not waited for.
    async fn end_the_orphans(&self) {
        const PAUSE: Duration = Duration::from_millis(10);
        const ROUNDS: usize = 100;
        let mut sessions = HashSet::from([self.identity.pid]);
        for _ in 0..ROUNDS {
            let family = proc::session_family(&mut sessions, self.identity.pid);
            if end_adopted() == 0 && family.is_empty() {
                return;
            }
            for process in &family {
                process.kill();
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
