//! What becomes of sessions nobody needs at hand: archived and found again, exported, deleted.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use common::{accepted, append, append_at, finished, open, output, run};
use hatchery_protocol::{AgentId, RunId, SessionId, SessionKey, SessionKind};
use hatchery_spawn::{AddedMessage, Asked, Event, SessionSettings, Speaker};
use hatchery_store::{AuditLog, Entry, ExportItem, Lookup, SessionFilter, SessionQuery, Store};
use serde_json::json;

fn id(name: &str) -> SessionId {
    SessionId::new(format!("sess_{name}"))
}

fn archived(name: &str) -> Entry {
    Entry::Event(Event::SessionArchived { session: id(name) })
}

fn reopened(name: &str) -> Entry {
    Entry::Event(Event::SessionReopened { session: id(name) })
}

fn turn(name: &str, session: &str, kind: SessionKind) -> Entry {
    let mut run = run(name, None);
    run.session = id(session);
    run.kind = kind;
    run.conversation = Some(run.session.clone());
    run.asked = Some(Asked { key: format!("key-{name}"), turn: true });
    Entry::Event(Event::RunAccepted { run: Box::new(run) })
}

fn said(session: &str, text: &str) -> Entry {
    let message = AddedMessage {
        id: text.to_owned(),
        speaker: Speaker::User,
        text: text.to_owned(),
        key: Some(format!("key-{text}")),
    };
    Entry::Event(Event::MessageAdded { session: id(session), message })
}

fn deleted(name: &str) -> Entry {
    Entry::Event(Event::SessionDeleted {
        session: id(name),
        key: SessionKey::child(&AgentId::main(), SessionKind::Subagent, name),
        with_transcript: true,
    })
}

fn due(store: &Store, before_ms: u64) -> Vec<String> {
    let due = store.due_for_archive(before_ms, 100).unwrap();
    due.iter().map(|session| session.as_str()["sess_".len()..].to_owned()).collect()
}

fn listed(store: &Store, include_archived: bool) -> (Vec<String>, Vec<String>) {
    let plain = store.sessions(&SessionFilter { limit: 9, below: None, include_archived }).unwrap();
    let query = SessionQuery { limit: 9, include_archived, ..SessionQuery::default() };
    let page = store.list_sessions(&query).unwrap();
    assert_eq!(page.total, page.sessions.len() as u64);
    let of_page = page.sessions.iter().map(|listed| listed.session.session_id.to_string());
    (plain.iter().map(|session| session.session_id.to_string()).collect(), of_page.collect())
}

#[test]
fn sessions_of_runs_are_due_some_time_after_their_last_run_is_over_and_no_others() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path());
    let names = ["a", "b", "live", "pinned"];
    append_at(&store, 10, names.map(|name| accepted(name, None)).to_vec()).unwrap();
    append_at(&store, 20, vec![turn("t", "main", SessionKind::Main)]).unwrap();
    for (at_ms, name) in [(30, "b"), (40, "a"), (50, "t"), (20, "pinned")] {
        append_at(&store, at_ms, finished(name, "sess_main")).unwrap();
    }
    let pinned: SessionSettings = serde_json::from_value(json!({"pinned": true})).unwrap();
    let pinned = Event::SessionPatched { session: id("pinned"), settings: pinned };
    append(&store, vec![Entry::Event(pinned)]).unwrap();
    for _ in 0..2 {
        assert_eq!(due(&store, 30), [""; 0]);
        assert_eq!(due(&store, 31), ["b"]);
        assert_eq!(due(&store, u64::MAX), ["b", "a"]);
        assert_eq!(store.due_for_archive(100, 1).unwrap(), [id("b")]);
        drop(store);
        store = open(directory.path());
    }
    // A turn in a session of a run keeps it, until it is over too.
    append_at(&store, 60, vec![turn("again", "a", SessionKind::Subagent)]).unwrap();
    assert_eq!(due(&store, u64::MAX), ["b"]);
    append_at(&store, 70, finished("again", "sess_main")).unwrap();
    assert_eq!(due(&store, u64::MAX), ["b", "a"]);
    assert_eq!(due(&store, 70), ["b"]);
}

