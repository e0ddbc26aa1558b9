//! Why a gateway does not start.

use std::io;
use std::path::PathBuf;

use hatchery_access::Refusal;
use hatchery_store::{CommitError, OpenError, ReadError};

use crate::config::ConfigError;
use crate::lock::{Holder, LockError};
use crate::state_directory::StateDirectory;
use crate::tls::TlsError;

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another gateway is running for this state directory.
    #[error("{}; use it, or end it with `hatchery gateway stop`", already(.0.as_ref()))]
    AlreadyRunning(Option<Holder>),
    /// Something else listens on the TCP port, or the address is not this machine's.
    #[error(
        "cannot listen on port {port}: {source}; choose another with --port, or set gateway.port"
    )]
    Port {
        /// The port.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// `gateway.bind` is `tailnet`, and this machine is in none.
    #[error(
        "gateway.bind is 'tailnet' and no network interface has an address in 100.64.0.0/10; start Tailscale, or set gateway.bind to 'loopback'"
    )]
    NoTailnet,
    /// The settings let strangers in where strangers can come.
    #[error("{}; {}", .0.message, .0.remedy.as_str())]
    Exposed(Box<Refusal>),
    /// TLS is wanted and cannot be spoken.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The state directory cannot be used.
    #[error(
        "cannot write {path}: {source}; make it yours alone (chmod 700), or choose another place with HATCHERY_STATE_DIR"
    )]
    Directory {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// What the last life left behind cannot be read.
    #[error("what the last gateway left behind cannot be read: {0}")]
    Recovery(#[from] ReadError),
    /// What the last life left behind cannot be put in order.
    #[error(transparent)]
    Journal(#[from] CommitError),
}

fn already(holder: Option<&Holder>) -> String {
    match holder {
        Some(holder) => {
            let pid = holder.process.pid;
            match holder.port {
                Some(port) => format!("a gateway is already running (process {pid}, port {port})"),
                None => format!("a gateway is already running (process {pid})"),
            }
        }
        None => "a gateway is already running or just starting".to_owned(),
    }
}

impl StartError {
    pub(crate) fn lock(state: &StateDirectory, error: LockError) -> Self {
        match error {
            LockError::Held(holder) => Self::AlreadyRunning(holder),
            LockError::Io(source) => Self::Directory { path: state.lock(), source },
        }
    }

    /// The exit status of a command that fails so, from the range the system reserves for such
    /// (`sysexits.h`), so that scripts can tell the causes apart.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Port { .. } | Self::NoTailnet => 69,
            Self::Store(
                OpenError::Database { .. } | OpenError::Damaged { .. } | OpenError::Newer { .. },
            )
            | Self::Recovery(_)
            | Self::Journal(_) => 70,
            Self::Directory { .. }
            | Self::Store(
                OpenError::Files { .. }
                | OpenError::ReadOnly { .. }
                | OpenError::Full { .. }
                | OpenError::Disk { .. },
            ) => 73,
            Self::AlreadyRunning(_) => 75,
            Self::Config(_) | Self::Exposed(_) | Self::Tls(_) => 78,
        }
    }
}
