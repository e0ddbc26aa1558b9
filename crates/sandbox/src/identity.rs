//! Recognising a process again, also after a restart of ours.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::proc::Stat;

/// A process that no later process can be mistaken for.
///
/// A process id alone is reused; together with the moment of its start and the boot it happened
/// in, it is not.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ProcessIdentity {
    /// The process id in our own pid namespace.
    pub pid: i32,
    /// Clock ticks from boot to the start of the process, field 22 of `/proc/PID/stat`.
    pub start_time: u64,
    /// The kernel's random id of this boot.
    pub boot_id: String,
}

impl ProcessIdentity {
    /// The process that has this id now, zombies included; None if there is none or `/proc`
    /// cannot be read.
    #[must_use]
    pub fn of(pid: i32) -> Option<Self> {
        let stat = Stat::of(pid)?;
        Some(ProcessIdentity { pid, start_time: stat.start_time, boot_id: boot_id()?.to_owned() })
    }

    /// This process; None if `/proc` cannot be read.
    #[must_use]
    pub fn current() -> Option<Self> {
        Self::of(i32::try_from(std::process::id()).ok()?)
    }

    /// Whether exactly this process still runs. A zombie does not.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.stat().is_some_and(|stat| !stat.has_ended())
    }

    /// Whether exactly this process was killed and is not gone yet: threads that the kernel cannot
    /// interrupt hold what it has open for a moment longer. A program whose first thread may end
    /// before the others looks the same.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.stat().is_some_and(|stat| stat.is_ending())
    }

    fn stat(&self) -> Option<Stat> {
        let stat = Stat::of(self.pid)?;
        let same = stat.start_time == self.start_time && boot_id() == Some(self.boot_id.as_str());
        same.then_some(stat)
    }
}

fn boot_id() -> Option<&'static str> {
    static BOOT_ID: OnceLock<Option<String>> = OnceLock::new();
    BOOT_ID
        .get_or_init(|| {
            let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
            Some(text.trim().to_owned())
        })
        .as_deref()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn this_process_is_running() {
        assert!(ProcessIdentity::current().unwrap().is_running());
    }

    #[test]
    fn a_process_with_a_recycled_number_is_another() {
        let ours = ProcessIdentity::current().unwrap();
        assert!(!ProcessIdentity { start_time: ours.start_time + 1, ..ours.clone() }.is_running());
        assert!(!ProcessIdentity { boot_id: "another boot".to_owned(), ..ours }.is_running());
    }

    #[test]
    fn a_zombie_does_not_run() {
        use std::io::Read;
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let identity = ProcessIdentity::of(child.id().try_into().unwrap()).unwrap();
        assert!(identity.is_running());
        drop(child.stdin.take());
        child.stdout.take().unwrap().read_to_end(&mut Vec::new()).unwrap();
        // Its output is closed while it exits; from there on it needs no help to become a zombie.
        while identity.is_running() {
            std::thread::yield_now();
        }
        assert_eq!(ProcessIdentity::of(identity.pid), Some(identity));
        child.wait().unwrap();
    }

    #[test]
    fn an_identity_survives_json() {
        let ours = ProcessIdentity::current().unwrap();
        let text = serde_json::to_string(&ours).unwrap();
        assert_eq!(serde_json::from_str::<ProcessIdentity>(&text).unwrap(), ours);
    }
}
