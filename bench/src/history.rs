//! A past: finished runs in the journal of a home, written without anything having run.

use std::sync::mpsc::{Receiver, channel};
use std::time::{SystemTime, UNIX_EPOCH};

use hatchery_protocol::{
    AgentId, OutputStream, RunId, RunStatus, RuntimeKind, SessionId, SessionKind, Task,
};
use hatchery_store::{CommitError, Entry, Store};
use serde_json::json;

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
        let lives: Result<Vec<_>, _> = of_job.map(|number| life(number, now_ms)).collect();
        let entries = lives?.into_iter().flatten().collect();
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

/// Everything that a run of one command leaves behind. The events are read from the words the
/// journal itself would have for them, so that what newer events say besides has its default.
fn life(number: usize, now_ms: u64) -> Result<Vec<Entry>, Failure> {
    let id = format!("00000000-0000-4000-8000-{number:012}");
    let run = json!({
        "id": id,
        "session": format!("sess_past{number:06}"),
        "sessionKey": format!("agent:main:subagent:{id}"),
        "kind": SessionKind::Subagent,
        "lineage": [],
        "requester": SessionId::main(),
        "agent": AgentId::main(),
        "runtime": RuntimeKind::Local,
        "model": "builtin/shell",
        "harness": null,
        "task": Task::Text("echo done".to_owned()),
        "workspace": "/",
        "label": null,
        "timeoutMs": null,
        "acceptedAtMs": now_ms,
    });
    let outcome = json!({
        "status": RunStatus::Ok,
        "exitCode": 0,
        "error": null,
        "tail": "done\n",
        "outputBytes": 5,
        "endedAtMs": now_ms,
    });
    let event = |words| serde_json::from_value(words).map(Entry::Event);
    Ok(vec![
        event(json!({"kind": "run_accepted", "run": run}))?,
        event(json!({"kind": "run_starting", "run": id}))?,
        event(json!({"kind": "run_running", "run": id, "process": null}))?,
        Entry::Output {
            run: RunId::new(id.clone()),
            seq: 1,
            stream: OutputStream::Stdout,
            bytes: "done\n".into(),
        },
        event(json!({"kind": "run_finished", "run": id, "outcome": outcome}))?,
        event(json!({"kind": "run_announced", "run": id, "to": SessionId::main()}))?,
    ])
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
