//! What is asked of a gateway that is to die.
//!
//! Each run has a label. Its task appends the label to a file, which is the side effect that must
//! not happen twice, and says it aloud, which is the answer that must not be lost.

use std::path::Path;

use serde_json::{Value, json};

use crate::random::Random;

/// The file the labels go to, in the directory of each run.
pub(crate) const COUNTER: &str = "count";

/// The file that ends the tasks which wait for it.
pub(crate) const GO: &str = "go";

/// How deep a tree is at most.
const MAX_DEPTH: u64 = 2;

const RUNTIMES: [&str; 3] = ["local", "isolated", "acp"];

/// The conversations that messages are said in, by key.
pub(crate) const CONVERSATIONS: [&str; 2] = ["agent:main:main", "agent:main:explicit:job"];

/// The way something is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// A frame `sessions.spawn`; its asker may stay for the end.
    Spawn { attached: bool },
    /// The command `hatchery spawn`.
    Command { attached: bool },
    /// A message in a conversation, which a turn answers; `agent` tells its end to the asker.
    Turn { conversation: &'static str, attached: bool },
    /// A message that is a command to spawn.
    SpawnInChat { conversation: &'static str },
}

/// One thing that is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) label: String,
    pub(crate) how: How,
    pub(crate) runtime: &'static str,
    /// The command line.
    pub(crate) line: String,
    /// Whether its result is also told to a receiver of webhooks.
    pub(crate) routed: bool,
}

impl Job {
    /// Something to ask for, with a tree of its own below it.
    pub(crate) fn draw(random: &mut Random, label: String) -> Self {
        let conversation = *random.pick(&CONVERSATIONS);
        let attached = random.percent(50);
        let how = match random.below(10) {
            0..=4 => How::Spawn { attached },
            5 => How::Command { attached },
            6..=8 => How::Turn { conversation, attached },
            _ => How::SpawnInChat { conversation },
        };
        let runtime = match how {
            How::Turn { .. } | How::SpawnInChat { .. } => "local",
            How::Spawn { .. } | How::Command { .. } => *random.pick(&RUNTIMES),
        };
        let line = match how {
            // A message has no quotes that we could rely on.
            How::SpawnInChat { .. } => format!("echo {label} >> {COUNTER}; echo said {label}"),
            _ => line(random, &label, runtime, 1),
        };
        let mut job = Self { label, how, runtime, line, routed: false };
        job.routed = job.may_be_routed() && random.percent(35);
        job
    }

    /// Whether its result can be told elsewhere too: messages have no place for that.
    pub(crate) fn may_be_routed(&self) -> bool {
        matches!(self.how, How::Spawn { .. } | How::Command { .. })
    }

    /// What a command asks that hosts its gateway.
    pub(crate) fn for_a_host(random: &mut Random, label: String) -> Self {
        let runtime = *random.pick(&RUNTIMES);
        let line = line(random, &label, runtime, 1);
        // One with a route starts a gateway that stays, and hosts none.
        Self { label, how: How::Command { attached: true }, runtime, line, routed: false }
    }

    /// The request that asks for it; none where a command does.
    pub(crate) fn request(
        &self,
        directory: &Path,
        receiver: &str,
    ) -> Option<(&'static str, Value)> {
        match self.how {
            How::Command { .. } => None,
            How::Spawn { attached } => Some((
                "sessions.spawn",
                json!({"task": self.line, "runtime": self.runtime, "label": self.label,
                    "stream": attached, "callerCwd": directory,
                    "announceTo": self.routed.then_some(receiver)}),
            )),
            How::Turn { attached: true, .. } => Some(("agent", self.message()?)),
            How::Turn { .. } | How::SpawnInChat { .. } => Some(("chat.send", self.message()?)),
        }
    }

    /// The message it is, where it is one. The same one again is to change nothing.
    pub(crate) fn message(&self) -> Option<Value> {
        let Self { label, line, .. } = self;
        let message = match self.how {
            How::Spawn { .. } | How::Command { .. } => return None,
            How::Turn { .. } => line.clone(),
            How::SpawnInChat { .. } => format!("/subagents spawn main {line} --label {label}"),
        };
        let conversation = self.conversation()?;
        Some(json!({"sessionKey": conversation, "message": message, "idempotencyKey": label}))
    }

    /// Whether its asker waits for the end.
    pub(crate) fn is_attached(&self) -> bool {
        match self.how {
            How::Spawn { attached } | How::Command { attached } | How::Turn { attached, .. } => {
                attached
            }
            How::SpawnInChat { .. } => false,
        }
    }

    /// The conversation it belongs to, with all below it.
    pub(crate) fn conversation(&self) -> Option<&'static str> {
        match self.how {
            How::Turn { conversation, .. } | How::SpawnInChat { conversation } => {
                Some(conversation)
            }
            How::Spawn { .. } | How::Command { .. } => None,
        }
    }

    /// Whether its run is a turn, which has no session of its own.
    pub(crate) fn is_turn(&self) -> bool {
        matches!(self.how, How::Turn { .. })
    }
}

/// What a run does, as a line for the shell.
fn line(random: &mut Random, label: &str, runtime: &str, depth: u64) -> String {
    let mut steps = Vec::new();
    if random.percent(10) {
        steps.push("trap '' TERM INT HUP".to_owned());
    }
    steps.push(format!("echo {label} >> {COUNTER}; echo said {label}"));
    if random.percent(10) {
        steps.push("setsid sleep 1000 & true".to_owned());
    }
    if random.percent(15) {
        steps.push("seq 2000".to_owned());
    }
    let children = if depth < MAX_DEPTH && random.percent(40) { 1 + random.below(2) } else { 0 };
    for number in 1..=children {
        let child = format!("{label}.{number}");
        // What an isolated run starts is isolated too; sometimes it is asked for all the same.
        let of_child = match runtime {
            "isolated" if random.percent(80) => "isolated",
            _ => *random.pick(&RUNTIMES),
        };
        let task = line(random, &child, of_child, depth + 1).replace('\'', r"'\''");
        let spawn = format!("hatchery spawn --runtime {of_child} --label {child}");
        steps.push(if random.percent(60) {
            format!("{spawn} --detach --json -- '{task}' > receipt.{child}")
        } else {
            format!("{spawn} -- '{task}'")
        });
    }
    if children > 0 && random.percent(30) {
        steps.push("hatchery sessions yield --timeout 1s > /dev/null".to_owned());
    }
    match random.below(10) {
        0..=3 => {}
        4..=5 => steps.push(format!("sleep 0.0{}", random.below(10))),
        6 => steps.push("exit 3".to_owned()),
        _ => steps.push(format!("until [ -e {GO} ]; do sleep 0.05; done")),
    }
    steps.join("; ")
}
