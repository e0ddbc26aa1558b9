//! Reading the process table from `/proc`.
//!
//! What is read here is already history when it is returned; callers repeat until the kernel
//! itself says that nothing is left.

use std::collections::{HashMap, HashSet};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

/// The name every keeper gives itself, as `ps` shows it. The kernel cuts names at 15 bytes.
pub(crate) const KEEPER_NAME: &std::ffi::CStr = c"hatchery-keeper";

/// The name of the first process of a tree's namespace.
pub(crate) const INIT_NAME: &std::ffi::CStr = c"hatchery-init";

/// The part of `/proc/PID/stat` we use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    pub(crate) group: i32,
    pub(crate) session: i32,
    /// Clock ticks since boot.
    pub(crate) start_time: u64,
    /// Says of itself that it is a keeper; any process can say that.
    pub(crate) called_keeper: bool,
    state: u8,
    threads: u32,
}

impl Stat {
    /// The process with this id; None if there is none.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        // Signals give meaning to 0 and below ("everyone"): no process has such an id.
        if pid <= 0 {
            return None;
        }
        Self::parse(pid, &std::fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse(pid: i32, line: &[u8]) -> Option<Self> {
        // The name stands in brackets and may itself contain brackets, spaces and newlines.
        let open = line.iter().position(|byte| *byte == b'(')?;
        let close = line.iter().rposition(|byte| *byte == b')')?;
        let name = line.get(open + 1..close)?;
        let rest = std::str::from_utf8(&line[close + 1..]).ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        Some(Stat {
            pid,
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            session: fields.get(3)?.parse().ok()?,
            start_time: fields.get(19)?.parse().ok()?,
            called_keeper: name == KEEPER_NAME.to_bytes(),
            state: *fields.first()?.as_bytes().first()?,
            threads: fields.get(17)?.parse().ok()?,
        })
    }

    /// A zombie: it runs nothing and waits to be collected. One whose first thread has ended
    /// while others go on looks like it, but is not.
    pub(crate) fn has_ended(&self) -> bool {
        self.is_ending() && self.threads <= 1
    }

    /// Its first thread has ended. Others may still be on their way out, with all that is open.
    pub(crate) fn is_ending(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }

    /// Suspended by a signal, and so deaf to all others but SIGKILL.
    pub(crate) fn is_stopped(&self) -> bool {
        self.state == b'T'
    }

    /// Sends `signal` to this process and to no other that has got its number since. That it did
    /// not arrive is no error: the process has ended meanwhile, or is not ours to signal; whoever
    /// waits for it will see.
    pub(crate) fn signal(&self, signal: Signal) {
        let Some(pid) = Pid::from_raw(self.pid) else { return };
        match pidfd_open(pid, PidfdFlags::empty()) {
            // Looked at again, because only now the number cannot pass to another process.
            Ok(process) if self.is_there() => pidfd_send_signal(process, signal).ok(),
            Ok(_) | Err(Errno::SRCH) => None,
            // No descriptor can be had: it must still be reached.
            Err(_) if self.is_there() => kill_process(pid, signal).ok(),
            Err(_) => None,
        };
    }

    /// Whether the number is still that of this process.
    fn is_there(&self) -> bool {
        Stat::of(self.pid).is_some_and(|now| now.start_time == self.start_time)
    }

    /// Sends SIGKILL, see [`Stat::signal`].
    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
    }
}

/// Every process of the system that can be seen.
pub(crate) fn everyone() -> Vec<Stat> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(Stat::of)
        .collect()
}

