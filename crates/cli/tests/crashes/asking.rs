//! Asking things of a gateway while it dies: over two connections at a time, and by commands.

use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use hatchery_failpoints::VARIABLE;
use serde_json::json;

use crate::client::{Client, Heard};
use crate::gateway::{Armed, Gateway};
use crate::home::Home;
use crate::record::Record;
use crate::work::{How, Job};

/// How things are asked.
pub(crate) struct Asking<'a> {
    pub(crate) home: &'a Home,
    pub(crate) record: &'a Record,
    /// Where results are told that have a route.
    pub(crate) receiver: &'a str,
    /// Whether the first run that is accepted is stopped again.
    pub(crate) kills: bool,
    /// How long answers are waited for, and the gateway's death after them.
    pub(crate) limit: Duration,
}

/// Asks for the jobs and hears what is answered, until the gateway is dead or the time is up.
/// Gives the commands that were started, by their label; they may still run.
pub(crate) fn ask_for(
    asking: &Asking<'_>,
    jobs: Vec<Job>,
    gateway: &mut Gateway,
) -> Vec<(String, Child)> {
    let deadline = Instant::now() + asking.limit;
    let (by_command, by_frame): (Vec<Job>, Vec<Job>) =
        jobs.into_iter().partition(|job| matches!(job.how, How::Command { .. }));
    let started = |job: &Job| begin(asking.home, job, asking.receiver, None);
    let commands = by_command.iter().map(|job| (job.label.clone(), started(job))).collect();
    let (one, other) = by_frame.split_at(by_frame.len() / 2);
    std::thread::scope(|scope| {
        scope.spawn(|| ask_on_one_connection(asking, one, false, deadline));
        scope.spawn(|| ask_on_one_connection(asking, other, asking.kills, deadline));
    });
    gateway.is_dead_by(deadline);
    commands
}

/// The directory that spawns are asked for in.
fn work(home: &Home) -> PathBuf {
    home.path().join("work")
}

/// Starts the command that asks for a job. Where there is no gateway it becomes one.
pub(crate) fn begin(home: &Home, job: &Job, receiver: &str, armed: Option<Armed>) -> Child {
    let mut words = vec!["spawn", "--json", "--runtime", job.runtime, "--label", &job.label];
    if !job.is_attached() {
        words.push("--detach");
    }
    if job.routed {
        words.extend(["--announce-to", receiver]);
    }
    words.extend(["--", &job.line]);
    let mut command = home.command(&words);
    if let Some(armed) = armed {
        command.env(VARIABLE, armed.to_string());
    }
    command.current_dir(work(home)).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

fn ask_on_one_connection(asking: &Asking<'_>, jobs: &[Job], mut kills: bool, deadline: Instant) {
    let Some(mut client) = Client::connect(asking.home) else { return };
    for job in jobs {
        if let Some((method, params)) = job.request(&work(asking.home), asking.receiver) {
            client.send(&job.label, method, &params);
        }
    }
    let mut open: Vec<&Job> = jobs.iter().collect();
    while !open.is_empty() {
        let Heard::Frame(frame) = client.hear(deadline) else { return };
        if frame["event"] == "run.output" {
            asking.record.heard(&frame["payload"]);
        }
        if frame["type"] != "res" {
            continue;
        }
        if frame["id"] == "kill" {
            asking.record.stopped(&frame);
            continue;
        }
        let job = *open.iter().find(|job| frame["id"] == job.label.as_str()).unwrap();
        if asking.record.answered(job, &frame) {
            open.retain(|open| open.label != job.label);
        }
        if kills && frame["ok"] == true {
            match (job.conversation(), frame["payload"]["sessionId"].as_str()) {
                (Some(key), _) => client.send("kill", "chat.abort", &json!({"sessionKey": key})),
                (None, Some(session)) => {
                    client.send("kill", "sessions.kill", &json!({"session": session}));
                }
                (None, None) => continue,
            }
            kills = false;
        }
    }
}
