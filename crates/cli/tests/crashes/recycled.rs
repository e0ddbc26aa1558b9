//! Process numbers that were given out again.

use std::io::{Seek, Write};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rusqlite::{Connection, params};

use crate::client::Client;
use crate::gateway::Gateway;
use crate::home::{Home, wait_until};
use crate::processes::start_time;
use serde_json::{Value, json};

/// How many numbers may be missed before it is given up: others start processes too.
const ATTEMPTS: u32 = 200;

/// Puts the number of an innocent process into the records of all runs that are not over, as if
/// it had been given out again: with another start, or from another boot.
pub(crate) fn forge_records(home: &Home, innocent: &Child) {
    let path = home.state_directory().join("hatchery.db");
    let Ok(journal) = Connection::open(path) else { return };
    let pid = i32::try_from(innocent.id()).unwrap();
    let started = start_time(pid).unwrap();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    for (nth, (started, boot)) in
        [(started - 1, boot.trim()), (started, "another")].iter().enumerate()
    {
        let record = json!({"pid": pid, "startTime": started, "bootId": boot}).to_string();
        let sql = "UPDATE runs SET process = ?1 WHERE outcome IS NULL AND rowid % 2 = ?2";
        // A gateway that died in its first moments has made no tables.
        journal.execute(sql, params![record, i64::try_from(nth).unwrap()]).ok();
    }
}

#[test]
fn a_process_that_has_got_the_number_of_a_dead_keeper_lives() {
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
    let keeper = recorded_keeper(&home);
    gateway.kill();
    wait_until("the keeper is gone", || kill(Pid::from_raw(keeper), None).is_err());
    let Some(mut innocent) = process_with_number(keeper) else {
        eprintln!("skipped: this system does not let us choose the number of a process");
        return;
    };
    let mut gateway = Gateway::start(&home, None).unwrap();
    let mut client = Client::connect(&home).unwrap();
    let session = client.ok("sessions.show", &json!({"session": receipt["sessionId"]}));
    assert_eq!(session["run"]["status"], "interrupted");
    assert!(innocent.try_wait().unwrap().is_none(), "an innocent process was ended");
    kill(Pid::from_raw(keeper), Signal::SIGKILL).unwrap();
    innocent.wait().unwrap();
    gateway.kill();
}

/// The number of the keeper that the journal has of the only run.
fn recorded_keeper(home: &Home) -> i32 {
    let journal = Connection::open(home.state_directory().join("hatchery.db")).unwrap();
    let process: String =
        journal.query_row("SELECT process FROM runs", [], |row| row.get(0)).unwrap();
    let process: Value = serde_json::from_str(&process).unwrap();
    i32::try_from(process["pid"].as_i64().unwrap()).unwrap()
}

/// A process with this number, where the system lets us choose and nobody is faster.
fn process_with_number(wanted: i32) -> Option<Child> {
    let path = "/proc/sys/kernel/ns_last_pid";
    let mut last = std::fs::File::options().write(true).open(path).ok()?;
    for _ in 0..ATTEMPTS {
        last.rewind().ok()?;
        last.write_all((wanted - 1).to_string().as_bytes()).ok()?;
        let mut child = Command::new("sleep")
            .arg("1000")
            .env_clear()
            .current_dir("/")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        if i32::try_from(child.id()).unwrap() == wanted {
            return Some(child);
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    None
}
