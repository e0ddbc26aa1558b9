//! Process numbers that were given out again.

use std::io::{Seek, Write};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rusqlite::{Connection, OpenFlags};

use crate::apart::{is_apart, ran_apart};
use crate::client::Client;
use crate::gateway::Gateway;
use crate::home::{Home, wait_until};
use crate::processes::{Process, start_time};
use serde_json::{Value, json};

/// How many numbers may be missed before it is given up: others start processes too.
const ATTEMPTS: u32 = 200;

/// How many of these where it need not be.
const A_FEW: u32 = 10;

/// A process that has nothing to do with any gateway.
pub(crate) fn innocent() -> Child {
    let mut command = Command::new("sleep");
    command.arg("1000").env_clear().current_dir("/").stdout(Stdio::null()).spawn().unwrap()
}

/// An innocent process with the number of a keeper that has ended, where one can be had.
pub(crate) fn innocent_for(home: &Home) -> Option<Child> {
    if !is_apart() {
        return None;
    }
    process_in_place_of(*recorded_keepers(home).last()?, A_FEW)
}

#[test]
fn a_process_that_has_got_the_number_of_a_dead_keeper_lives() {
    if ran_apart("recycled::a_process_that_has_got_the_number_of_a_dead_keeper_lives") {
        return;
    }
    if !is_apart() {
        eprintln!("skipped: only root can have a namespace in which numbers are its own");
        return;
    }
    let home = Home::new();
    let mut gateway = Gateway::start(&home, None).unwrap();
    let mut client = Client::connect(&home).unwrap();
    let here = home.path();
    let spawn = json!({"task": "sleep 1000", "runtime": "local",
        "callerCwd": here});
    let receipt = client.ok("sessions.spawn", &spawn);
    wait_until("the journal knows the keeper", || {
        let session = client.ok("sessions.show", &json!({"session": receipt["sessionId"]}));
        session["run"]["status"] == "running"
    });
    let [keeper] = recorded_keepers(&home)[..] else { panic!("one run has one keeper") };
    gateway.kill();
    let number = Pid::from_raw(keeper.0);
    wait_until("the keeper is gone", || kill(number, None).is_err());
    let mut innocent = process_in_place_of(keeper, ATTEMPTS).unwrap();
    let mut gateway = Gateway::start(&home, None).unwrap();
    let mut client = Client::connect(&home).unwrap();
    let session = client.ok("sessions.show", &json!({"session": receipt["sessionId"]}));
    assert_eq!(session["run"]["status"], "interrupted");
    assert!(innocent.try_wait().unwrap().is_none(), "an innocent process was ended");
    kill(number, Signal::SIGKILL).unwrap();
    innocent.wait().unwrap();
    gateway.kill();
}

/// The keepers in the journal, the last one last.
fn recorded_keepers(home: &Home) -> Vec<Process> {
    let sql = "SELECT body FROM journal WHERE kind = 'run_running' ORDER BY seq";
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let journal = Connection::open_with_flags(home.state_directory().join("hatchery.db"), flags);
    // A gateway that died in its first moments has made no file, or no tables in it.
    let Ok(journal) = journal else { return Vec::new() };
    let Ok(mut entries) = journal.prepare(sql) else { return Vec::new() };
    let entries = entries.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let process = |entry: rusqlite::Result<String>| {
        let entry: Value = serde_json::from_str(&entry.unwrap()).unwrap();
        let process = &entry["process"];
        let pid = i32::try_from(process["pid"].as_i64()?).ok()?;
        Some((pid, process["startTime"].as_u64().unwrap()))
    };
    entries.filter_map(process).collect()
}

/// A process with the number of one that has ended, where the system lets us choose and nobody is
/// faster. It starts in another tick of the clock, as it would without us: no system gives as many
/// numbers out in one as there are.
fn process_in_place_of((wanted, started): Process, attempts: u32) -> Option<Child> {
    let path = "/proc/sys/kernel/ns_last_pid";
    let mut last = std::fs::File::options().write(true).open(path).ok()?;
    for _ in 0..attempts {
        last.rewind().ok()?;
        last.write_all((wanted - 1).to_string().as_bytes()).ok()?;
        let mut child = innocent();
        if i32::try_from(child.id()).unwrap() == wanted && start_time(wanted) != Some(started) {
            return Some(child);
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    None
}
