//! A whole tree of runs is stopped, whatever its processes do to stay: as root and as an ordinary
//! user, in namespaces of their own and without.

use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use crate::home::{Home, wait_until};

/// One level of the tree: everything a process can do to outlive its stop, and below it the next
/// level. Whoever is at work says so in `ready`.
const LEVEL: &str = r#"
level=$1 runtime=$2 script=$3
trap '' TERM INT HUP
# A session of its own.
setsid sh -c 'trap "" TERM INT HUP; echo session >> ready; while :; do sleep 1; done' &
# A daemon: its parent is gone before it has begun.
sh -c 'setsid sh -c "trap \"\" TERM; echo daemon >> ready; while :; do sleep 1; done" & exit 0'
# One that never sleeps.
sh -c 'trap "" TERM; echo spinning >> ready; while :; do :; done' &
# One that writes into the workspace for as long as it lives.
setsid sh -c 'trap "" TERM; echo writing >> ready; while :; do echo x >> written; sleep 0.01; done' &
# One that holds itself up.
sh -c 'echo suspended >> ready; kill -STOP $$; sleep 1000' &
if [ "$level" -gt 1 ]; then
  hatchery spawn --runtime "$runtime" -- sh "$script" $((level - 1)) "$runtime" "$script" &
fi
echo level >> ready
while :; do sleep 1; done
"#;

/// How many processes of one level say that they are at work.
const A_LEVEL: usize = 6;

const LEVELS: usize = 3;

/// The processes that stand in a directory, but for the gateway itself.
fn processes_in(directory: &Path, gateway: i32) -> Vec<(i32, String)> {
    let entries = std::fs::read_dir("/proc").unwrap();
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| *pid != gateway)
        .filter(|pid| {
            let cwd: Option<PathBuf> = std::fs::read_link(format!("/proc/{pid}/cwd")).ok();
            cwd.is_some_and(|cwd| cwd.starts_with(directory))
        })
        .map(|pid| {
            let words = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            (pid, words.replace('\0', " "))
        })
        .collect()
}

fn lines_of(file: &Path) -> usize {
    std::fs::read_to_string(file).unwrap_or_default().lines().count()
}

fn stop_a_tree(home: &Home, runtime: &str) {
    let script = home.path().join("level.sh");
    std::fs::write(&script, LEVEL).unwrap();
    let gateway = home.start_gateway();
    let script = script.to_str().unwrap();
    let levels = LEVELS.to_string();
    let words = ["sh", script, &levels, runtime, script];
    let mut spawn = vec!["spawn", "--detach", "--json", "--runtime", runtime, "--"];
    spawn.extend(words);
    let receipt = home.run(&spawn);
    let session = receipt.json()["sessionId"].as_str().unwrap().to_owned();
    let ready = home.path().join("ready");
    wait_until("three levels are at work", || lines_of(&ready) == A_LEVEL * LEVELS);
    wait_until("something was written", || lines_of(&home.path().join("written")) > 0);
    assert!(processes_in(home.path(), gateway).len() >= A_LEVEL * LEVELS);

    let said = home.run(&["sessions", "kill", &session]);
    // From the moment it is said, nobody is left and nothing more is written.
    let left = processes_in(home.path(), gateway);
    let written = lines_of(&home.path().join("written"));
    assert_eq!(said.lines(), ["Stopped sess_*"; LEVELS], "{said:?}");
    assert_eq!(left, [], "with {runtime}");
    let statuses: Vec<String> = home.sessions().into_iter().map(|(_, status)| status).collect();
    assert_eq!(statuses, ["cancelled", "cancelled", "cancelled", "idle"]);
    assert_eq!(lines_of(&home.path().join("written")), written);
}

fn home() -> Home {
    Home::with_config("{ agents: { defaults: { subagents: { maxSpawnDepth: 3 } } } }", "")
}

#[test]
fn a_stopped_tree_is_dead_when_that_is_said() {
    for runtime in ["local", "isolated"] {
        stop_a_tree(&home(), runtime);
    }
}

#[test]
fn an_ordinary_users_stopped_tree_is_dead_when_that_is_said() {
    if !geteuid().is_root() {
        // The other test is this one already.
        return;
    }
    // With the network of the machine there is no namespace for an ordinary user, without it
    // there is one.
    for runtime in ["local", "isolated"] {
        stop_a_tree(&home().for_ordinary_user(), runtime);
    }
}

#[test]
fn a_stopped_tree_of_root_without_a_namespace_is_dead_when_that_is_said() {
    if geteuid().is_root() {
        stop_a_tree(&home().without_privileges(), "local");
    }
}
