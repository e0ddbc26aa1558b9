//! What the store promises: nothing follows before it is durable, and nothing is lost after.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};

use common::{accepted, append, finished, open, outcome, output, run};
use hatchery_protocol::{RunId, RunStatus, SessionId, Task};
use hatchery_spawn::{Event, ProcessMark};
use hatchery_store::{CommitError, Entry, HistoryItem, Lookup, OpenError, SessionFilter, Store};

fn names(store: &Store, below: Option<&str>) -> Vec<String> {
    let below = below.map(|name| SessionId::new(name.to_owned()));
    let sessions =
        store.sessions(&SessionFilter { limit: 100, below, include_archived: false }).unwrap();
    sessions.into_iter().map(|session| session.session_id.to_string()).collect()
}

fn one(store: &Store, text: &str) -> hatchery_store::SessionView {
    match store.find_session(text).unwrap() {
        Lookup::One(session) => *session,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn a_new_store_has_the_main_session_and_private_files() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("deep/state");
    let store = open(&place);
    append(&store, vec![accepted("a", None)]).unwrap();
    assert_eq!(names(&store, None), ["sess_a", "sess_main"]);
    assert_eq!(one(&store, "agent:main:main").session_id, SessionId::main());
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&place), 0o700);
    for file in std::fs::read_dir(&place).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn what_was_told_durable_is_there_after_a_life_that_ended_without_a_word() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    append(&store, vec![accepted("a", None)]).unwrap();
    let process = ProcessMark { pid: 7, start_time: 8, boot_id: "b".to_owned() };
    let running = Event::RunRunning { run: RunId::new("a".into()), process: Some(process) };
    append(&store, vec![Entry::Event(running.clone()), output("a", 1, "said ")]).unwrap();
    append(&store, vec![output("a", 2, "so far")]).unwrap();
    // The first life never closes its store.
    std::mem::forget(store);

    let store = open(directory.path());
    let events: Vec<Event> =
        store.recover().unwrap().events.into_iter().map(|(_, event)| event).collect();
    let was_accepted = Event::RunAccepted { run: Box::new(run("a", None)) };
    assert_eq!(events, [was_accepted, running]);
    let words = store.last_words(&RunId::new("a".into())).unwrap();
    assert_eq!((words.tail.as_str(), words.output_bytes), ("said so far", 11));
}

#[test]
fn what_follows_comes_in_the_order_of_the_commits() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let (tell, told): (_, Receiver<u64>) = channel();
    for number in 0..1_000 {
        let tell = tell.clone();
        let entries = match number {
            0 => vec![accepted("a", None)],
            _ => vec![output("a", number, "x")],
        };
        store.append(
            number,
            entries,
            Box::new(move |outcome| {
                outcome.unwrap();
                tell.send(number).unwrap();
            }),
        );
    }
    drop(tell);
    assert_eq!(told.iter().collect::<Vec<_>>(), (0..1_000).collect::<Vec<_>>());
    // Closing waits for everything, and reading sees it.
    assert_eq!(store.history(&one(&store, "sess_a")).unwrap().len(), 1_000);
}

#[test]
fn after_a_failed_commit_nothing_is_taken_any_more() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    append(&store, vec![accepted("a", None)]).unwrap();
    // The same run twice breaks a rule of the tables.
    let broken = append(&store, vec![accepted("b", None), accepted("a", None)]);
    assert!(matches!(broken, Err(CommitError::Database(_))), "{broken:?}");
    assert!(append(&store, vec![accepted("c", None)]).is_err());
    // Not half of it was kept.
    assert_eq!(names(&store, None), ["sess_a", "sess_main"]);
}

#[test]
fn the_last_reference_may_go_with_what_follows_a_commit() {
    let directory = tempfile::tempdir().unwrap();
    let store = std::sync::Arc::new(open(directory.path()));
    let (tell, told) = channel();
    let last = std::sync::Arc::clone(&store);
    let (go, wait) = channel::<()>();
    store.append(
        1,
        Vec::new(),
        Box::new(move |_| {
            // Until this is the last reference.
            wait.recv().unwrap();
            drop(last);
            tell.send(()).unwrap();
        }),
    );
    drop(store);
    go.send(()).unwrap();
    assert_eq!(told.recv(), Ok(()));
}

#[test]
fn a_result_is_announced_once_however_often_it_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    append(&store, vec![accepted("a", None)]).unwrap();
    append(&store, finished("a", "sess_main")).unwrap();
    append(&store, finished("a", "sess_main")).unwrap();
    let inbox = store.history(&one(&store, "sess_main")).unwrap();
    let from = SessionId::new("sess_a".into());
    assert_eq!(inbox, [HistoryItem::Announced { from, outcome: outcome(RunStatus::Ok) }]);
}

#[test]
fn a_history_is_the_task_what_was_said_the_end_and_what_came_in() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    append(&store, vec![accepted("a", None), accepted("b", Some("a")), output("a", 1, "x")])
        .unwrap();
    append(&store, finished("b", "sess_a")).unwrap();
    append(&store, finished("a", "sess_main")).unwrap();
    let history = store.history(&one(&store, "sess_a")).unwrap();
    assert!(
        matches!(
            &history[..],
            [
                HistoryItem::Task(Task::Text(task)),
                HistoryItem::Output(said),
                HistoryItem::Outcome(_),
                HistoryItem::Announced { from, .. },
            ] if task == "echo a" && said.bytes == b"x" && from.as_str() == "sess_b"
        ),
        "{history:?}"
    );
}

#[test]
fn a_session_is_found_by_id_key_and_unambiguous_prefix() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    append(&store, vec![accepted("ab1", None), accepted("ab2", None), accepted("b", None)])
        .unwrap();
    for text in ["sess_ab1", "agent:main:subagent:ab1", "sess_ab1x"] {
        let found = store.find_session(text).unwrap();
        let expected = text != "sess_ab1x";
        assert_eq!(matches!(found, Lookup::One(_)), expected, "{text}: {found:?}");
    }
    assert_eq!(one(&store, "sess_b").session_id.as_str(), "sess_b");
    assert_eq!(one(&store, "b").session_id.as_str(), "sess_b");
    assert!(matches!(store.find_session("ab").unwrap(), Lookup::Several(ids) if ids.len() == 2));
    // `%` and `_` mean nothing here.
    for nothing in ["", "sess_", "%", "sess_%", "a_1", "c"] {
        assert_eq!(store.find_session(nothing).unwrap(), Lookup::None, "{nothing:?}");
    }
}

#[test]
fn a_run_sees_its_own_tree_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let entries = [("a", None), ("b", Some("a")), ("c", Some("b")), ("other", None)];
    append(&store, entries.into_iter().map(|(name, parent)| accepted(name, parent)).collect())
        .unwrap();
    assert_eq!(names(&store, Some("sess_a")), ["sess_c", "sess_b", "sess_a"]);
    assert_eq!(names(&store, Some("sess_other")), ["sess_other"]);
}

#[test]
fn tables_of_a_newer_program_are_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()));
    let path = directory.path().join("hatchery.db");
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let refused = Store::open(directory.path(), 1);
    assert!(matches!(refused, Err(OpenError::Newer { found: 99, .. })));
    std::fs::write(&path, "this is no database, but some other file of somebody's").unwrap();
    assert!(matches!(Store::open(directory.path(), 1), Err(OpenError::Damaged { .. })));
}
