//! The lives of runs, as the gateway writes them.

use std::sync::mpsc::channel;

use hatchery_protocol::{
    AgentId, RunId, RunStatus, RuntimeKind, SessionId, SessionKey, SessionKind, Task,
};
use hatchery_spawn::{Event, Outcome, ProcessMark, Run};
use hatchery_store::{Entry, Store};

/// A name as random as those the gateway draws: what is written goes all over the indexes.
fn name(number: u64) -> String {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    format!("{mixed:016x}-{number:012x}")
}

fn run(number: u64) -> Run {
    let (agent, name) = (AgentId::main(), name(number));
    Run {
        id: RunId::new(name.clone()),
        session: SessionId::new(format!("sess_{name}")),
        session_key: SessionKey::child(&agent, SessionKind::Subagent, &name),
        kind: SessionKind::Subagent,
        lineage: Vec::new(),
        requester: SessionId::main(),
        agent,
        runtime: RuntimeKind::Local,
        model: "builtin/shell".to_owned(),
        harness: None,
        task: Task::Text(format!("echo the task of run {number}")),
        workspace: "/home/somebody/project".into(),
        label: None,
        timeout_ms: None,
        accepted_at_ms: number,
        conversation: None,
        asked: None,
        starter: None,
        deadlines: hatchery_spawn::Deadlines::default(),
        budget: hatchery_spawn::Budget::default(),
        route: None,
    }
}

/// Accepted, and told to start.
pub(crate) fn accepted(number: u64) -> Vec<Entry> {
    let run = run(number);
    let starting = Event::RunStarting { run: run.id.clone() };
    vec![Entry::Event(Event::RunAccepted { run: Box::new(run) }), Entry::Event(starting)]
}

/// At work.
pub(crate) fn running(number: u64) -> Vec<Entry> {
    let process = ProcessMark { pid: 4_711, start_time: number, boot_id: "a-boot".to_owned() };
    let run = RunId::new(name(number));
    vec![Entry::Event(Event::RunRunning { run, process: Some(process) })]
}

/// Over, and told to whoever asked.
pub(crate) fn finished(number: u64) -> Vec<Entry> {
    let run = RunId::new(name(number));
    let outcome = Outcome {
        status: RunStatus::Ok,
        exit_code: Some(0),
        error: None,
        tail: format!("the task of run {number}\n"),
        output_bytes: 24,
        ended_at_ms: number,
        usage: None,
        cost_micros: None,
        last_step: None,
        files_touched: Vec::new(),
    };
    let announced = Event::RunAnnounced {
        run: run.clone(),
        to: SessionId::main(),
        in_conversation: false,
        heard: false,
    };
    vec![Entry::Event(Event::RunFinished { run, outcome }), Entry::Event(announced)]
}

/// A whole life.
pub(crate) fn life(number: u64) -> Vec<Entry> {
    [accepted(number), running(number), finished(number)].concat()
}

/// Appends jobs and waits until all are durable.
pub(crate) fn append(store: &Store, jobs: impl IntoIterator<Item = Vec<Entry>>) {
    let (tell, told) = channel();
    for (at_ms, entries) in (1u64..).zip(jobs) {
        let tell = tell.clone();
        store.append(at_ms, entries, Box::new(move |outcome| tell.send(outcome).unwrap()));
    }
    drop(tell);
    told.iter().for_each(|outcome| outcome.unwrap());
}
