//! What the chain shows: whoever changes the journal without the key is found out.
#![allow(clippy::unwrap_used, missing_docs)]

use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::mpsc::channel;

use hatchery_store::{
    AuditError, AuditEvent, AuditFilter, AuditLog, Entry, Fault, Head, Store, Verdict,
};
use rusqlite::Connection;

fn event(number: u64) -> Entry {
    Entry::Audit(AuditEvent::DoorChanged { what: format!("thing {number}"), closed: number })
}

/// Appends one entry each, and waits until all are durable.
fn append(directory: &Path, numbers: std::ops::Range<u64>) {
    let store = Store::open(directory, 1).unwrap();
    let (tell, told) = channel();
    for number in numbers {
        let tell = tell.clone();
        store.append(
            100 + number,
            vec![event(number)],
            Box::new(move |outcome| tell.send(outcome).unwrap()),
        );
    }
    drop(tell);
    assert!(told.iter().all(|outcome| outcome.is_ok()));
}

fn ten_entries() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    append(directory.path(), 1..11);
    directory
}

fn meddle(directory: &Path, sql: &str) {
    Connection::open(directory.join("hatchery.db")).unwrap().execute_batch(sql).unwrap();
}

fn verify(directory: &Path, noted: Option<Head>) -> Verdict {
    AuditLog::open(directory).unwrap().verify(noted).unwrap()
}

fn fault(directory: &Path) -> Option<Fault> {
    verify(directory, None).fault
}

#[test]
fn an_untouched_journal_is_found_whole_also_over_several_lives() {
    let directory = ten_entries();
    append(directory.path(), 11..16);
    let verdict = verify(directory.path(), None);
    assert_eq!((verdict.entries, verdict.older, verdict.fault), (15, 0, None));
    let key = directory.path().join("audit.key");
    let key = std::fs::metadata(key).unwrap();
    assert_eq!((key.len(), key.permissions().mode() & 0o777), (32, 0o600));
}

#[test]
fn whatever_is_done_to_the_tables_without_the_key_is_found() {
    let entry = |seq| Some(Fault::Entry { seq });
    let missing = |first, last| Some(Fault::Missing { first, last });
    let cases = [
        ("UPDATE journal SET body = replace(body, '4', '5') WHERE seq = 4", entry(4)),
        ("UPDATE journal SET at_ms = at_ms + 1 WHERE seq = 10", entry(10)),
        ("UPDATE journal SET kind = 'refused' WHERE seq = 1", entry(1)),
        ("UPDATE journal SET run = 'r' WHERE seq = 2", entry(2)),
        ("UPDATE journal SET mac = x'00' WHERE seq = 2", entry(2)),
        ("DELETE FROM journal WHERE seq = 1", missing(1, 1)),
        ("DELETE FROM journal WHERE seq = 5", missing(5, 5)),
        ("DELETE FROM journal WHERE seq > 7", missing(8, 10)),
        ("DELETE FROM journal", missing(1, 10)),
        // The gap closed again.
        (
            "DELETE FROM journal WHERE seq = 5;
             UPDATE journal SET seq = seq - 1 WHERE seq > 5",
            entry(5),
        ),
        // Two entries in each other's place, hashes and all.
        (
            "UPDATE journal SET seq = 100 WHERE seq = 3; UPDATE journal SET seq = 3 WHERE seq = 4;
             UPDATE journal SET seq = 4 WHERE seq = 100",
            entry(3),
        ),
        (
            "INSERT INTO journal SELECT 11, at_ms, kind, run, body, mac FROM journal WHERE seq = 10",
            entry(11),
        ),
        (
            "INSERT INTO journal SELECT 0, at_ms, kind, run, body, mac FROM journal WHERE seq = 1",
            entry(0),
        ),
        // The tail gone and the head moved back to what is left.
        (
            "DELETE FROM journal WHERE seq > 7; UPDATE journal_head SET seq = 7,
                 mac = (SELECT mac FROM journal WHERE seq = 7)",
            Some(Fault::Head),
        ),
        ("DELETE FROM journal_head", Some(Fault::Head)),
        ("DELETE FROM journal; DELETE FROM journal_head", Some(Fault::Head)),
    ];
    for (sql, expected) in cases {
        let directory = ten_entries();
        meddle(directory.path(), sql);
        assert_eq!(fault(directory.path()), expected, "{sql}");
        // A gateway that goes on does not make it good again.
        append(directory.path(), 11..14);
        assert!(fault(directory.path()).is_some(), "{sql}");
    }
}

