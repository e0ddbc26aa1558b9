//! The live runs: what events add up to.

use std::collections::{BTreeMap, VecDeque};

use hatchery_protocol::{RunId, RunStatus, SessionId};

use crate::{Event, ProcessMark, Run, StopReason};

/// All live runs. A run leaves with its end, so the size of this is bounded by what is going on,
/// not by what ever happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    live: BTreeMap<RunId, LiveRun>,
    /// Accepted runs without a slot, the oldest first.
    queue: VecDeque<RunId>,
    by_session: BTreeMap<SessionId, RunId>,
    /// The turns of each conversation that are not over, the oldest first: the first is at work,
    /// the others follow it one by one. Turns take no slot and are not in the queue.
    turns: BTreeMap<SessionId, VecDeque<RunId>>,
    /// How many live children each run has; no entry means none.
    children: BTreeMap<RunId, u32>,
    /// How many runs have been started and are not over.
    at_work: u32,
    /// How many of those have lent their slot: they have live children, for whom they wait or
    /// could wait. If they kept it, a full house of waiting parents would never empty.
    lent: u32,
}

/// A run that is not over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveRun {
    /// What was accepted.
    pub run: Run,
    /// How far it is.
    pub phase: Phase,
    /// Why it is being stopped, if it is.
    pub stopping: Option<StopReason>,
    /// Its process, once known.
    pub process: Option<ProcessMark>,
}

/// How far a live run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It waits for a slot.
    Queued,
    /// It has a slot and is being started.
    Starting,
    /// It is at work.
    Running,
}

impl Phase {
    /// The phase as clients see it.
    #[must_use]
    pub fn status(self) -> RunStatus {
        match self {
            Self::Queued => RunStatus::Accepted,
            Self::Starting => RunStatus::Starting,
            Self::Running => RunStatus::Running,
        }
    }
}

impl State {
    /// Folds in what happened.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::RunAccepted { run } => self.accept(run),
            Event::RunStarting { run } => {
                self.queue.retain(|queued| queued != run);
                if let Some(live) = self.live.get_mut(run) {
                    live.phase = Phase::Starting;
                    self.at_work += u32::from(!live.run.is_turn());
                }
            }
            Event::RunRunning { run, process } => {
                if let Some(live) = self.live.get_mut(run) {
                    live.phase = Phase::Running;
                    live.process.clone_from(process);
                }
            }
            Event::RunStopping { run, reason } => {
                if let Some(live) = self.live.get_mut(run) {
                    live.stopping = Some(reason.clone());
                }
            }
            Event::RunFinished { run, .. } => self.finish(run),
            // What is not a run's life is the store's to fold.
            Event::RunAnnounced { .. }
            | Event::Refused { .. }
            | Event::SessionOpened { .. }
            | Event::SessionPatched { .. }
            | Event::SessionReset { .. }
            | Event::SessionDeleted { .. }
            | Event::SessionArchived { .. }
            | Event::SessionReopened { .. }
            | Event::MessageAdded { .. } => {}
        }
    }

    fn accept(&mut self, run: &Run) {
        if let Some(parent) = run.parent() {
            let children = self.children.entry(parent.clone()).or_default();
            *children += 1;
            if *children == 1 && is_at_work(self.live.get(parent)) {
                self.lent += 1;
            }
        }
        if run.is_turn() {
            self.turns.entry(run.session.clone()).or_default().push_back(run.id.clone());
        } else {
            self.queue.push_back(run.id.clone());
            self.by_session.insert(run.session.clone(), run.id.clone());
        }
        let live =
            LiveRun { run: run.clone(), phase: Phase::Queued, stopping: None, process: None };
        self.live.insert(run.id.clone(), live);
    }

    fn finish(&mut self, run: &RunId) {
        let Some(live) = self.live.remove(run) else { return };
        match live.phase {
            _ if live.run.is_turn() => self.finish_turn(&live.run),
            Phase::Queued => self.queue.retain(|queued| queued != run),
            Phase::Starting | Phase::Running => {
                self.at_work -= 1;
                if self.children.contains_key(run) {
                    self.lent -= 1;
                }
            }
        }
        if !live.run.is_turn() {
            self.by_session.remove(&live.run.session);
        }
        if let Some(parent) = live.run.parent()
            && let Some(count) = self.children.get_mut(parent)
        {
            *count -= 1;
            if *count == 0 {
                self.children.remove(parent);
                if is_at_work(self.live.get(parent)) {
                    self.lent -= 1;
                }
            }
        }
    }

    fn finish_turn(&mut self, run: &Run) {
        let Some(turns) = self.turns.get_mut(&run.session) else { return };
        turns.retain(|turn| *turn != run.id);
        if turns.is_empty() {
            self.turns.remove(&run.session);
        }
    }

    /// A live run.
    #[must_use]
    pub fn get(&self, run: &RunId) -> Option<&LiveRun> {
        self.live.get(run)
    }

    /// The live run of a session; of a conversation, the turn at work.
    #[must_use]
    pub fn in_session(&self, session: &SessionId) -> Option<&LiveRun> {
        let run = self.by_session.get(session).or_else(|| self.turns.get(session)?.front())?;
        self.live.get(run)
    }

    /// The turns of a conversation that are not over, the oldest first.
    pub fn turns_of(&self, session: &SessionId) -> impl Iterator<Item = &LiveRun> {
        self.turns.get(session).into_iter().flatten().filter_map(|run| self.live.get(run))
    }

    /// How many conversations have a turn at work.
    #[must_use]
    pub fn conversations(&self) -> usize {
        self.turns.len()
    }

    /// All live runs.
    pub fn runs(&self) -> impl Iterator<Item = &LiveRun> {
        self.live.values()
    }

    /// Whether nothing is going on.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    /// How many live children a run has.
    #[must_use]
    pub fn children_of(&self, run: &RunId) -> u32 {
        self.children.get(run).copied().unwrap_or(0)
    }

    /// How many runs have been started and are not over.
    #[must_use]
    pub fn at_work(&self) -> u32 {
        self.at_work
    }

    /// How many slots are taken: by the runs at work without live children. A parent whose last
    /// child ends has its slot back at once, so for a while there can be more than are given out.
    #[must_use]
    pub fn slots_taken(&self) -> u32 {
        self.at_work - self.lent
    }

    /// The accepted runs without a slot, the oldest first.
    #[must_use]
    pub fn queue(&self) -> &VecDeque<RunId> {
        &self.queue
    }
}

/// Whether it holds a slot, or has lent it.
fn is_at_work(live: Option<&LiveRun>) -> bool {
    live.is_some_and(|live| live.phase != Phase::Queued && !live.run.is_turn())
}
