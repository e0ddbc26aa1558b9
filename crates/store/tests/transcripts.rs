//! What the store keeps of conversations: each message once, also across lives and migrations.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::sync::mpsc::channel;

use hatchery_protocol::{
    AgentId, RunId, RunStatus, RuntimeKind, SessionId, SessionKey, SessionKind, Task,
};
use hatchery_spawn::{AddedMessage, Asked, Event, Outcome, Run, SessionSettings, Speaker};
use hatchery_store::{Entry, HistoryItem, Page, Said, SessionFilter, SessionView, Store};
use serde_json::json;

const ALL: Page = Page { limit: 100, offset: 0 };

fn open(directory: &Path) -> Store {
    Store::open(directory, 1).unwrap()
}

fn append(store: &Store, at_ms: u64, events: Vec<Event>) {
    let (tell, told) = channel();
    let entries = events.into_iter().map(Entry::Event).collect();
    store.append(at_ms, entries, Box::new(move |outcome| tell.send(outcome).unwrap()));
    told.recv().unwrap().unwrap();
}

fn main() -> SessionId {
    SessionId::main()
}

fn run(name: &str, session: &SessionId, asked: Option<Asked>) -> Run {
    let turn = asked.as_ref().is_some_and(|asked| asked.turn);
    let agent = AgentId::main();
    Run {
        id: RunId::new(name.to_owned()),
        session: session.clone(),
        session_key: match turn {
            true => SessionKey::main(&agent),
            false => SessionKey::child(&agent, SessionKind::Subagent, name),
        },
        kind: if turn { SessionKind::Main } else { SessionKind::Subagent },
        requester: main(),
        lineage: Vec::new(),
        agent,
        runtime: RuntimeKind::Local,
        model: "builtin/shell".to_owned(),
        harness: None,
        task: Task::Text(format!("do {name}")),
        workspace: "/w".into(),
        label: None,
        timeout_ms: None,
        accepted_at_ms: 10,
        conversation: asked.is_some().then(main),
        asked,
        starter: None,
        deadlines: hatchery_spawn::Deadlines::default(),
        budget: hatchery_spawn::Budget::default(),
        route: None,
    }
}

fn turn(name: &str) -> Event {
    let asked = Asked { key: format!("key-{name}"), turn: true };
    Event::RunAccepted { run: Box::new(run(name, &main(), Some(asked))) }
}

fn finished(name: &str, text: &str) -> Event {
    let outcome = Outcome {
        status: RunStatus::Ok,
        exit_code: Some(0),
        error: None,
        tail: text.to_owned(),
        output_bytes: text.len() as u64,
        ended_at_ms: 20,
        usage: None,
        cost_micros: None,
        last_step: None,
        files_touched: Vec::new(),
    };
    Event::RunFinished { run: RunId::new(name.to_owned()), outcome }
}

fn added(id: &str, speaker: Speaker, text: &str, key: Option<&str>) -> Event {
    let message = AddedMessage {
        id: id.to_owned(),
        speaker,
        text: text.to_owned(),
        key: key.map(str::to_owned),
    };
    Event::MessageAdded { session: main(), message }
}

fn view(store: &Store) -> SessionView {
    store.session_by_id(&main()).unwrap().unwrap()
}

fn said(store: &Store, page: Page) -> Vec<String> {
    let transcript = store.transcript(&view(store), page).unwrap();
    transcript.messages.into_iter().map(|message| line(&message.said)).collect()
}

fn line(said: &Said) -> String {
    match said {
        Said::Task { run, text } => format!("{run}> {text}"),
        Said::Answer { run, outcome, .. } => format!("{run}< {}", outcome.tail),
        Said::Announce { from, outcome, .. } => format!("{from}! {}", outcome.tail),
        Said::Added(added) => format!("{:?}: {}", added.speaker, added.text),
    }
}

