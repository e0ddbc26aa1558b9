//! Starting a program under a keeper.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use tokio::process::ChildStdin;

use crate::adoption::Keepers;
use crate::containment::Containment;
use crate::identity::ProcessIdentity;
use crate::keeper::Instructions;
use crate::prepared::PreparedTree;
use crate::starter::on_starter;
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
    /// The end of a ticket channel to hand down; found as descriptor
    /// [`TICKET_FD`](crate::TICKET_FD).
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
    /// Starts a keeper for the program, which begins when it is [told](PreparedTree::begin) to.
    /// Must be called inside a tokio runtime with I/O enabled. The work is done in a thread for
    /// it, so nobody else is held up.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left running then.
    pub async fn prepare(&self, spec: CommandSpec) -> Result<PreparedTree, StartError> {
        let keeper = self.clone();
        on_starter(move || keeper.prepare_here(spec)).await.map_err(StartError::Process)?
    }

    fn prepare_here(&self, spec: CommandSpec) -> Result<PreparedTree, StartError> {
        if spec.argv.is_empty() {
            return Err(StartError::EmptyCommand);
        }
        if !spec.cwd.is_dir() {
            return Err(StartError::Cwd { path: spec.cwd });
        }
        let (ours, keepers) = UnixStream::pair().map_err(StartError::Process)?;
        ours.set_nonblocking(true).map_err(StartError::Process)?;
        let control = tokio::net::UnixStream::from_std(ours).map_err(StartError::Process)?;
        let (stdin, write) = match spec.stdin {
            Stdin::Null => (None, None),
            Stdin::Piped => {
                let (read, write) = std::io::pipe().map_err(StartError::Process)?;
                let write = std::process::ChildStdin::from(OwnedFd::from(write));
                let write = ChildStdin::from_std(write).map_err(StartError::Process)?;
                (Some(read.into()), Some(write))
            }
        };
        let ticket = spec.ticket.clone();
        let mut child =
            self.command(spec, keepers.into()).spawn().map_err(StartError::from_spawn)?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.ok_or(StartError::NoProc)?;
        // Not waited for yet, so its number is still its own even if it has ended.
        let identity = ProcessIdentity::of(pid).ok_or(StartError::NoProc)?;
        let piped = || StartError::Process(io::ErrorKind::BrokenPipe.into());
        let stdout = child.stdout.take().ok_or_else(piped)?;
        let stderr = child.stderr.take().ok_or_else(piped)?;
        // It shares our session until it begins, so it was never taken for an orphan.
        Keepers::lock().add(pid);
        let keeper = KeeperHandle::new(identity, child, control);
        Ok(PreparedTree { tree: Tree { stdin: write, stdout, stderr, keeper }, stdin, ticket })
    }

    /// Nothing here may need more than the standard streams and a directory: then the kernel can
    /// start it without copying what we are.
    fn command(&self, spec: CommandSpec, control: OwnedFd) -> tokio::process::Command {
        let instructions = Instructions {
            network: spec.network,
            containment: spec.containment,
            stdin: spec.stdin == Stdin::Piped,
            ticket: spec.ticket.is_some(),
            argv: spec.argv,
        };
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .args(instructions.to_args())
            .current_dir(spec.cwd)
            .env_clear()
            .envs(spec.env)
            .stdin(control)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.into()
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
