//! A PID namespace for a tree, and the keeper's end of its first process.
//!
//! The namespace is made in the step that makes its init, so a keeper for which none can be made
//! is left as it was and can do without.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::libc;
use nix::unistd::{Gid, Uid, getegid, geteuid};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, waitpid};

use super::{Instructions, init};
use crate::command::Network;
use crate::containment::Containment;
use crate::ending::Ending;
use crate::identity::ProcessIdentity;

/// By what right a namespace is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Right {
    /// That of this process, which is root's in most cases.
    Own,
    /// That of whoever makes a user namespace. This user is the only one in it.
    UserNamespace { uid: Uid, gid: Gid },
}

/// The first process of a tree's namespace: a fork of ours that starts the program and collects
/// orphans. The kernel kills everybody in the namespace when it ends, and it with us.
pub(super) struct Init {
    pid: Pid,
    identity: ProcessIdentity,
    socket: UnixStream,
    words: Vec<u8>,
}

impl Init {
    /// None where there can be no namespace, or it would cost the program something that it was
    /// not asked to give up.
    pub(super) fn make(instructions: &Instructions, ticket: &mut Option<OwnedFd>) -> Option<Self> {
        let mut rights = rights(instructions).into_iter();
        rights.find_map(|right| Self::make_by(right, instructions, ticket))
    }

    fn make_by(
        right: Right,
        instructions: &Instructions,
        ticket: &mut Option<OwnedFd>,
    ) -> Option<Self> {
        let (socket, inits) = UnixStream::pair().ok()?;
        let Some(pid) = fork_into_namespace(right).ok()? else {
            drop(socket);
            init::live(&inits, right, instructions, ticket.take())
        };
        drop(inits);
        let ready = (&socket).read_exact(&mut [0]);
        let identity = ProcessIdentity::of(pid.as_raw_nonzero().get());
        match (ready, identity) {
            (Ok(()), Some(identity)) => Some(Init { pid, identity, socket, words: Vec::new() }),
            _ => {
                kill_process(pid, Signal::KILL).ok();
                waitpid(Some(pid), WaitOptions::empty()).ok();
                None
            }
        }
    }

    pub(super) fn identity(&self) -> &ProcessIdentity {
        &self.identity
    }

    /// What is ready once there is something to [hear](Init::hear); None after that.
    pub(super) fn unheard(&self) -> Option<BorrowedFd<'_>> {
        (!self.has_started()).then_some(self.socket.as_fd())
    }

    /// Whether the program has been started, or could not be.
    pub(super) fn has_started(&self) -> bool {
        !self.words.is_empty()
    }

    /// Takes in what the init says when it has started the program. Blocks until it says it.
    pub(super) fn hear(&mut self) {
        let mut first = [init::STARTED];
        // One that has died says nothing more; that it has is found out by waiting for it.
        (&self.socket).read_exact(&mut first).ok();
        self.words.extend(first);
    }

    /// From now on the init does not end with the program, but with the last of the tree.
    pub(super) fn grant_grace(&self) {
        // An init that is gone grants nothing.
        (&self.socket).write_all(&[init::GRACE]).ok();
    }

    pub(super) fn kill(&self) -> Pid {
        // It is our child and not waited for, so the number is its own.
        kill_process(self.pid, Signal::KILL).ok();
        self.pid
    }

    /// How the program ended, if `pid` is the init and has ended, and so all of the namespace.
    pub(super) fn ending_of(&mut self, pid: Pid, status: WaitStatus) -> Option<Ending> {
        if pid != self.pid {
            return None;
        }
        let end = Ending::from_status(status)?;
        // All ends but ours are closed, so this ends.
        (&self.socket).read_to_end(&mut self.words).ok();
        let words = self.words.strip_prefix(&[init::STARTED]).unwrap_or(&self.words);
        let told = serde_json::from_slice(words).ok();
        // Without a word only who was killed ends, and the program was killed with it.
        told.or_else(|| matches!(end, Ending::Signalled(_)).then_some(end))
    }
}

fn rights(instructions: &Instructions) -> Vec<Right> {
    let user_namespace = Right::UserNamespace { uid: geteuid(), gid: getegid() };
    // A process without network has `no_new_privs`, so an ordinary user loses nothing more. Root
    // would lose its power over the files of others.
    let loses_nothing = instructions.network == Network::Denied && !geteuid().is_root();
    match instructions.containment {
        Containment::NoNamespace => vec![],
        Containment::Auto if !loses_nothing => vec![Right::Own],
        Containment::Auto | Containment::Namespace => vec![Right::Own, user_namespace],
    }
}

/// Like fork, but the child is the first process of a new PID namespace. It has a mount namespace
/// as well, for a `/proc` of its own. None is returned to the child.
fn fork_into_namespace(right: Right) -> io::Result<Option<Pid>> {
    let user = match right {
        Right::Own => 0,
        Right::UserNamespace { .. } => libc::CLONE_NEWUSER,
    };
    let flags = libc::CLONE_NEWPID | libc::CLONE_NEWNS | user | libc::SIGCHLD;
    let (flags, none) = (libc::c_long::from(flags), 0 as libc::c_long);
    // SAFETY: without a stack and without memory to share the child goes on with a copy of ours,
    // as after fork. A keeper has one thread, so nothing in that copy is locked or half done.
    #[allow(unsafe_code)]
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, none, none, none, none) };
    match i32::try_from(pid) {
        Ok(0..) => Ok(i32::try_from(pid).ok().and_then(Pid::from_raw)),
        _ => Err(io::Error::last_os_error()),
    }
}
