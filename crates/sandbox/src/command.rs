//! Starting a program under a keeper.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use command_fds::{CommandFdExt, FdMapping};

use crate::adoption::Keepers;
use crate::containment::Containment;
use crate::control::CONTROL_FD;
use crate::identity::ProcessIdentity;
use crate::keeper::Instructions;
use crate::ticket::TICKET_FD;
use crate::tree::{KeeperHandle, Tree};

/// How keepers are started: our own binary and the words that make it one.
#[derive(Clone, Debug)]
pub struct KeeperCommand {
    /// An absolute path, usually `/proc/self/exe`.
    pub program: PathBuf,
    /// The words that lead to [`keeper::main`](crate::keeper::main).
    pub args: Vec<OsString>,
}

/// One program to run, and all it gets.
#[derive(Clone, Debug)]
pub struct CommandSpec {
    /// The program and its arguments. A program without a slash is looked up on the `PATH` of
    /// `env`.
    pub argv: Vec<OsString>,
    /// The directory to start in. It must exist.
    pub cwd: PathBuf,
    /// The whole environment; nothing of ours is added.
    pub env: Vec<(OsString, OsString)>,
    /// What the program reads.
    pub stdin: Stdin,
    /// The end of a ticket channel to hand down; found as descriptor [`TICKET_FD`].
    pub ticket: Option<Arc<OwnedFd>>,
    /// Whether the tree may open network sockets.
    pub network: Network,
    /// What the tree may be held by.
    pub containment: Containment,
}

/// What a program's standard input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stdin {
    /// Nothing: end of file at once.
    Null,
    /// A pipe whose other end is [`Tree::stdin`].
    Piped,
}

/// What network a tree may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// That of the machine.
    Host,
    /// None: only Unix sockets can be opened. This sets `no_new_privs`, so set-user-ID programs
    /// gain nothing either. A kernel that cannot do it makes the start fail.
    Denied,
}

/// Why a tree could not be started. A program that cannot be executed is not among these: that
/// is an [`Ending`](crate::Ending).
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// `argv` names no program.
    #[error("the command is empty: name a program to run")]
    EmptyCommand,
    /// The directory to start in is missing or is no directory.
    #[error("the directory {} is not there: create it or choose another", path.display())]
    Cwd {
        /// The directory asked for.
        path: PathBuf,
    },
    /// A word or variable cannot be given to any program.
    #[error("an argument or a variable of the command contains a NUL byte: remove it")]
    NulByte,
    /// No more processes or descriptors can be had, or our own binary cannot be run.
    #[error("cannot start a process: {0}; check the limits of processes and open files")]
    Process(#[source] io::Error),
    /// The started keeper cannot be recognised.
    #[error("cannot read /proc, which keeping a process tree needs: mount it")]
    NoProc,
}

impl KeeperCommand {
    /// Starts a keeper and, under it, the program. Must be called inside a tokio runtime with
    /// I/O enabled. Returns before the program runs, and before it is known whether it can.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left running then.
    pub fn start(&self, spec: CommandSpec) -> Result<Tree, StartError> {
        if spec.argv.is_empty() {
            return Err(StartError::EmptyCommand);
        }
        if !spec.cwd.is_dir() {
            return Err(StartError::Cwd { path: spec.cwd });
        }
        let (ours, keepers) = UnixStream::pair().map_err(StartError::Process)?;
        let mut command = self.command(spec, keepers.into())?;
        ours.set_nonblocking(true).map_err(StartError::Process)?;
        let control = tokio::net::UnixStream::from_std(ours).map_err(StartError::Process)?;

        let mut keepers = Keepers::lock();
        let mut child = command.spawn().map_err(StartError::from_spawn)?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.ok_or(StartError::NoProc)?;
        keepers.add(pid);
        drop(keepers);
        // Not waited for yet, so its number is still its own even if it has ended.
        let identity = ProcessIdentity::of(pid).ok_or_else(|| {
            Keepers::lock().remove(pid);
            StartError::NoProc
        })?;
        let piped = || StartError::Process(io::ErrorKind::BrokenPipe.into());
        Ok(Tree {
            stdin: child.stdin.take(),
            stdout: child.stdout.take().ok_or_else(piped)?,
            stderr: child.stderr.take().ok_or_else(piped)?,
            keeper: KeeperHandle::new(identity, child, control),
        })
    }

    fn command(
        &self,
        spec: CommandSpec,
        control: OwnedFd,
    ) -> Result<tokio::process::Command, StartError> {
        let instructions = Instructions {
            network: spec.network,
            containment: spec.containment,
            ticket: spec.ticket.is_some(),
            argv: spec.argv,
        };
        let mut mappings = vec![FdMapping { parent_fd: control, child_fd: CONTROL_FD }];
        if let Some(ticket) = spec.ticket {
            let parent_fd = ticket.try_clone().map_err(StartError::Process)?;
            mappings.push(FdMapping { parent_fd, child_fd: TICKET_FD });
        }
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .args(instructions.to_args())
            .current_dir(spec.cwd)
            .env_clear()
            .envs(spec.env)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .stdin(match spec.stdin {
                Stdin::Null => Stdio::null(),
                Stdin::Piped => Stdio::piped(),
            });
        command.fd_mappings(mappings).map_err(|collision| {
            StartError::Process(io::Error::new(io::ErrorKind::InvalidInput, collision))
        })?;
        Ok(command.into())
    }
}

impl StartError {
    // The standard library refuses a NUL byte before it makes a process, with this kind.
    fn from_spawn(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::InvalidInput => StartError::NulByte,
            _ => StartError::Process(error),
        }
    }
}
