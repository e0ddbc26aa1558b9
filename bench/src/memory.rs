//! How much memory the gateway holds.

use std::fs::read_to_string;
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::table::{MIB, Table};

/// What an idle gateway may hold, in bytes.
const AIM: u64 = 12 * MIB;

/// A process that has done nothing for so long is idle.
const QUIET: Duration = Duration::from_millis(500);

/// After so long it is measured however busy it is.
const PATIENCE: Duration = Duration::from_secs(10);

/// Measures a gateway that has nothing to do.
pub(crate) fn idle(pid: u32, table: &mut Table) -> Result<(), Failure> {
    table.memory("idle memory, resident", resident(pid)?, Some(AIM));
    table.memory("idle memory, proportional", proportional_now(pid)?, None);
    Ok(())
}

/// Measures what it holds now.
pub(crate) fn now(figure: &str, pid: u32, table: &mut Table) -> Result<(), Failure> {
    table.memory(figure, resident(pid)?, None);
    Ok(())
}

/// What a process holds once it is idle, in bytes.
pub(crate) fn resident(pid: u32) -> Result<u64, Failure> {
    until_idle(pid)?;
    resident_now(pid)
}

/// What a process holds at this moment, in bytes.
pub(crate) fn resident_now(pid: u32) -> Result<u64, Failure> {
    read(pid, "status", "VmRSS:")
}

/// What a process holds at this moment, in bytes, with its part of what it shares with others.
pub(crate) fn proportional_now(pid: u32) -> Result<u64, Failure> {
    read(pid, "smaps_rollup", "Pss:")
}

/// The most it ever held, in bytes.
pub(crate) fn most(pid: u32) -> Result<u64, Failure> {
    read(pid, "status", "VmHWM:")
}

/// Measures the most it ever held.
pub(crate) fn highest(pid: u32, table: &mut Table) -> Result<(), Failure> {
    table.memory("memory at its highest", most(pid)?, None);
    Ok(())
}

/// The processes that a process has started and that are there.
pub(crate) fn children(pid: u32) -> Result<Vec<u32>, Failure> {
    let mut children = Vec::new();
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"));
    for task in tasks.map_err(Failure::io("the gateway's threads"))?.flatten() {
        let of_task = read_to_string(task.path().join("children"));
        let of_task = of_task.map_err(Failure::io("the gateway's children"))?;
        children.extend(of_task.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
    }
    Ok(children)
}

/// A field of one of the process's files in `/proc`, in bytes.
fn read(pid: u32, file: &str, field: &str) -> Result<u64, Failure> {
    let text = process_file(pid, file)?;
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| Failure::Wrong {
        what: format!("reading {field}"),
        how: format!("/proc/{pid}/{file} has none"),
    })
}

/// Returns once the process has not run on any processor for a while.
fn until_idle(pid: u32) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE;
    let mut before = String::new();
    loop {
        // Time on a processor, time waiting for one, and how often: it stands still while the
        // process sleeps.
        let mut now = String::new();
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task"));
        for task in tasks.map_err(Failure::io("the gateway's threads"))?.flatten() {
            now += &read_to_string(task.path().join("schedstat")).unwrap_or_default();
        }
        if now == before || Instant::now() > deadline {
            return Ok(());
        }
        before = now;
        std::thread::sleep(QUIET);
    }
}

fn process_file(pid: u32, file: &str) -> Result<String, Failure> {
    read_to_string(format!("/proc/{pid}/{file}")).map_err(Failure::io("the gateway's memory"))
}
