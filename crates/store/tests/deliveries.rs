//! What the store keeps of results that are told on a route, and of results that move.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{accepted, append, append_at, finished, open};
use hatchery_protocol::{RunId, RunStatus, SessionId};
use hatchery_spawn::{Event, Notice, Route};
use hatchery_store::{Delivery, DeliveryState, Entry, HistoryItem, Lookup, SessionQuery, Store};

fn id(name: &str) -> RunId {
    RunId::new(name.to_owned())
}

fn due(name: &str, attempts: u32) -> Entry {
    let route = Route { channel: "webhook".to_owned(), to: format!("http://h/{name}") };
    let session = SessionId::new(format!("sess_{name}"));
    let notice = Notice { route, session, attempts, due_at_ms: 30, since_ms: 20, blocked: None };
    Entry::Event(Event::NoticeDue { run: id(name), notice: Box::new(notice) })
}

/// A run that is over, with its result on its way.
fn ended(store: &Store, name: &str) {
    append(store, vec![accepted(name, None)]).unwrap();
    let mut entries = finished(name, "sess_main");
    entries.push(due(name, 0));
    append(store, entries).unwrap();
}

fn happen(store: &Store, at_ms: u64, event: Event) {
    append_at(store, at_ms, vec![Entry::Event(event)]).unwrap();
}

fn delivery(state: DeliveryState, attempts: u32, reason: Option<&str>, at_ms: u64) -> Delivery {
    let route = Route { channel: "webhook".to_owned(), to: "http://h/a".to_owned() };
    Delivery { route, state, attempts, reason: reason.map(str::to_owned), at_ms }
}

fn with(store: &Store, state: DeliveryState) -> Vec<String> {
    let query = SessionQuery {
        limit: 9,
        delivery: Some(state),
        include_archived: true,
        ..SessionQuery::default()
    };
    let page = store.list_sessions(&query).unwrap();
    assert_eq!(page.total, page.sessions.len() as u64);
    page.sessions.into_iter().map(|listed| listed.session.session_id.to_string()).collect()
}

#[test]
fn how_a_result_came_to_its_end_on_its_route_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    append(&store, vec![accepted("b", None)]).unwrap();
    append(&store, finished("b", "sess_main")).unwrap();
    assert_eq!(store.delivery(&id("b")).unwrap(), None);

    ended(&store, "a");
    let state = |store: &Store| store.delivery(&id("a")).unwrap().unwrap();
    assert_eq!(state(&store), delivery(DeliveryState::Pending, 0, None, 10));
    append_at(&store, 40, vec![due("a", 1)]).unwrap();
    assert_eq!(state(&store), delivery(DeliveryState::Pending, 1, None, 40));
    happen(&store, 50, Event::NoticeBlocked { run: id("a"), reason: "404".to_owned() });
    assert_eq!(state(&store), delivery(DeliveryState::Blocked, 2, Some("404"), 50));
    assert_eq!(with(&store, DeliveryState::Blocked), ["sess_a"]);
    drop(store);

    let store = open(directory.path());
    append_at(&store, 60, vec![due("a", 0)]).unwrap();
    assert_eq!(with(&store, DeliveryState::Blocked), [""; 0]);
    happen(&store, 70, Event::NoticeDelivered { run: id("a") });
    assert_eq!(state(&store), delivery(DeliveryState::Delivered, 0, None, 70));
    ended(&store, "c");
    happen(&store, 80, Event::NoticeDismissed { run: id("c"), by: "owner".to_owned() });
    assert_eq!(with(&store, DeliveryState::Dismissed), ["sess_c"]);
    assert_eq!(with(&store, DeliveryState::Delivered), ["sess_a"]);
}

#[test]
fn what_is_blocked_is_listed_also_when_its_session_was_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    ended(&store, "a");
    happen(&store, 50, Event::NoticeBlocked { run: id("a"), reason: "404".to_owned() });
    let session = store.session_of_run(&id("a")).unwrap().unwrap();
    happen(
        &store,
        60,
        Event::SessionDeleted {
            session: session.session_id.clone(),
            key: session.key.clone(),
            with_transcript: true,
        },
    );
    assert_eq!(store.find_session("sess_a").unwrap(), Lookup::None);
    assert_eq!(with(&store, DeliveryState::Blocked), ["sess_a"]);
    let found = store.session_of_run(&id("a")).unwrap().unwrap();
    assert_eq!(found.session_id, session.session_id);
}

#[test]
fn a_run_is_found_by_the_beginning_of_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for name in ["ab", "abc", "abd", "x"] {
        append(&store, vec![accepted(name, None)]).unwrap();
    }
    let named = |text: &str| {
        let runs = store.runs_named(text).unwrap();
        runs.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(named("ab"), ["ab"]);
    assert_eq!(named("abc"), ["abc"]);
    assert_eq!(named("a"), ["ab", "abc", "abd"]);
    assert_eq!(named("x"), ["x"]);
    assert_eq!(named("y"), [""; 0]);
}

#[test]
fn a_result_that_moves_leaves_the_inbox_it_stood_in() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    append(&store, vec![accepted("p", None)]).unwrap();
    append(&store, vec![accepted("c", Some("p"))]).unwrap();
    append(&store, finished("c", "sess_p")).unwrap();
    let inbox = |store: &Store, session: &str| {
        let Lookup::One(session) = store.find_session(session).unwrap() else { panic!() };
        let items = store.history(&session).unwrap().into_iter();
        items.filter(|item| matches!(item, HistoryItem::Announced { .. })).count()
    };
    assert_eq!((inbox(&store, "sess_p"), inbox(&store, "sess_main")), (1, 0));
    for _ in 0..2 {
        let to = SessionId::main();
        let moved = Event::AnnounceMoved { run: id("c"), to, in_conversation: false };
        happen(&store, 90, moved);
        assert_eq!((inbox(&store, "sess_p"), inbox(&store, "sess_main")), (0, 1));
    }
    let results = store.results(&[id("c"), id("p"), id("nobody")]).unwrap();
    assert_eq!(results.len(), 1);
    assert_eq!((results[0].run.as_str(), results[0].outcome.status), ("c", RunStatus::Ok));
}
