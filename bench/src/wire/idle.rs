//! What connections cost that only listen.

use super::Target;
use super::socket::Socket;
use crate::failure::Failure;
use crate::memory;
use crate::table::Table;

/// How many connections are held.
const CONNECTIONS: usize = 9_500;

/// What one may cost, in bytes.
const AIM: u64 = 10 * 1024;

/// Measures the memory of the gateway before and with the connections.
pub(crate) fn measure(target: &Target, pid: u32, table: &mut Table) -> Result<(), Failure> {
    let before = memory::resident(pid)?;
    let held = (0..CONNECTIONS).map(|_| Socket::connect(target)).collect::<Result<Vec<_>, _>>()?;
    let after = memory::resident(pid)?;
    let each = after.saturating_sub(before) / CONNECTIONS as u64;
    table.small_memory(
        format!("memory of an idle connection, {CONNECTIONS} held"),
        each,
        Some(AIM),
    );
    drop(held);
    Ok(())
}
