//! The live runs: what events add up to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use hatchery_protocol::{RunId, RunStatus, SessionId};
use serde::{Deserialize, Serialize};

use crate::{Account, Event, FairQueue, Notice, ProcessMark, Run, Spend, StopReason, Wait};

/// All live runs. A run leaves with its end, so the size of this is bounded by what is going on,
/// not by what ever happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    live: BTreeMap<RunId, LiveRun>,
    /// Accepted runs without a slot. Turns take no slot and are not in it.
    queue: FairQueue,
    by_session: BTreeMap<SessionId, RunId>,
    /// The turns of each conversation that are not over, the oldest first: the first is at work,
    /// the others follow it one by one.
    turns: BTreeMap<SessionId, VecDeque<RunId>>,
    /// How many live children each run has; no entry means none.
    children: BTreeMap<RunId, u32>,
    /// What each run and those below it have used; kept while any of them is live.
    accounts: BTreeMap<RunId, Account>,
    /// How many runs have been started and are not over.
    at_work: u32,
    /// How many of those have lent their slot: runs below them are live, for whom they wait or
    /// could wait. If they kept it, a full house of waiting parents would never empty.
    lent: u32,
    /// Results that are to be told on a route and are not yet.
    notices: BTreeMap<RunId, Notice>,
}

/// A run that is not over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveRun {
    /// What was accepted. It never changes, so copies of the state share it.
    pub run: Arc<Run>,
    /// How far it is.
    pub phase: Phase,
    /// Why it is being stopped, if it is.
    pub stopping: Option<StopReason>,
    /// Its process, once known.
    pub process: Option<ProcessMark>,
    /// What it waits for, if it waits.
    pub waiting: Option<Wait>,
    /// The runs whose results stand in its inbox and were not taken.
    pub unseen: Vec<RunId>,
    /// Under which name its agent keeps its session, where it can go on with it.
    pub resumable: Option<String>,
    /// How often it was started again after a crash of the gateway.
    pub restarts: u32,
    /// What is set aside for its model calls under way.
    pub calls: BTreeMap<u32, Spend>,
    /// What it has used itself.
    pub spent: Spend,
}

/// How far a live run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It waits for a slot.
    Queued,
    /// It has a slot and is being started.
    Starting,
    /// It is at work.
    Running,
}

impl LiveRun {
    fn new(run: &Run) -> Self {
        Self {
            run: Arc::new(run.clone()),
            phase: Phase::Queued,
            stopping: None,
            process: None,
            waiting: None,
            unseen: Vec::new(),
            resumable: None,
            restarts: 0,
            calls: BTreeMap::new(),
            spent: Spend::default(),
        }
    }

    /// Where it is in its life, as clients see it.
    #[must_use]
    pub fn status(&self) -> RunStatus {
        match self.phase {
            Phase::Queued => RunStatus::Accepted,
            Phase::Starting => RunStatus::Starting,
            Phase::Running if self.waiting.is_some() => RunStatus::Waiting,
            Phase::Running => RunStatus::Running,
        }
    }

    /// Whether it holds a slot, or has lent it.
    fn is_at_work(&self) -> bool {
        self.phase != Phase::Queued && !self.run.is_turn()
    }
}

