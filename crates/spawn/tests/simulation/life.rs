//! One life of the gateway: what it holds in memory, and loses in a crash.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use hatchery_protocol::RunId;
use hatchery_spawn::{Effect, Event, State};

use crate::agent::Agent;

/// The gateway's memory.
pub(crate) struct Life {
    pub(crate) state: State,
    /// What was decided and is not durable.
    pub(crate) buffer: VecDeque<Job>,
    /// What is to be done outside, in order for each run.
    pub(crate) todo: BTreeMap<RunId, VecDeque<Todo>>,
    /// The runtimes' agents.
    pub(crate) agents: BTreeMap<RunId, Agent>,
    /// The results that are to be told once they are due.
    pub(crate) due: BTreeSet<RunId>,
    /// The attempts whose outcome is not heard of yet.
    pub(crate) attempts: Vec<Attempt>,
    /// When each run came to be started, and when it gave its last sign of life.
    pub(crate) times: BTreeMap<RunId, Times>,
    /// Whether the doors are open, which they are from the commit of the recovery on.
    pub(crate) open: bool,
    /// Whether somebody said that this life is to end.
    pub(crate) keeps_queued: Option<bool>,
}

/// Events of one step, to be committed together.
pub(crate) struct Job {
    pub(crate) events: Vec<Event>,
    pub(crate) at_ms: u64,
    pub(crate) reply: Reply,
}

/// Who is told something once a job is durable.
#[derive(Clone, Debug, Default)]
pub(crate) enum Reply {
    /// Nobody.
    #[default]
    Nobody,
    /// Whoever asked for a run.
    Receipt(RunId),
    /// An agent that may make its call now.
    Call(RunId, u32),
    /// Those who wait for the doors to open.
    Open,
}

/// Something to do outside.
pub(crate) struct Todo {
    /// The job it follows from.
    pub(crate) job: u64,
    pub(crate) effect: Effect,
}

/// An attempt to tell a result.
pub(crate) struct Attempt {
    pub(crate) run: RunId,
    /// Whether the gateway hears that it was told.
    pub(crate) confirmed: bool,
}

/// When what happened to a run in this life.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    pub(crate) starting_at_ms: u64,
    pub(crate) alive_at_ms: u64,
}

impl Life {
    pub(crate) fn new(state: State) -> Self {
        let open_notices = state.notices().iter().filter(|(_, notice)| notice.blocked.is_none());
        let due = open_notices.map(|(run, _)| run.clone()).collect();
        Self {
            state,
            buffer: VecDeque::new(),
            todo: BTreeMap::new(),
            agents: BTreeMap::new(),
            due,
            attempts: Vec::new(),
            times: BTreeMap::new(),
            open: false,
            keeps_queued: None,
        }
    }

    /// Sets clocks by what happened.
    pub(crate) fn note_times(&mut self, event: &Event, now: u64) {
        match event {
            Event::RunStarting { run } | Event::RunRestarting { run } => {
                let times = Times { starting_at_ms: now, alive_at_ms: now };
                self.times.insert(run.clone(), times);
            }
            Event::RunRunning { run, .. } | Event::RunResumed { run, .. } => self.alive(run, now),
            Event::RunFinished { run, .. } => drop(self.times.remove(run)),
            _ => {}
        }
    }

    pub(crate) fn alive(&mut self, run: &RunId, now: u64) {
        if let Some(times) = self.times.get_mut(run) {
            times.alive_at_ms = now;
        }
    }
}
