//! The device door from outside: OpenClaw's wire over WebSocket, as any client on this machine
//! uses it. What is measured here can be measured of every gateway that speaks the wire.

mod handshake;
mod idle;
mod requests;
mod socket;
mod target;

use std::time::Duration;

use crate::failure::Failure;
use crate::table::Table;

pub(crate) use target::Target;

/// Takes every figure of a door in turn.
pub(crate) fn measure(target: &Target, echo: Duration, table: &mut Table) -> Result<(), Failure> {
    handshake::sequential(target, echo, table)?;
    handshake::at_once(target, table)?;
    requests::round_trips(target, "health", echo, table)?;
    requests::round_trips(target, "sessions.list", echo, table)?;
    for method in ["health", "sessions.list"] {
        requests::per_second(target, method, 1, 64, table)?;
        requests::per_second(target, method, 50, 4, table)?;
    }
    Ok(())
}

/// Measures requests again among many sessions.
pub(crate) fn among_many(
    target: &Target,
    echo: Duration,
    table: &mut Table,
) -> Result<(), Failure> {
    requests::round_trips(target, "sessions.list", echo, table)?;
    requests::per_second(target, "sessions.list", 1, 64, table)?;
    requests::per_second(target, "sessions.list", 50, 4, table)
}

/// Measures what many connections that only listen cost.
pub(crate) fn idle(target: &Target, pid: u32, table: &mut Table) -> Result<(), Failure> {
    idle::measure(target, pid, table)
}

/// Opens sessions until there are so many.
pub(crate) fn open_sessions(target: &Target, many: usize) -> Result<(), Failure> {
    requests::open_sessions(target, many)
}