impl State {
    /// Folds in what happened, at a time in milliseconds since 1970.
    pub fn apply(&mut self, event: &Event, at_ms: u64) {
        match event {
            Event::RunAccepted { run } => self.accept(run),
            Event::RunStarting { run } => self.start(run, at_ms),
            Event::RunRunning { run, process } => {
                if let Some(live) = self.live.get_mut(run) {
                    live.phase = Phase::Running;
                    live.process.clone_from(process);
                }
            }
            Event::RunResumable { run, session } => {
                if let Some(live) = self.live.get_mut(run) {
                    live.resumable = Some(session.clone());
                }
            }
            Event::RunWaiting { run, on } => {
                if let Some(live) = self.live.get_mut(run) {
                    live.waiting = Some(*on);
                }
            }
            Event::RunResumed { run, results } => {
                if let Some(live) = self.live.get_mut(run) {
                    live.waiting = None;
                    live.unseen.retain(|unseen| !results.contains(unseen));
                }
            }
            Event::RunRestarting { run } => {
                if let Some(live) = self.live.get_mut(run) {
                    live.phase = Phase::Starting;
                    live.process = None;
                    live.waiting = None;
                    live.restarts += 1;
                }
            }
            Event::RunStopping { run, reason } => {
                if let Some(live) = self.live.get_mut(run) {
                    live.stopping = Some(reason.clone());
                }
            }
            Event::RunFinished { run, .. } => self.finish(run),
            Event::RunAnnounced { heard: true, .. } => {}
            Event::RunAnnounced { run, to, .. } | Event::AnnounceMoved { run, to, .. } => {
                if let Some(reader) = self.reader_of(to) {
                    reader.unseen.push(run.clone());
                }
            }
            Event::BudgetReserved { run, call, spend } => self.reserve(run, *call, *spend),
            Event::BudgetSettled { run, call, spend } => self.settle(run, *call, *spend),
            Event::NoticeDue { run, notice } => {
                self.notices.insert(run.clone(), (**notice).clone());
            }
            Event::NoticeBlocked { run, reason } => {
                if let Some(notice) = self.notices.get_mut(run) {
                    notice.blocked = Some(reason.clone());
                }
            }
            Event::NoticeDelivered { run } | Event::NoticeDismissed { run, .. } => {
                self.notices.remove(run);
            }
            // What is not a run's life is the store's to fold.
            Event::Refused { .. }
            | Event::SessionOpened { .. }
            | Event::SessionPatched { .. }
            | Event::SessionReset { .. }
            | Event::SessionDeleted { .. }
            | Event::SessionArchived { .. }
            | Event::SessionReopened { .. }
            | Event::MessageAdded { .. } => {}
        }
    }

    /// Who reads the inbox of a session now: its run, or the turn at work in a conversation.
    fn reader_of(&mut self, session: &SessionId) -> Option<&mut LiveRun> {
        let run = self.by_session.get(session).or_else(|| self.turns.get(session)?.front())?;
        self.live.get_mut(run).filter(|live| live.phase != Phase::Queued)
    }

    fn accept(&mut self, run: &Run) {
        let account = Account { budget: run.budget, ..Account::default() };
        self.accounts.insert(run.id.clone(), account);
        self.each_account(&path(run), |account| account.live += 1);
        for above in &run.lineage {
            if let Some(account) = self.accounts.get_mut(&above.run) {
                account.descendants += 1;
            }
        }
        if let Some(parent) = run.parent() {
            *self.children.entry(parent.clone()).or_default() += 1;
        }
        for above in &run.lineage {
            if self.live_below(&above.run) == 1 {
                self.lend(&above.run);
            }
        }
        if run.is_turn() {
            self.turns.entry(run.session.clone()).or_default().push_back(run.id.clone());
        } else {
            self.queue.push(run.root(), &run.id, task_bytes(run));
            self.by_session.insert(run.session.clone(), run.id.clone());
        }
        self.live.insert(run.id.clone(), LiveRun::new(run));
    }

    fn start(&mut self, id: &RunId, at_ms: u64) {
        let Some(live) = self.live.get_mut(id) else { return };
        live.phase = Phase::Starting;
        if let Some(account) = self.accounts.get_mut(id) {
            account.started_at_ms = Some(at_ms);
        }
        if !live.run.is_turn() {
            self.queue.start(live.run.root(), id, task_bytes(&live.run));
            self.at_work += 1;
            let path = path(&live.run);
            self.each_account(&path, |account| account.at_work += 1);
        }
    }