#[test]
fn an_archived_session_is_out_of_the_lists_and_otherwise_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    append(&store, vec![accepted("a", None), accepted("b", Some("a"))]).unwrap();
    append(&store, [finished("a", "sess_main"), finished("b", "sess_a")].concat()).unwrap();
    append_at(&store, 90, vec![archived("b")]).unwrap();
    let without = vec!["sess_a".to_owned(), "sess_main".to_owned()];
    let all = [vec!["sess_b".to_owned()], without.clone()].concat();
    assert_eq!(listed(&store, false).0, without);
    assert_eq!(listed(&store, true).0, all);
    let pages = [listed(&store, false).1.len(), listed(&store, true).1.len()];
    assert_eq!(pages, [2, 3]);
    let only = |archived| {
        let query = SessionQuery { limit: 9, archived: Some(archived), ..SessionQuery::default() };
        store.list_sessions(&query).unwrap().total
    };
    assert_eq!((only(true), only(false)), (1, 2));
    assert_eq!(due(&store, 100), ["a"]);
    // Whoever names it finds it, whole.
    let Lookup::One(found) = store.find_session("b").unwrap() else { panic!() };
    assert_eq!(found.archived_at_ms, Some(90));
    assert_eq!(store.history(&found).unwrap().len(), 2);
    let named = SessionQuery { limit: 9, named: Some("sess_b".into()), ..SessionQuery::default() };
    assert_eq!(store.list_sessions(&named).unwrap().total, 1);
    // Taken out again, it is due again only later.
    append_at(&store, 100, vec![reopened("b")]).unwrap();
    assert_eq!(listed(&store, false).0, all);
    assert_eq!(
        (due(&store, 100), due(&store, 101)),
        (vec!["a".into()], vec!["a".into(), "b".into()])
    );
    append_at(
        &store,
        110,
        vec![archived("b"), turn("t", "b", SessionKind::Subagent), archived("b")],
    )
    .unwrap();
    assert_eq!(listed(&store, false).0, all, "a session at work is not archived");
}

fn rows(directory: &Path, table: &str) -> i64 {
    let connection = rusqlite::Connection::open(directory.join("hatchery.db")).unwrap();
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[test]
fn what_was_said_in_a_deleted_session_is_gone_and_the_journal_still_holds() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    append(&store, vec![accepted("a", None), accepted("b", None), output("b", 1, "kept")]).unwrap();
    append(&store, vec![accepted("c", Some("a")), output("c", 1, "kept"), output("a", 1, "x")])
        .unwrap();
    let announced = Event::RunAnnounced {
        run: RunId::new("c".into()),
        to: id("a"),
        in_conversation: true,
        heard: false,
    };
    append(&store, vec![finished("c", "sess_a").remove(0), Entry::Event(announced)]).unwrap();
    append(&store, finished("a", "sess_main")).unwrap();
    append(&store, vec![said("a", "more"), turn("t", "a", SessionKind::Subagent)]).unwrap();
    append(&store, finished("t", "sess_a")).unwrap();
    let counts = ["output", "messages", "message_keys"].map(|table| rows(directory.path(), table));
    assert_eq!(counts, [3, 6, 2]);
    let entries = rows(directory.path(), "journal");
    append(&store, vec![deleted("a")]).unwrap();
    // What others said stays, also where it was told here.
    let counts = ["output", "messages", "message_keys"].map(|table| rows(directory.path(), table));
    assert_eq!(counts, [2, 0, 0]);
    assert_eq!(rows(directory.path(), "runs WHERE announced_to IS NOT NULL"), 1);
    assert_eq!(store.find_session("sess_a").unwrap(), Lookup::None);
    assert_eq!(store.message("a:user").unwrap(), None);
    assert_eq!(store.key_use("key-more").unwrap(), None);
    assert_eq!(due(&store, u64::MAX), ["c"]);
    assert_eq!(rows(directory.path(), "journal"), entries + 1);
    let verdict = AuditLog::open(directory.path()).unwrap().verify(None).unwrap();
    assert_eq!((verdict.fault, verdict.entries), (None, entries.unsigned_abs() + 1));
    // A session without rows says nothing any more either.
    append(&store, finished("b", "sess_main")).unwrap();
    append(&store, vec![deleted("b")]).unwrap();
    assert_eq!(store.message("b:assistant").unwrap(), None);
    assert_eq!(rows(directory.path(), "output"), 1);
}

