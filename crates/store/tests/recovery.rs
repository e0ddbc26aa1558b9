//! What a start reads: the newest snapshot and what came after it, exactly and no more.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::sync::Arc;

use common::{accepted, append, finished, open, output, run};
use hatchery_protocol::RunId;
use hatchery_spawn::{Event, State};
use hatchery_store::{AuditEvent, Entry, LastWords, Replay, Store};

/// A state that can be told from others by the one run in it.
fn state(name: &str) -> State {
    let mut state = State::default();
    state.apply(&Event::RunAccepted { run: Box::new(run(name, None)) }, 1);
    state
}

fn snapshot(name: &str) -> Entry {
    Entry::Snapshot(Arc::new(state(name)))
}

/// That state, as it is read back.
fn body(name: &str) -> Option<String> {
    Some(serde_json::to_string(&state(name)).unwrap())
}

fn starting(name: &str) -> Event {
    Event::RunStarting { run: RunId::new(name.to_owned()) }
}

fn recovered(store: &Store) -> (Option<String>, Vec<Event>) {
    let Replay { snapshot, events, passed_over } = store.recover().unwrap();
    assert_eq!(passed_over, 0);
    (snapshot, events.into_iter().map(|(_, event)| event).collect())
}

#[test]
fn what_is_recovered_is_the_newest_snapshot_and_every_event_of_a_run_after_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    assert_eq!(store.recover().unwrap(), Replay::default());
    append(&store, vec![accepted("a", None)]).unwrap();
    // It stands for what is before it in its job, and not for what comes after.
    append(
        &store,
        vec![
            Entry::Event(starting("a")),
            snapshot("one"),
            accepted("b", None),
            Entry::Audit(AuditEvent::DoorChanged { what: "door".into(), closed: 0 }),
            output("a", 1, "said"),
        ],
    )
    .unwrap();
    append(&store, vec![Entry::Event(starting("b"))]).unwrap();
    assert_eq!(store.entries_since_snapshot(), 3);
    drop(store);

    let store = open(directory.path());
    let accepted_b = Event::RunAccepted { run: Box::new(run("b", None)) };
    let after = vec![accepted_b, starting("b")];
    assert_eq!(recovered(&store), (body("one"), after.clone()));
    assert_eq!(store.entries_since_snapshot(), 3);
    let all = store.recover_from_start().unwrap();
    let accepted_a = Event::RunAccepted { run: Box::new(run("a", None)) };
    let events: Vec<Event> = all.events.into_iter().map(|(_, event)| event).collect();
    assert_eq!((all.snapshot, events), (None, [vec![accepted_a, starting("a")], after].concat()));
    append(&store, vec![snapshot("two")]).unwrap();
    assert_eq!(store.entries_since_snapshot(), 0);
    assert_eq!(recovered(&store), (body("two"), Vec::new()));
}

#[test]
fn a_snapshot_of_a_commit_that_failed_is_no_snapshot() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    append(&store, vec![accepted("a", None), snapshot("one")]).unwrap();
    assert!(append(&store, vec![snapshot("two"), accepted("a", None)]).is_err());
    assert_eq!(store.entries_since_snapshot(), 0);
    drop(store);
    assert_eq!(recovered(&open(directory.path())), (body("one"), Vec::new()));
}

#[test]
fn a_snapshot_that_somebody_else_wrote_is_not_used_and_the_one_before_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let store = open(place);
    for name in ["a", "b", "c"] {
        append(&store, vec![accepted(name, None), snapshot(name)]).unwrap();
    }
    drop(store);
    let meddle = |sql: &str| {
        rusqlite::Connection::open(place.join("hatchery.db")).unwrap().execute_batch(sql).unwrap();
    };
    let kept = |name: &str, passed_over, events| {
        let replay = open(place).recover().unwrap();
        assert_eq!(replay.snapshot, body(name).filter(|_| !name.is_empty()));
        assert_eq!((replay.passed_over, replay.events.len()), (passed_over, events));
    };
    kept("c", 0, 0);
    meddle("UPDATE snapshots SET body = 'free for all' WHERE seq = 3");
    kept("b", 1, 1);
    // Nor one that is true but of another moment.
    meddle(
        "UPDATE snapshots SET body = (SELECT body FROM snapshots WHERE seq = 2),
            mac = (SELECT mac FROM snapshots WHERE seq = 2) WHERE seq = 3",
    );
    kept("b", 1, 1);
    meddle("DELETE FROM snapshots WHERE seq = 2");
    kept("", 1, 3);
}

#[test]
fn the_last_words_of_a_run_are_the_end_of_what_is_kept_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let words = |name: &str| store.last_words(&RunId::new(name.to_owned())).unwrap();
    append(&store, vec![accepted("a", None), accepted("b", None)]).unwrap();
    assert_eq!(words("a"), LastWords::default());
    append(&store, vec![output("a", 1, "said "), output("a", 2, "so far"), output("b", 1, "x")])
        .unwrap();
    let said = LastWords { tail: "said so far".to_owned(), output_bytes: 11, last_seq: 2 };
    assert_eq!(words("a"), said);
    append(&store, vec![output("a", 3, &"y".repeat(64 * 1024 - 1))]).unwrap();
    let much = words("a");
    assert_eq!((much.tail.len(), much.output_bytes, much.last_seq), (65_536, 65_546, 3));
    assert!(much.tail.starts_with("ryyy"));
    append(&store, finished("a", "sess_main")).unwrap();
    assert_eq!(words("a"), much);
}

#[test]
fn commits_and_the_latest_time_are_counted_and_the_clock_may_go_back() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    assert_eq!((store.commits(), store.newest_at_ms()), (0, 0));
    common::append_at(&store, 5_000, vec![accepted("a", None)]).unwrap();
    // What is waited for and says nothing needs no sync.
    append(&store, Vec::new()).unwrap();
    common::append_at(&store, 3_000, vec![accepted("b", None)]).unwrap();
    assert_eq!((store.commits(), store.newest_at_ms()), (2, 5_000));
    drop(store);
    let store = open(directory.path());
    assert_eq!(store.newest_at_ms(), 5_000);
    // The order is the order of the entries, whatever the clock said.
    let names: Vec<(u64, String)> = store
        .recover()
        .unwrap()
        .events
        .into_iter()
        .map(|(at_ms, event)| (at_ms, event.run().unwrap().to_string()))
        .collect();
    assert_eq!(names, [(5_000, "a".to_owned()), (3_000, "b".to_owned())]);
}
