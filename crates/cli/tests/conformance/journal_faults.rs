//! Disks and clocks that go wrong under the journal: what is said, and that nothing is forgotten.

use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::time::{SystemTime, UNIX_EPOCH};

use hatchery_store::{AuditEvent, Entry, Store};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::home::{Home, is_alive, wait_until};

const A_YEAR_MS: u64 = 365 * 24 * 60 * 60 * 1_000;

fn kill_hard(home: &Home, gateway: i32) {
    kill(Pid::from_raw(gateway), Signal::SIGKILL).unwrap();
    wait_until("the gateway is gone", || !is_alive(gateway));
    assert!(home.state_directory().join("hatchery.db").exists());
}

#[test]
fn a_journal_with_a_damaged_page_is_not_started_on_and_not_touched() {
    let home = Home::new();
    let gateway = home.start_gateway();
    for _ in 0..3 {
        assert_eq!(home.run(&["spawn", "--", "echo kept"]).status, 0);
    }
    assert_eq!(home.run(&["gateway", "stop"]).status, 0);
    wait_until("the gateway is gone", || !is_alive(gateway));
    // Opened and closed once more, so that everything stands in the file itself.
    drop(Store::open(&home.state_directory(), 1).unwrap());
    assert!(!home.state_directory().join("hatchery.db-wal").exists());
    let file = home.state_directory().join("hatchery.db");
    let good = std::fs::read(&file).unwrap();
    let mut damaged = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
    damaged.seek(SeekFrom::Start(4_096)).unwrap();
    damaged.write_all(&vec![0x5a; good.len() - 4_096]).unwrap();
    drop(damaged);
    let bad = std::fs::read(&file).unwrap();

    let said = home.run(&["gateway", "start", "--port", "0"]);
    assert_ne!(said.status, 0, "{said:?}");
    assert!(said.stderr.contains("damaged"), "{said:?}");
    let spawned = home.run(&["spawn", "--", "echo promised"]);
    assert_ne!(spawned.status, 0, "{spawned:?}");
    assert!(!spawned.stdout.contains("promised"), "{spawned:?}");
    assert_eq!(std::fs::read(&file).unwrap(), bad, "evidence was changed");

    // With the file as it was before, nothing is missing.
    std::fs::write(&file, &good).unwrap();
    home.start_gateway();
    assert_eq!(home.sessions().iter().filter(|(_, status)| status == "ok").count(), 3);
}

#[test]
fn a_torn_end_of_the_log_takes_its_own_commit_and_nothing_before_it() {
    let home = Home::new();
    let gateway = home.start_gateway();
    for _ in 0..3 {
        assert_eq!(home.run(&["spawn", "--", "echo kept"]).status, 0);
    }
    let before = std::fs::metadata(home.state_directory().join("hatchery.db-wal")).unwrap().len();
    assert_eq!(home.run(&["spawn", "--", "echo last"]).status, 0);
    kill_hard(&home, gateway);
    let log = home.state_directory().join("hatchery.db-wal");
    let file = std::fs::OpenOptions::new().write(true).open(&log).unwrap();
    // In the middle of what the last run had written.
    let after = file.metadata().unwrap().len();
    assert!(after > before + 8_192, "{before} {after}");
    file.set_len(before + (after - before) / 2).unwrap();
    drop(file);

    home.start_gateway();
    let ok = home.sessions().iter().filter(|(_, status)| status == "ok").count();
    assert!(ok >= 3, "{:?}", home.sessions());
    assert!(home.sessions().iter().all(|(_, status)| status != "running"));
    let verified = home.run(&["audit", "verify"]);
    assert_eq!(verified.status, 0, "{verified:?}");
    assert_eq!(home.run(&["spawn", "--", "echo on"]).status, 0);
}

#[test]
fn a_journal_that_cannot_be_written_is_said_with_what_to_do() {
    let home = Home::new().for_ordinary_user();
    home.start_gateway();
    assert_eq!(home.run(&["spawn", "--", "echo kept"]).status, 0);
    assert_eq!(home.run(&["gateway", "stop"]).status, 0);
    let state = home.state_directory();
    let close = |mode: u32, directory: u32| {
        for entry in std::fs::read_dir(&state).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                let permissions = std::fs::Permissions::from_mode(mode);
                std::fs::set_permissions(entry.path(), permissions).unwrap();
            }
        }
        std::fs::set_permissions(&state, std::fs::Permissions::from_mode(directory)).unwrap();
    };
    // As on a disk that can only be read.
    close(0o400, 0o500);
    let said = home.run(&["spawn", "--", "echo promised"]);
    assert_ne!(said.status, 0, "{said:?}");
    assert!(!said.stdout.contains("promised"), "{said:?}");
    assert_eq!(said.status, 73, "{said:?}");
    assert!(said.stderr.contains("choose another place with HATCHERY_STATE_DIR"), "{said:?}");
    close(0o600, 0o700);
    assert_eq!(home.run(&["spawn", "--", "echo again"]).status, 0);
    assert_eq!(home.sessions().iter().filter(|(_, status)| status == "ok").count(), 2);
}

#[test]
fn a_clock_that_was_set_back_a_year_is_said_and_changes_nothing() {
    let home = Home::new();
    home.start_gateway();
    assert_eq!(home.run(&["spawn", "--", "echo before"]).status, 0);
    assert_eq!(home.run(&["gateway", "stop"]).status, 0);
    // What the journal looks like when its last life had another idea of the year.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let then = now + A_YEAR_MS;
    let store = Store::open(&home.state_directory(), then).unwrap();
    let started = AuditEvent::GatewayStarted {
        version: "1".to_owned(),
        address: None,
        exemptions: Vec::new(),
    };
    store.append(then, vec![Entry::Audit(started)], Box::new(|outcome| outcome.unwrap()));
    drop(store);

    home.start_gateway();
    let status = home.ask(&["gateway", "status"]);
    let behind = status["clockBehindMs"].as_u64().unwrap();
    assert!(behind > A_YEAR_MS - 3_600_000 && behind <= A_YEAR_MS, "{status}");
    let shown = home.run(&["gateway", "status"]).stdout;
    assert!(shown.contains("check the date"), "{shown}");
    assert_eq!(home.run(&["spawn", "--", "echo after"]).status, 0);
    assert_eq!(home.sessions().iter().filter(|(_, status)| status == "ok").count(), 2);
    // The order is that of the entries, whatever the clock said.
    assert_eq!(home.run(&["audit", "verify"]).status, 0);
    home.run(&["gateway", "restart", "--port", "0"]);
    assert_eq!(home.sessions().iter().filter(|(_, status)| status == "ok").count(), 2);
}
