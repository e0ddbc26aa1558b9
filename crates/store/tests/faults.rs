//! Disks that are full, files that are torn or damaged: what is said of them, and what is left.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{accepted, append, finished, open, output};
use hatchery_protocol::RunId;
use hatchery_store::{AuditLog, CommitError, LastWords, OpenError, Store};

const PAGE: usize = 4096;

/// The files of a store as a power cut at this moment would leave them.
fn cut(from: &Path) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for file in ["hatchery.db", "hatchery.db-wal", "audit.key"] {
        if from.join(file).exists() {
            fs::copy(from.join(file), directory.path().join(file)).unwrap();
        }
    }
    directory
}

fn change(directory: &Path, file: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let path = directory.join(file);
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(&path, bytes).unwrap();
}

/// The runs a store has, which have to be those of the first so many commits.
fn whole_runs(directory: &Path) -> usize {
    let store = open(directory);
    assert_eq!(store.check().unwrap(), None);
    let events = store.recover().unwrap().events;
    let runs: Vec<String> =
        events.iter().map(|(_, event)| event.run().unwrap().to_string()).collect();
    let expected: Vec<String> = (0..runs.len()).map(|number| format!("r{number}")).collect();
    assert_eq!(runs, expected);
    for run in &runs {
        assert!(store.run(&RunId::new(run.clone())).unwrap().is_some(), "{run}");
        assert_eq!(store.last_words(&RunId::new(run.clone())).unwrap().tail, "said");
    }
    drop(store);
    let verdict = AuditLog::open(directory).unwrap().verify(None).unwrap();
    assert_eq!((verdict.fault, verdict.entries), (None, runs.len() as u64));
    runs.len()
}

#[test]
fn a_torn_log_loses_its_last_commits_whole_and_none_before_them() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for number in 0..20 {
        let name = format!("r{number}");
        append(&store, vec![accepted(&name, None), output(&name, 1, "said")]).unwrap();
    }
    let all = cut(directory.path());
    assert_eq!(whole_runs(all.path()), 20);
    let length = fs::metadata(directory.path().join("hatchery.db-wal")).unwrap().len() as usize;
    let mut seen = Vec::new();
    for part in 0..12 {
        // Some in the middle of a page, some at its end.
        let at = length - part * (3 * PAGE + 24 * 3) - part % 3 * 1_000 - 1;
        let shorter = cut(directory.path());
        change(shorter.path(), "hatchery.db-wal", |log| log.truncate(at));
        let left = whole_runs(shorter.path());
        let garbled = cut(directory.path());
        change(garbled.path(), "hatchery.db-wal", |log| log[at] ^= 0xff);
        assert_eq!(whole_runs(garbled.path()), left);
        // It goes on from there.
        append(&open(garbled.path()), vec![accepted("next", None)]).unwrap();
        let verdict = AuditLog::open(garbled.path()).unwrap().verify(None).unwrap();
        assert_eq!((verdict.fault, verdict.entries), (None, left as u64 + 1));
        seen.push(left);
    }
    assert!(seen.is_sorted_by(|one, next| one >= next), "{seen:?}");
    assert!(seen[0] == 19 && seen[11] < 19, "{seen:?}");
}

#[test]
fn a_damaged_page_is_found_wherever_it_is_and_said_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for number in 0..60 {
        let name = format!("r{number}");
        let entries = vec![accepted(&name, None), output(&name, 1, &"x".repeat(5_000))];
        append(&store, entries).unwrap();
        append(&store, finished(&name, "sess_main")).unwrap();
    }
    drop(store);
    let pages = fs::metadata(directory.path().join("hatchery.db")).unwrap().len() as usize / PAGE;
    let mut at_once = 0;
    for page in 0..pages {
        let damaged = cut(directory.path());
        change(damaged.path(), "hatchery.db", |file| {
            file[page * PAGE..(page + 1) * PAGE].fill(0x5a);
        });
        // After a life that was closed, the file is looked at beside the work.
        match Store::open(damaged.path(), 2) {
            Ok(store) => assert!(store.check().unwrap().is_some(), "page {page}"),
            Err(OpenError::Damaged { .. }) => at_once += 1,
            Err(other) => panic!("page {page}: {other}"),
        }
        // After one that was not, it is looked at first.
        let crashed = cut(directory.path());
        change(crashed.path(), "hatchery.db", |file| {
            file[page * PAGE..(page + 1) * PAGE].fill(0x5a);
        });
        fs::write(crashed.path().join("hatchery.db-wal"), [0; 32]).unwrap();
        let before = fs::read(crashed.path().join("hatchery.db")).unwrap();
        let Err(error @ OpenError::Damaged { .. }) = Store::open(crashed.path(), 2) else {
            panic!("page {page} was not found");
        };
        let text = error.to_string();
        assert!(text.contains("is damaged") && text.contains("copy"), "{text}");
        assert!(fs::read(crashed.path().join("hatchery.db")).unwrap() == before, "page {page}");
    }
    assert!(at_once > 10, "{at_once} of {pages}");
    assert_eq!(open(directory.path()).check().unwrap(), None);
}