#[test]
fn a_turn_is_its_question_and_its_answer_and_both_survive() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    append(&store, 10, vec![turn("a")]);
    assert_eq!(said(&store, ALL), ["key-a> do a"]);
    append(&store, 20, vec![finished("a", "done")]);
    append(&store, 30, vec![turn("b"), finished("b", "again")]);
    drop(store);
    let store = open(directory.path());
    let all = ["key-a> do a", "key-a< done", "key-b> do b", "key-b< again"];
    assert_eq!(said(&store, ALL), all);
    assert_eq!(said(&store, Page { limit: 2, offset: 0 }), all[2..]);
    assert_eq!(said(&store, Page { limit: 2, offset: 1 }), all[1..3]);
    assert!(said(&store, Page { limit: 2, offset: 4 }).is_empty());
    let session = view(&store);
    assert_eq!(session.updated_at_ms, 30);
    assert_eq!(session.title.as_deref(), Some("do a"));
    assert_eq!(session.preview.as_deref(), Some("again"));
    assert_eq!(session.run.as_ref().unwrap().name, "key-b");
    assert_eq!(session.run.unwrap().depth, 0);
    // The message that was told is found by its name too.
    let (of, message) = store.message("a:assistant").unwrap().unwrap();
    assert_eq!((of, message.seq, message.at_ms), (main(), 2, 20));
}

#[test]
fn a_name_of_a_message_stands_for_what_it_was_used_for_first() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    append(&store, 10, vec![turn("a"), added("m", Speaker::User, "/help", Some("key-c"))]);
    append(&store, 20, vec![added("n", Speaker::User, "again", Some("key-a"))]);
    drop(store);
    let store = open(directory.path());
    let used = store.key_use("key-a").unwrap().unwrap();
    assert_eq!(used.session, main());
    assert_eq!(used.run.unwrap().run_id, RunId::new("a".to_owned()));
    assert_eq!(store.key_use("key-c").unwrap().unwrap().run, None);
    assert_eq!(store.key_use("a").unwrap(), None);
    assert_eq!(store.run(&RunId::new("a".to_owned())).unwrap().unwrap().name, "key-a");
}

#[test]
fn a_result_is_one_message_in_the_conversation_however_often_it_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let child = run("c", &SessionId::new("sess_c".into()), None);
    append(&store, 10, vec![Event::RunAccepted { run: Box::new(child) }]);
    let announced = |in_conversation| Event::RunAnnounced {
        run: RunId::new("c".into()),
        to: main(),
        in_conversation,
        heard: false,
    };
    append(&store, 20, vec![finished("c", "found it"), announced(true)]);
    append(&store, 30, vec![announced(true)]);
    assert_eq!(said(&store, ALL), ["agent:main:subagent:c! found it"]);
    // The child's own session has task and answer.
    let child = store.session_by_id(&SessionId::new("sess_c".into())).unwrap().unwrap();
    let own = store.transcript(&child, ALL).unwrap();
    assert_eq!(
        own.messages.iter().map(|m| line(&m.said)).collect::<Vec<_>>(),
        ["c> do c", "c< found it"]
    );
    assert_eq!(child.spawned_by, Some(SessionKey::main(&AgentId::main())));

    let other = run("d", &SessionId::new("sess_d".into()), None);
    append(&store, 40, vec![Event::RunAccepted { run: Box::new(other) }, finished("d", "quiet")]);
    let quiet = Event::RunAnnounced {
        run: RunId::new("d".into()),
        to: main(),
        in_conversation: false,
        heard: false,
    };
    append(&store, 50, vec![quiet]);
    assert_eq!(said(&store, ALL).len(), 1);
}

