//! A PID namespace for a test: there the numbers of processes are its own to give out.
//!
//! On a machine where others work too, numbers that come round again at once would meet programs
//! that were never written for it.

use std::process::Command;

/// Says to the test in the namespace that it is there.
const APART: &str = "CRASH_APART";

/// Whether this process is in a namespace of its own.
pub(crate) fn is_apart() -> bool {
    std::env::var_os(APART).is_some()
}

/// Runs the test of that name again in a namespace of its own; false where it is in one already,
/// or none can be had. Then the test goes on where it is.
pub(crate) fn ran_apart(test: &str) -> bool {
    if is_apart() || !in_namespace(&["true"]).output().is_ok_and(|tried| tried.status.success()) {
        return false;
    }
    let program = std::env::current_exe().unwrap();
    let words = [program.to_str().unwrap(), test, "--exact", "--nocapture"];
    let status = in_namespace(&words).env(APART, "1").status().unwrap();
    assert!(status.success(), "in a namespace of its own, the test ended with {status}");
    true
}

/// The shell is the first process there, as somebody has to collect orphans.
fn in_namespace(words: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child", "--mount-proc", "--"]);
    command.args(["/bin/sh", "-c", r#""$@"; exit $?"#, "sh"]).args(words);
    command
}