    fn finish(&mut self, id: &RunId) {
        let Some(live) = self.live.remove(id) else { return };
        let run = &live.run;
        let path = path(run);
        if run.is_turn() {
            self.finish_turn(run);
        } else {
            self.by_session.remove(&run.session);
            if live.phase == Phase::Queued {
                self.queue.remove(run.root(), id, task_bytes(run));
            } else {
                self.at_work -= 1;
                let lent = self.live_below(id) > 0;
                self.lent -= u32::from(lent);
                self.each_account(&path, |account| {
                    account.at_work -= 1;
                    account.lent -= u32::from(lent);
                });
            }
        }
        if let Some(parent) = run.parent()
            && let Some(count) = self.children.get_mut(parent)
        {
            *count -= 1;
            if *count == 0 {
                self.children.remove(parent);
            }
        }
        let unused = live.calls.values().fold(Spend::default(), |sum, call| sum.plus(*call));
        self.each_account(&path, |account| {
            account.live -= 1;
            account.reserved = account.reserved.minus(unused);
        });
        for above in &run.lineage {
            if self.live_below(&above.run) == 0 {
                self.take_back(&above.run);
            }
        }
        for above in &path {
            if self.accounts.get(above).is_some_and(|account| account.live == 0) {
                self.accounts.remove(above);
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

    /// A run lends its slot when the first run below it is there.
    fn lend(&mut self, parent: &RunId) {
        if let Some(path) = self.path_at_work(parent) {
            self.lent += 1;
            self.each_account(&path, |account| account.lent += 1);
        }
    }

    /// It has its slot back with the end of the last.
    fn take_back(&mut self, parent: &RunId) {
        if let Some(path) = self.path_at_work(parent) {
            self.lent -= 1;
            self.each_account(&path, |account| account.lent -= 1);
        }
    }

    fn path_at_work(&self, run: &RunId) -> Option<Vec<RunId>> {
        self.live.get(run).filter(|live| live.is_at_work()).map(|live| path(&live.run))
    }

    fn reserve(&mut self, id: &RunId, call: u32, spend: Spend) {
        let Some(live) = self.live.get_mut(id) else { return };
        live.calls.insert(call, spend);
        let path = path(&live.run);
        self.each_account(&path, |account| account.reserved = account.reserved.plus(spend));
    }

    fn settle(&mut self, id: &RunId, call: Option<u32>, spend: Spend) {
        let Some(live) = self.live.get_mut(id) else { return };
        let reserved = call.and_then(|call| live.calls.remove(&call)).unwrap_or_default();
        live.spent = live.spent.plus(spend);
        let path = path(&live.run);
        self.each_account(&path, |account| {
            account.reserved = account.reserved.minus(reserved);
            account.spent = account.spent.plus(spend);
        });
    }

    /// Changes the accounts of a run and of those above it.
    fn each_account(&mut self, path: &[RunId], change: impl Fn(&mut Account)) {
        for above in path {
            if let Some(account) = self.accounts.get_mut(above) {
                change(account);
            }
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

    /// The conversations that have a turn at work.
    pub fn conversations(&self) -> impl ExactSizeIterator<Item = &SessionId> {
        self.turns.keys()
    }

    /// The beginning of a conversation's next turn, where nothing is at work in it.
    pub(crate) fn turn_to_begin(&self, session: &SessionId) -> Option<Event> {
        let first = self.turns_of(session).next()?;
        let waits = first.phase == Phase::Queued;
        waits.then(|| Event::RunStarting { run: first.run.id.clone() })
    }

    /// All live runs.
    pub fn runs(&self) -> impl Iterator<Item = &LiveRun> {
        self.live.values()
    }

    /// How many runs are live.
    #[must_use]
    pub fn len(&self) -> usize {
        self.live.len()
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

    /// How many live runs stand below a live run.
    #[must_use]
    pub fn live_below(&self, run: &RunId) -> u32 {
        self.accounts.get(run).map_or(0, |account| account.live.saturating_sub(1))
    }

    /// What a run and those below it may use and have used; none where none of them is live.
    #[must_use]
    pub fn account(&self, run: &RunId) -> Option<&Account> {
        self.accounts.get(run)
    }

    /// The trees with a limit of time that runs: the run at the top, and when its time is up, in
    /// milliseconds since 1970.
    pub fn tree_deadlines(&self) -> impl Iterator<Item = (&RunId, u64)> {
        self.accounts.iter().filter_map(|(run, account)| {
            Some((run, account.started_at_ms?.saturating_add(account.budget.wall_ms?)))
        })
    }

    /// How many runs have been started and are not over.
    #[must_use]
    pub fn at_work(&self) -> u32 {
        self.at_work
    }

    /// How many slots are taken: by the runs at work with none live below them. One whose last
    /// below ends has its slot back at once, so for a while there can be more than are given out.
    #[must_use]
    pub fn slots_taken(&self) -> u32 {
        self.at_work - self.lent
    }

    /// The accepted runs without a slot.
    #[must_use]
    pub fn queue(&self) -> &FairQueue {
        &self.queue
    }

    /// The results that are to be told on a route and are not yet, by run.
    #[must_use]
    pub fn notices(&self) -> &BTreeMap<RunId, Notice> {
        &self.notices
    }
}

fn path(run: &Run) -> Vec<RunId> {
    run.path().cloned().collect()
}

fn task_bytes(run: &Run) -> u64 {
    run.task.bytes() as u64
}
