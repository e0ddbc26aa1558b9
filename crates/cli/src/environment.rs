//! What the environment says: where things are, and whether this command runs inside a run.

use std::os::fd::RawFd;
use std::path::PathBuf;

use hatchery_agent::TICKET_FD_VARIABLE;
use hatchery_gateway::StateDirectory;
use hatchery_gateway::config::{Config, Flags, Lookup, Sources, hatchery_json};

use crate::failure::Failure;

/// The environment as settings look it up.
const VARIABLES: Lookup<'static> = &|name| std::env::var(name).ok();

/// Where the gateway keeps its things.
pub(crate) fn state_directory() -> Result<StateDirectory, Failure> {
    Ok(StateDirectory::from_environment(|name| std::env::var(name).ok())?)
}

/// Where settings come from.
pub(crate) fn sources(flags: Flags) -> Result<Sources<'static>, Failure> {
    Ok(Sources {
        hatchery_json: hatchery_json(VARIABLES)?,
        flags,
        env: VARIABLES,
        home: std::env::home_dir(),
    })
}

/// The settings, read without a gateway.
pub(crate) fn config() -> Result<Config, Failure> {
    Ok(Config::load(&sources(Flags::default())?)?)
}

/// The run this command is inside of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InsideRun {
    /// The gateway's socket.
    pub(crate) socket: PathBuf,
    /// The descriptor tickets come from.
    pub(crate) tickets: RawFd,
}

/// The run this command is inside of, if it is inside one.
pub(crate) fn inside_run() -> Option<InsideRun> {
    let tickets = std::env::var(TICKET_FD_VARIABLE).ok()?.parse().ok()?;
    let socket = std::env::var_os("HATCHERY_SOCKET")?.into();
    Some(InsideRun { socket, tickets })
}
