//! A past: finished runs in the journal of a home, written without anything having run.

use std::sync::mpsc::{Receiver, channel};
use std::time::{SystemTime, UNIX_EPOCH};

use hatchery_protocol::{
    AgentId, OutputStream, RunId, RunStatus, RuntimeKind, SessionId, SessionKey, SessionKind, Task,
};
use hatchery_spawn::{Event, Outcome, Run};
use hatchery_store::{CommitError, Entry, Store};

use crate::failure::Failure;
use crate::home::Home;

/// How many runs are handed to the journal together.
const IN_A_JOB: usize = 500;

/// Writes so many finished runs into a home where no gateway runs.
pub(crate) fn write(home: &Home, runs: usize) -> Result<(), Failure> {
    let now_ms = now_ms();
    let broken = |error: &dyn std::fmt::Display| Failure::Wrong {
        what: "writing a history".to_owned(),
        how: error.to_string(),
    };
    let store = Store::open(&home.state(), now_ms).map_err(|error| broken(&error))?;
    let (tell, told) = channel();
    let mut jobs = 0;
    for first in (0..runs).step_by(IN_A_JOB) {
        let of_job = first..runs.min(first + IN_A_JOB);
        let entries = of_job.flat_map(|number| life(number, now_ms)).collect();
        let tell = tell.clone();
        let afterwards = move |outcome| {
            if tell.send(outcome).is_err() {
                eprintln!("hatchery-bench: nobody hears of a history any more");
            }
        };
        store.append(now_ms, entries, Box::new(afterwards));
        jobs += 1;
    }
    durable(&told, jobs).map_err(|error| broken(&error))
}

fn durable(told: &Receiver<Result<(), CommitError>>, jobs: usize) -> Result<(), CommitError> {
    for _ in 0..jobs {
        told.recv().map_err(|_| CommitError::WriterGone)??;
    }
    Ok(())
}

/// Everything that a run of one command leaves behind.
fn life(number: usize, now_ms: u64) -> Vec<Entry> {
    let id = RunId::new(format!("00000000-0000-4000-8000-{number:012}"));
    let agent = AgentId::main();
    let run = Run {
        id: id.clone(),
        session: SessionId::new(format!("sess_past{number:06}")),
        session_key: SessionKey::child(&agent, SessionKind::Subagent, id.as_str()),
        kind: SessionKind::Subagent,
        lineage: Vec::new(),
        requester: SessionId::main(),
        agent,
        runtime: RuntimeKind::Local,
        model: "builtin/shell".to_owned(),
        harness: None,
        task: Task::Text("echo done".to_owned()),
        workspace: "/".into(),
        label: None,
        timeout_ms: None,
        accepted_at_ms: now_ms,
        conversation: None,
        asked: None,
    };
    let output = Entry::Output {
        run: id.clone(),
        seq: 1,
        stream: OutputStream::Stdout,
        bytes: "done\n".into(),
    };
    let outcome = Outcome {
        status: RunStatus::Ok,
        exit_code: Some(0),
        error: None,
        tail: "done\n".to_owned(),
        output_bytes: 5,
        ended_at_ms: now_ms,
        usage: None,
    };
    let to = SessionId::main();
    let entry = Entry::Event;
    vec![
        entry(Event::RunAccepted { run: Box::new(run) }),
        entry(Event::RunStarting { run: id.clone() }),
        entry(Event::RunRunning { run: id.clone(), process: None }),
        output,
        entry(Event::RunFinished { run: id.clone(), outcome }),
        entry(Event::RunAnnounced { run: id, to, in_conversation: false }),
    ]
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