/// Everything below the process `root`, parents first; not what is below a process that `enter`
/// says no to.
pub(crate) fn below(root: i32, everyone: Vec<Stat>, enter: impl Fn(&Stat) -> bool) -> Vec<Stat> {
    let mut children: HashMap<i32, Vec<Stat>> = HashMap::new();
    for process in everyone {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found = children.remove(&root).unwrap_or_default();
    let mut next = 0;
    // Taking the children out of the map ends the walk even if the table contradicts itself.
    while let Some(process) = found.get(next) {
        let more = if enter(process) { children.remove(&process.pid) } else { None };
        found.extend(more.unwrap_or_default());
        next += 1;
    }
    found
}

/// The processes still running that belong to one of `sessions` or are below one that does,
/// except for `leader`. Sessions opened by these are added: who is missed now, and loses its
/// parent meanwhile, is known by its session the next time.
pub(crate) fn session_family(sessions: &mut HashSet<i32>, leader: i32) -> Vec<Stat> {
    let mut others = everyone();
    others.retain(|process| process.pid != leader);
    let mut family: Vec<Stat> = Vec::new();
    let mut pids: HashSet<i32> = HashSet::new();
    loop {
        let belongs =
            |one: &mut Stat| sessions.contains(&one.session) || pids.contains(&one.parent);
        let found: Vec<Stat> = others.extract_if(.., belongs).collect();
        if found.is_empty() {
            family.retain(|process| !process.has_ended());
            return family;
        }
        sessions.extend(found.iter().map(|process| process.session));
        pids.extend(found.iter().map(|process| process.pid));
        family.extend(found);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn process(pid: i32, parent: i32) -> Stat {
        let line = format!("{pid} (x) S {parent} 1 1 0 0 0 0 0 0 0 0 0 0 0 0 0 1 0 42 0");
        Stat::parse(pid, line.as_bytes()).unwrap()
    }

    fn pids(processes: &[Stat]) -> Vec<i32> {
        processes.iter().map(|process| process.pid).collect()
    }

    #[test]
    fn a_hostile_name_does_not_move_the_fields() {
        let line = b"7 (a) Z 1 (\n\xff) S 3 4 5 0 0 0 0 0 0 0 0 0 0 0 0 0 2 0 99 0";
        let stat = Stat::parse(7, line).unwrap();
        assert_eq!((stat.parent, stat.group, stat.session), (3, 4, 5));
        assert_eq!((stat.start_time, stat.has_ended()), (99, false));
    }

    #[test]
    fn a_process_lives_as_long_as_one_of_its_threads() {
        let line = |state, threads| {
            format!("7 (x) {state} 3 4 5 0 0 0 0 0 0 0 0 0 0 0 0 0 {threads} 0 99 0")
        };
        let ended =
            |state, threads| Stat::parse(7, line(state, threads).as_bytes()).unwrap().has_ended();
        assert!(ended("Z", 1));
        assert!(!ended("Z", 2));
        assert!(!ended("S", 1));
    }

    #[test]
    fn a_process_is_ending_once_its_first_thread_is() {
        let line = |state| format!("7 (x) {state} 3 4 5 0 0 0 0 0 0 0 0 0 0 0 0 0 2 0 99 0");
        let ending = |state| Stat::parse(7, line(state).as_bytes()).unwrap().is_ending();
        assert!(ending("Z"));
        assert!(!ending("S"));
    }

    #[test]
    fn half_a_line_is_no_process() {
        assert_eq!(Stat::parse(7, b""), None);
        assert_eq!(Stat::parse(7, b"7 (x) S 3 4"), None);
        assert_eq!(Stat::parse(7, b")("), None);
    }

    #[test]
    fn everything_below_is_found_and_nothing_beside() {
        let table = vec![process(5, 4), process(3, 2), process(4, 3), process(9, 1), process(2, 1)];
        assert_eq!(pids(&below(2, table.clone(), |_| true)), [3, 4, 5]);
        assert_eq!(pids(&below(2, table, |process| process.pid != 4)), [3, 4]);
    }

    #[test]
    fn a_table_that_contradicts_itself_ends_the_walk() {
        assert_eq!(pids(&below(2, vec![process(3, 2), process(2, 3)], |_| true)), [3, 2]);
    }

    #[test]
    fn we_see_ourselves() {
        let me = i32::try_from(std::process::id()).unwrap();
        assert!(everyone().iter().any(|process| process.pid == me && !process.has_ended()));
    }
}