#[test]
fn a_key_that_was_put_in_place_of_the_old_one_is_found() {
    let directory = ten_entries();
    let key = directory.path().join("audit.key");
    std::fs::write(&key, [1; 32]).unwrap();
    assert_eq!(fault(directory.path()), Some(Fault::OtherKey));
    // Something that is no key, and no key at all.
    for bytes in [&[1; 31][..], &[1; 33], b""] {
        std::fs::write(&key, bytes).unwrap();
        let log = AuditLog::open(directory.path()).unwrap();
        assert!(matches!(log.verify(None), Err(AuditError::NoKey)));
    }
    append(directory.path(), 11..12);
    assert_eq!(fault(directory.path()), Some(Fault::Entry { seq: 1 }));
}

#[test]
fn an_older_state_of_the_whole_journal_is_known_by_a_noted_head() {
    let directory = ten_entries();
    let old = verify(directory.path(), None).head;
    let copy = tempfile::tempdir().unwrap();
    for name in ["hatchery.db", "audit.key"] {
        std::fs::copy(directory.path().join(name), copy.path().join(name)).unwrap();
    }
    append(directory.path(), 11..14);
    let new = verify(directory.path(), None).head;
    assert_eq!(verify(directory.path(), Some(old)).fault, None);
    assert_eq!(verify(directory.path(), Some(new)).fault, None);
    let put_back = verify(copy.path(), Some(new));
    assert_eq!(put_back.fault, Some(Fault::Noted { seq: 13 }));
}

/// Makes of a journal what the first version of the tables would have written.
fn unchain(directory: &Path) {
    let (path, old) = (directory.join("hatchery.db"), directory.join("old.db"));
    std::fs::rename(&path, &old).unwrap();
    let database = Connection::open(&path).unwrap();
    database.execute_batch(include_str!("tables_1.sql")).unwrap();
    database.execute("ATTACH ?1 AS old", [old.to_str().unwrap()]).unwrap();
    let copy = "INSERT INTO journal SELECT seq, at_ms, kind, run, body FROM old.journal";
    database.execute_batch(copy).unwrap();
}

#[test]
fn an_older_journal_is_taken_into_the_chain_and_one_that_lost_its_chain_is_not() {
    let directory = ten_entries();
    unchain(directory.path());
    let unchained = AuditLog::open(directory.path());
    assert!(matches!(unchained, Err(AuditError::Unchained(_))));
    std::fs::remove_file(directory.path().join("audit.key")).unwrap();
    append(directory.path(), 11..12);
    let verdict = verify(directory.path(), None);
    assert_eq!((verdict.entries, verdict.older, verdict.fault), (12, 10, None));

    let directory = ten_entries();
    unchain(directory.path());
    append(directory.path(), 11..12);
    assert_eq!(fault(directory.path()), Some(Fault::Noticed { seq: 11 }));
}

#[test]
fn entries_are_read_while_a_gateway_writes_and_filtered() {
    let directory = ten_entries();
    let _open = Store::open(directory.path(), 1).unwrap();
    let log = AuditLog::open(directory.path()).unwrap();
    let seen = |filter: AuditFilter| {
        let mut seen = Vec::new();
        log.entries(&filter, |entry| {
            assert_eq!(entry.body["closed"], entry.seq);
            seen.push(entry.seq);
            ControlFlow::Continue(())
        })
        .unwrap();
        seen
    };
    let all = AuditFilter::default();
    assert_eq!(seen(all.clone()), (1..11).collect::<Vec<_>>());
    assert_eq!(seen(AuditFilter { limit: Some(2), ..all.clone() }), [9, 10]);
    assert_eq!(seen(AuditFilter { since_ms: Some(109), ..all.clone() }), [9, 10]);
    assert_eq!(seen(AuditFilter { kind: Some("refused".into()), ..all }), [0_u64; 0]);
    assert!(matches!(AuditLog::open(Path::new("/nowhere")), Err(AuditError::None(_))));
}
