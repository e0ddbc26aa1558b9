//! Why a command failed, and what to do about it.

use std::io;
use std::process::ExitCode;

use hatchery_gateway::config::{ConfigError, EditError, NoConfigDirectory};
use hatchery_gateway::{NoStateDirectory, StartError};
use hatchery_protocol::WireError;
use hatchery_store::AuditError;
use serde_json::{Value, json};

use crate::exit;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The gateway refused or could not.
    #[error("{}", .0.message)]
    Refused(Box<WireError>),
    /// The command line makes no sense, beyond what its parser sees.
    #[error("{0}")]
    Usage(String),
    /// A gateway could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The background gateway did not come up.
    #[error("{message}")]
    Background {
        /// What it said.
        message: String,
        /// The status it ended with.
        status: u8,
    },
    /// The settings cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The settings cannot be changed.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// There is no place for settings.
    #[error(transparent)]
    NoConfigDirectory(#[from] NoConfigDirectory),
    /// There is no place for the gateway's things.
    #[error(transparent)]
    NoStateDirectory(#[from] NoStateDirectory),
    /// What a text names is not there.
    #[error("{message}")]
    NotFound {
        /// What is not there.
        message: String,
        /// The command that shows what is.
        look: &'static str,
    },
    /// The journal cannot be looked at as evidence.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// No gateway is running, and this command needs one.
    #[error("no gateway is running")]
    NotRunning,
    /// The gateway has not let go of its lock in time.
    #[error("the gateway (process {pid}) did not end within {seconds} s")]
    DoesNotEnd {
        /// Its process.
        pid: i32,
        /// How long was waited.
        seconds: u64,
    },
    /// The connection to the gateway broke.
    #[error("the gateway closed the connection; its log says why")]
    Disconnected,
    /// The connection to the gateway broke in the middle of a run, and no gateway came back.
    #[error("the gateway closed the connection and did not come back")]
    NotBack {
        /// The command that shows the rest of the run later.
        later: String,
    },
    /// The gateway said something that makes no sense.
    #[error("the gateway's answer cannot be understood: {0}")]
    BadAnswer(#[from] serde_json::Error),
    /// The run's ticket could not be taken.
    #[error("no ticket came from the run this command is inside of: {0}")]
    NoTicket(String),
    /// The system refused something.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Nobody reads our output any more.
    #[error("the output was closed")]
    OutputClosed,
}

impl Failure {
    /// A refusal of the gateway.
    pub(crate) fn refused(error: WireError) -> Self {
        Self::Refused(Box::new(error))
    }

    /// A failure of the system at `what`.
    pub(crate) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }

    /// What to do about it, where one thing is known to help.
    pub(crate) fn remedy(&self) -> Option<&str> {
        match self {
            Self::Refused(error) => error.detail("remedy"),
            Self::NotFound { look, .. } => Some(look),
            Self::NotRunning => Some("hatchery gateway start"),
            Self::NotBack { later } => Some(later),
            Self::Disconnected => Some("hatchery gateway logs --tail 20"),
            Self::NoTicket(_) => {
                Some("start the command from the run's own shell, with its descriptors open")
            }
            _ => None,
        }
    }

    /// The status the command ends with.
    pub(crate) fn exit_code(&self) -> ExitCode {
        let status = match self {
            Self::Refused(error) => exit::of_refusal(error.detail_code()),
            Self::Usage(_) => 2,
            Self::Start(error) => error.exit_status(),
            Self::Background { status, .. } => *status,
            Self::Config(_) => 78,
            _ => 1,
        };
        ExitCode::from(status)
    }

    /// The failure for programs.
    pub(crate) fn as_json(&self) -> Value {
        match self {
            Self::Refused(error) => json!({"error": error}),
            other => json!({"error": {"message": other.to_string(), "remedy": other.remedy()}}),
        }
    }
}
