//! Runs and what befalls them, for the tests of the store.
#![allow(dead_code, clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::sync::mpsc::channel;

use hatchery_protocol::{
    AgentId, OutputStream, RunId, RunStatus, RuntimeKind, SessionId, SessionKey, SessionKind, Task,
};
use hatchery_spawn::{Ancestor, Event, Outcome, Run};
use hatchery_store::{CommitError, Entry, Store};

pub(crate) fn open(directory: &Path) -> Store {
    Store::open(directory, 1).unwrap()
}

pub(crate) fn run(name: &str, parent: Option<&str>) -> Run {
    let agent = AgentId::main();
    let above = |name: &str| Ancestor {
        run: RunId::new(name.to_owned()),
        session: SessionId::new(format!("sess_{name}")),
        turn: false,
    };
    let lineage: Vec<Ancestor> = parent.map(above).into_iter().collect();
    Run {
        id: RunId::new(name.to_owned()),
        session: SessionId::new(format!("sess_{name}")),
        session_key: SessionKey::child(&agent, SessionKind::Subagent, name),
        kind: SessionKind::Subagent,
        requester: lineage.first().map_or_else(SessionId::main, |above| above.session.clone()),
        lineage,
        agent,
        runtime: RuntimeKind::Local,
        model: "builtin/shell".to_owned(),
        harness: None,
        task: Task::Text(format!("echo {name}")),
        workspace: "/tmp".into(),
        label: None,
        timeout_ms: None,
        accepted_at_ms: 10,
        conversation: None,
        asked: None,
        starter: None,
        deadlines: hatchery_spawn::Deadlines::default(),
        budget: hatchery_spawn::Budget::default(),
        route: None,
    }
}

pub(crate) fn accepted(name: &str, parent: Option<&str>) -> Entry {
    Entry::Event(Event::RunAccepted { run: Box::new(run(name, parent)) })
}

pub(crate) fn output(name: &str, seq: u64, text: &str) -> Entry {
    Entry::Output {
        run: RunId::new(name.to_owned()),
        seq,
        stream: OutputStream::Stdout,
        bytes: text.to_owned().into(),
    }
}

pub(crate) fn outcome(status: RunStatus) -> Outcome {
    Outcome {
        status,
        exit_code: Some(0),
        error: None,
        tail: "tail".to_owned(),
        output_bytes: 4,
        ended_at_ms: 20,
        usage: None,
        cost_micros: None,
        last_step: None,
        files_touched: Vec::new(),
    }
}

pub(crate) fn finished(name: &str, to: &str) -> Vec<Entry> {
    let run = RunId::new(name.to_owned());
    vec![
        Entry::Event(Event::RunFinished { run: run.clone(), outcome: outcome(RunStatus::Ok) }),
        Entry::Event(Event::RunAnnounced {
            run,
            to: SessionId::new(to.to_owned()),
            in_conversation: false,
            heard: false,
        }),
    ]
}

/// Appends and waits until it is durable.
pub(crate) fn append(store: &Store, entries: Vec<Entry>) -> Result<(), CommitError> {
    append_at(store, 10, entries)
}

pub(crate) fn append_at(store: &Store, at_ms: u64, entries: Vec<Entry>) -> Result<(), CommitError> {
    let (tell, told) = channel();
    store.append(at_ms, entries, Box::new(move |outcome| tell.send(outcome).unwrap()));
    told.recv().unwrap()
}