#[test]
fn an_export_is_everything_of_the_session_and_of_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let pieces = (1..=70).map(|seq| output("a", seq, "ä"));
    append(&store, vec![accepted("a", None), accepted("b", None), output("b", 1, "no")]).unwrap();
    append(&store, pieces.collect()).unwrap();
    append(&store, finished("b", "sess_a")).unwrap();
    let export = |session: &str, most: usize| {
        let mut items = Vec::new();
        let found = store
            .export_session(&id(session), |item| {
                items.push(item);
                if items.len() == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .unwrap();
        (found, items)
    };
    let kinds = |items: &[ExportItem]| {
        let count =
            |wanted: fn(&ExportItem) -> bool| items.iter().filter(|item| wanted(item)).count();
        [
            count(|item| matches!(item, ExportItem::Session(_))),
            count(|item| matches!(item, ExportItem::Message { .. })),
            count(|item| matches!(item, ExportItem::Event { .. })),
            count(|item| matches!(item, ExportItem::Output { .. })),
        ]
    };
    let (found, items) = export("a", usize::MAX);
    assert!(found && matches!(items[0], ExportItem::Session(_)));
    assert_eq!(kinds(&items), [1, 1, 1, 70]);
    append(&store, finished("a", "sess_main")).unwrap();
    append(&store, vec![said("a", "more"), turn("t", "a", SessionKind::Subagent)]).unwrap();
    let (_, items) = export("a", usize::MAX);
    assert_eq!(kinds(&items), [1, 4, 4, 70]);
    for most in [1, 3, 7, 60] {
        assert_eq!(export("a", most).1, items[..most]);
    }
    assert_eq!(export("none", usize::MAX), (false, Vec::new()));
    let lines: Vec<_> = items.iter().map(|item| serde_json::to_value(item).unwrap()).collect();
    let of_type = |name: &str| lines.iter().find(|line| line["type"] == name).unwrap().clone();
    assert_eq!(of_type("session")["sessionId"], "sess_a");
    assert_eq!(of_type("message")["said"]["task"]["text"], "echo a");
    assert_eq!(of_type("event")["event"]["kind"], "run_accepted");
    assert_eq!(of_type("output")["bytes"], "ä");
}

#[test]
fn room_that_deleted_sessions_leave_is_given_back_when_it_is_quiet() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    append(&store, vec![accepted("a", None)]).unwrap();
    let much = "x".repeat(64 * 1024);
    for seq in 1..=200 {
        append(&store, vec![output("a", seq, &much)]).unwrap();
    }
    append(&store, finished("a", "sess_main")).unwrap();
    let pages = || {
        let connection = rusqlite::Connection::open(directory.path().join("hatchery.db")).unwrap();
        connection.pragma_query_value(None, "page_count", |row| row.get::<_, i64>(0)).unwrap()
    };
    let before = pages();
    append(&store, vec![deleted("a")]).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    // All but what is kept for what comes next.
    while pages() > before - 2_000 {
        assert!(Instant::now() < deadline, "{} of {before} pages", pages());
        std::thread::sleep(Duration::from_millis(20));
    }
    append(&store, vec![accepted("b", None)]).unwrap();
}