#[test]
fn what_is_said_in_a_session_of_a_run_stands_after_what_the_run_was_told_and_said() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path());
    let id = SessionId::new("sess_c".into());
    let lines = |store: &Store| -> Vec<String> {
        let session = store.session_by_id(&id).unwrap().unwrap();
        let said = store.transcript(&session, ALL).unwrap();
        assert_eq!(said.total, said.messages.len() as u64);
        for message in &said.messages {
            let found = store.message(&message.id).unwrap();
            assert_eq!(found.as_ref(), Some(&(id.clone(), message.clone())));
        }
        let newest = store.transcript(&session, Page { limit: 1, offset: 0 }).unwrap();
        assert_eq!(newest.messages[..], said.messages[said.messages.len() - 1..]);
        said.messages
            .iter()
            .map(|message| format!("{} {}", message.seq, line(&message.said)))
            .collect()
    };
    let message = |text: &str| {
        let mut event = added(text, Speaker::User, text, None);
        if let Event::MessageAdded { session, .. } = &mut event {
            *session = id.clone();
        }
        event
    };
    append(&store, 10, vec![Event::RunAccepted { run: Box::new(run("c", &id, None)) }]);
    assert_eq!(lines(&store), ["1 c> do c"]);
    append(&store, 20, vec![finished("c", "done")]);
    let task_and_answer = ["1 c> do c", "2 c< done"];
    assert_eq!(lines(&store), task_and_answer);
    assert_eq!(store.message("c:nothing").unwrap(), None);
    assert_eq!(store.message("d:user").unwrap(), None);
    // From the first other word on they are rows, and look the same.
    append(&store, 30, vec![message("more")]);
    for _ in 0..2 {
        assert_eq!(lines(&store), [&task_and_answer[..], &["3 User: more"]].concat());
        drop(store);
        store = open(directory.path());
    }

    // An answer that comes later than another word comes after it.
    let id = SessionId::new("sess_d".into());
    append(&store, 40, vec![Event::RunAccepted { run: Box::new(run("d", &id, None)) }]);
    let Event::MessageAdded { message, .. } = message("before") else { unreachable!() };
    append(&store, 50, vec![Event::MessageAdded { session: id.clone(), message }]);
    append(&store, 60, vec![finished("d", "late")]);
    let session = store.session_by_id(&id).unwrap().unwrap();
    let said = store.transcript(&session, ALL).unwrap().messages;
    let said: Vec<String> = said.iter().map(|message| line(&message.said)).collect();
    assert_eq!(said, ["d> do d", "User: before", "d< late"]);
}

#[test]
fn a_session_that_begins_anew_keeps_what_was_said_aside_and_late_answers_with_their_questions() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    append(&store, 10, vec![turn("a")]);
    append(&store, 20, vec![Event::SessionReset { session: main() }]);
    append(&store, 30, vec![finished("a", "late"), turn("b")]);
    assert_eq!(said(&store, ALL), ["key-b> do b"]);
    let session = view(&store);
    assert_eq!(session.transcript_id(), "sess_main-1");
    assert_eq!(session.title.as_deref(), Some("do b"));
    let before = SessionView { epoch: 0, ..session };
    assert_eq!(store.transcript(&before, ALL).unwrap().messages.len(), 2);
}

#[test]
fn settings_are_changed_one_by_one_and_taken_away_with_null() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let set = |settings: serde_json::Value| {
        let settings: SessionSettings = serde_json::from_value(settings).unwrap();
        append(&store, 20, vec![Event::SessionPatched { session: main(), settings }]);
        view(&store)
    };
    let session = set(json!({"label": "home", "model": "p/m", "pinned": true}));
    assert_eq!(session.label.as_deref(), Some("home"));
    let session = set(json!({"model": null, "pinned": false}));
    assert_eq!(json!(session.settings), json!({"label": "home", "pinned": false}));
    assert_eq!(set(json!({"label": null})).label, None);
}

#[test]
fn a_deleted_session_is_gone_and_its_key_is_free() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let key = SessionKey::parse("dashboard:x", &AgentId::main()).unwrap();
    let opened = |id: &str| Event::SessionOpened {
        session: SessionId::new(id.to_owned()),
        key: key.clone(),
        session_kind: SessionKind::Dashboard,
        agent: AgentId::main(),
        parent: None,
        settings: SessionSettings::new(),
    };
    let deleted = |id: &str| Event::SessionDeleted {
        session: SessionId::new(id.to_owned()),
        key: key.clone(),
        with_transcript: true,
    };
    append(&store, 10, vec![opened("sess_one")]);
    assert_eq!(store.session_by_key(&key).unwrap().unwrap().kind, SessionKind::Dashboard);
    append(&store, 20, vec![deleted("sess_one")]);
    assert_eq!(store.session_by_key(&key).unwrap(), None);
    assert_eq!(store.session_by_id(&SessionId::new("sess_one".into())).unwrap(), None);
    // Opening it twice opens it once: the first stands.
    append(&store, 30, vec![opened("sess_two"), opened("sess_three")]);
    assert_eq!(store.session_by_key(&key).unwrap().unwrap().session_id.as_str(), "sess_two");
    let all =
        store.sessions(&SessionFilter { limit: 10, below: None, include_archived: false }).unwrap();
    assert_eq!(all.len(), 2);
}