#[test]
fn a_file_that_was_cut_short_is_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    append(&store, vec![accepted("a", None), output("a", 1, &"x".repeat(100_000))]).unwrap();
    drop(store);
    change(directory.path(), "hatchery.db", |file| file.truncate(file.len() - 3 * PAGE));
    match Store::open(directory.path(), 2) {
        Ok(store) => assert!(store.check().unwrap().is_some()),
        Err(error) => assert!(matches!(error, OpenError::Damaged { .. }), "{error}"),
    }
}

#[test]
fn what_cannot_be_made_or_opened_is_said_with_its_path() {
    let refused = Store::open(Path::new("/proc/hatchery"), 1).err().unwrap();
    assert!(matches!(refused, OpenError::Files { .. }), "{refused}");
    assert!(refused.to_string().contains("/proc/hatchery"), "{refused}");
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("hatchery.db-wal")).unwrap();
    let refused = Store::open(directory.path(), 1).err().unwrap();
    assert!(matches!(refused, OpenError::Disk { .. }), "{refused:?}");
    assert!(refused.to_string().contains("what stands beside the file"), "{refused}");
}

/// Where the process that fills a disk has its store.
const PLACE: &str = "HATCHERY_TEST_FULL_DISK";

#[test]
#[ignore = "started by another test, with a limit on the size of files"]
fn fill_the_disk() {
    let place = std::env::var_os(PLACE).unwrap();
    let store = open(Path::new(&place));
    append(&store, vec![accepted("a", None)]).unwrap();
    let mut durable = 0;
    let error = loop {
        // One commit of many pages, so that the disk is full in the middle of one.
        let pieces = (1..=8).map(|piece| output("a", durable + piece, &"x".repeat(20_000)));
        match append(&store, pieces.collect()) {
            Ok(()) => durable += 8,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, CommitError::Disk(_) | CommitError::Full), "{error:?}");
    assert!(error.to_string().contains("restart"), "{error}");
    // It stays so: what is believed and what is on disk must not drift apart.
    assert_eq!(append(&store, Vec::new()).unwrap_err().to_string(), error.to_string());
    assert!(append(&store, vec![accepted("b", None)]).is_err());
    // What is durable is read as before.
    let words = store.last_words(&RunId::new("a".into())).unwrap();
    assert_eq!(words.last_seq, durable);
    fs::write(Path::new(&place).join("durable"), durable.to_string()).unwrap();
}

#[test]
fn a_disk_that_fills_up_in_the_middle_of_a_commit_keeps_every_commit_before_it() {
    let directory = tempfile::tempdir().unwrap();
    // Sizes of files are limited in blocks of 512 bytes.
    let status = Command::new("/bin/sh")
        .arg("-c")
        .arg(
            "trap '' XFSZ; ulimit -f 2500; exec \"$0\" --exact fill_the_disk --ignored --nocapture",
        )
        .arg(std::env::current_exe().unwrap())
        .env(PLACE, directory.path())
        .status()
        .unwrap();
    assert!(status.success());
    let durable = fs::read_to_string(directory.path().join("durable")).unwrap().parse().unwrap();
    assert!(durable > 8);
    let store = open(directory.path());
    assert_eq!(store.check().unwrap(), None);
    let words: LastWords = store.last_words(&RunId::new("a".into())).unwrap();
    assert_eq!((words.last_seq, words.output_bytes), (durable, durable * 20_000));
    append(&store, vec![accepted("b", None)]).unwrap();
    drop(store);
    let verdict = AuditLog::open(directory.path()).unwrap().verify(None).unwrap();
    assert_eq!((verdict.fault, verdict.entries), (None, 2));
}
