//! The processes of a round, found by what they all carry: the path of its home.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long the processes of a dead gateway may take to be gone.
const LIMIT: Duration = Duration::from_secs(5);

/// A process: its number, and when it started.
pub(crate) type Process = (i32, u64);

/// The processes that have this home in their environment, their arguments or as their directory.
pub(crate) fn of_home(home: &Path) -> BTreeSet<Process> {
    let wanted = home.to_str().unwrap().as_bytes();
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let carries = |file: &str| {
            let bytes = std::fs::read(entry.path().join(file)).unwrap_or_default();
            bytes.windows(wanted.len()).any(|window| window == wanted)
        };
        let stands = || {
            let directory = std::fs::read_link(entry.path().join("cwd"));
            directory.is_ok_and(|directory| directory.starts_with(home))
        };
        if (carries("environ") || carries("cmdline") || stands())
            && let Some(started) = start_time(pid)
        {
            found.insert((pid, started));
        }
    }
    found
}

/// Kills the gateways of this home, and what is about to become one: a copy of a command, which
/// still has the command's own words.
pub(crate) fn kill_gateways(home: &Path) {
    let command = concat!(env!("CARGO_BIN_EXE_hatchery"), "\0");
    let is_one = |(pid, _): &Process| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).into_owned();
        words.starts_with(command) || words.contains("\0gateway\0run\0")
    };
    loop {
        let gateways: Vec<Process> = of_home(home).into_iter().filter(is_one).collect();
        if gateways.is_empty() {
            return;
        }
        for (pid, _) in gateways {
            // It may end by itself meanwhile.
            kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
        }
    }
}

/// Kills everything of this home, after a failure.
pub(crate) fn kill_all(home: &Path) {
    for (pid, _) in of_home(home) {
        kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
    }
}

/// Fails if one of these is there, keepers aside that have begun nothing: they end by themselves,
/// and have nobody who could do anything.
pub(crate) fn assert_gone(processes: &BTreeSet<Process>) {
    let is_there = |(pid, started): &&Process| start_time(*pid) == Some(*started);
    let can_do_something = |(pid, _): &&Process| match words(*pid)[..] {
        // It has nothing to run any more, and is about to be a zombie.
        [] => false,
        [_, ref first, ..] if first == "keeper" => !children(*pid).is_empty(),
        _ => true,
    };
    let left: BTreeSet<Process> =
        processes.iter().filter(can_do_something).filter(is_there).copied().collect();
    assert!(left.is_empty(), "still there in the next life: {}", described(&left));
}

/// The program and arguments of a process, while it has any.
fn words(pid: i32) -> Vec<String> {
    let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = words.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

fn children(pid: i32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default()
}

/// Fails if anything of this home is there when the limit, counted from `since`, is over.
pub(crate) fn assert_none_of(home: &Path, since: Instant) {
    loop {
        let in_time = since.elapsed() < LIMIT;
        let left = of_home(home);
        if left.is_empty() {
            return;
        }
        assert!(in_time, "still there after {LIMIT:?}: {}", described(&left));
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn described(processes: &BTreeSet<Process>) -> String {
    let line = |(pid, _): &Process| format!("{pid} {}", words(*pid).join(" "));
    processes.iter().map(line).collect::<Vec<_>>().join("; ")
}

/// When a process started, in clock ticks since boot; none where it has ended.
pub(crate) fn start_time(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    (state != "Z" && state != "X").then(|| fields.nth(18)?.parse().ok())?
}