#[test]
fn tables_of_the_first_version_keep_what_they_have_and_get_transcripts() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    std::fs::write(place.join("hatchery.db"), b"").unwrap();
    let old = rusqlite::Connection::open(place.join("hatchery.db")).unwrap();
    old.execute_batch(include_str!("tables_1.sql")).unwrap();
    // Entries as the first version wrote them: without conversation, message or usage.
    let mut accepted = serde_json::to_value(Event::RunAccepted {
        run: Box::new(run("c", &SessionId::new("sess_c".into()), None)),
    })
    .unwrap();
    accepted["run"]["lineage"] = json!([{"run": "p", "session": "sess_p"}]);
    let ended = json!({"status": "ok", "exitCode": 0, "error": null, "tail": "found",
        "outputBytes": 5, "endedAtMs": 77});
    old.execute(
        "INSERT INTO journal (seq, at_ms, kind, run, body) VALUES (1, 10, 'run_accepted', 'c', ?1)",
        [accepted.to_string()],
    )
    .unwrap();
    old.execute(
        "INSERT INTO runs (id, accepted, status, outcome) VALUES ('c', 1, 'ok', ?1)",
        [ended.to_string()],
    )
    .unwrap();
    let end = json!({"kind": "run_finished", "run": "c", "outcome": ended});
    old.execute(
        "INSERT INTO journal (seq, at_ms, kind, run, body) VALUES (2, 77, 'run_finished', 'c', ?1)",
        [end.to_string()],
    )
    .unwrap();
    let announced = json!({"kind": "run_announced", "run": "c", "to": "sess_main"});
    old.execute(
        "INSERT INTO journal (seq, at_ms, kind, run, body) VALUES (3, 77, 'run_announced', 'c', ?1)",
        [announced.to_string()],
    )
    .unwrap();
    old.execute("INSERT INTO inbox (run, session, at_ms) VALUES ('c', 'sess_main', 77)", [])
        .unwrap();
    // One that was live when the old program ended.
    let live = serde_json::to_value(Event::RunAccepted {
        run: Box::new(run("live", &SessionId::new("sess_live".into()), None)),
    })
    .unwrap();
    old.execute(
        "INSERT INTO journal (seq, at_ms, kind, run, body) VALUES (4, 80, 'run_accepted', 'live', ?1)",
        [live.to_string()],
    )
    .unwrap();
    old.execute_batch(
        "INSERT INTO runs (id, accepted, status) VALUES ('live', 4, 'accepted');
         INSERT INTO sessions (id, key, kind, agent, parent, created_at_ms, run) VALUES
             ('sess_live', 'agent:main:subagent:live', 'subagent', 'main', 'sess_main', 80, 'live');",
    )
    .unwrap();
    drop(old);
    let store = open(place);
    let inbox = store.history(&view(&store)).unwrap();
    assert!(
        matches!(&inbox[..], [HistoryItem::Announced { from, outcome }]
            if from.as_str() == "sess_c" && outcome.tail == "found"),
        "{inbox:?}"
    );
    assert_eq!(store.recover().unwrap().events.len(), 4);
    assert_eq!(store.due_for_archive(u64::MAX, 9).unwrap(), [SessionId::new("sess_c".into())]);
    // What comes next counts from what was there.
    append(&store, 90, vec![finished("live", "at last")]);
    assert_eq!(store.due_for_archive(u64::MAX, 9).unwrap().len(), 2);
    let session = store.session_by_id(&SessionId::new("sess_c".into())).unwrap().unwrap();
    assert_eq!(session.updated_at_ms, 77);
    assert_eq!(session.run.as_ref().unwrap().depth, 2);
    let said = store.transcript(&session, ALL).unwrap();
    let lines: Vec<String> = said.messages.iter().map(|m| line(&m.said)).collect();
    assert_eq!(lines, ["c> do c", "c< found"]);
    drop(store);
    // A second start migrates nothing twice.
    let store = open(place);
    assert_eq!(store.transcript(&session, ALL).unwrap().total, 2);
}
