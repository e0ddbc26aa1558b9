//! The supervisor: the one place where decisions become facts and facts become effects.
//!
//! A command is decided against the state under one lock, the events are applied and given to the
//! journal, and everything else (the receipt, the start of a process, what watchers see) happens
//! in the journal's own order after the commit. The supervisor decides nothing itself.

mod audit;
mod clocks;
mod doing;
mod housekeeping;
mod keeping;
mod keys;
mod notices;
mod observer;
mod readers;
mod recovery;
mod revocation;
mod run;
mod spawning;
mod spending;
mod turns;
mod waiting;
mod watching;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hatchery_access::{Caller, Permit, Proof, ReadTicket, Refusal, Remedy, TicketOffice, Write};
use hatchery_agent::Cancel;
use hatchery_failpoints::{Point, reach};
use hatchery_protocol::{ErrorCode, RunId, RunStatus, SessionId};
use hatchery_spawn::{Command, Effect, Event, Run, State, effects};
use hatchery_store::{CommitError, Store};
use tokio::runtime::Handle;
use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::AbortHandle;

use crate::clock::now_ms;
use crate::fold::Fold;
use crate::gateway::Doors;
use crate::hub::Hub;
use crate::launcher::Launcher;
use crate::settings::Settings;
use crate::talk::{Talk, herald};
use crate::watchers::Watchers;
use crate::webhook::MAX_DELIVERIES;
use keys::MessageKeys;

pub(crate) use turns::{Message, Taken};
pub(crate) use watching::Joined;

pub(crate) use audit::Guest;

/// How long runs may take to end in a shutdown before their processes are killed.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// How long a shutdown waits for killed processes to be gone.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(15);

/// The supervisor. There is one in a gateway, shared by all its doors.
pub(crate) struct Supervisor {
    core: Mutex<Core>,
    /// Apart from the core: what strangers cause must not hold up a spawn.
    fold: Mutex<Fold>,
    pub(crate) store: Store,
    pub(crate) settings: Settings,
    launcher: Launcher,
    pub(crate) talk: Arc<Talk>,
    /// Held while a session is opened, until that is durable.
    pub(crate) opening: tokio::sync::Mutex<()>,
    /// Whether it stays when nothing goes on. What had not begun at its end then begins in its
    /// next life.
    stays: bool,
    /// Whether it tells results on their routes: not where it is there for a look only.
    tells: bool,
    /// Room for results on their way to where their routes lead.
    deliveries: Semaphore,
    tasks: Handle,
    /// Counts what has happened, so that whoever waits for something looks again.
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Core {
    state: State,
    tickets: TicketOffice,
    /// Who started each live run.
    callers: BTreeMap<RunId, Caller>,
    tasks: BTreeMap<RunId, RunTasks>,
    keepers: BTreeMap<i32, RunId>,
    /// The connections that runs wait on for what they started: by the run that was started.
    attached: BTreeMap<RunId, u64>,
    /// Who is told when a run that waits for results goes on.
    yielders: BTreeMap<RunId, oneshot::Sender<Vec<RunId>>>,
    /// The clocks of trees, by the run at the top.
    tree_clocks: BTreeMap<RunId, AbortHandle>,
    watchers: Watchers,
    message_keys: MessageKeys,
    shutting_down: bool,
    /// Whether a snapshot is on its way to the journal.
    snapshot_due: bool,
    /// Why the journal takes nothing any more, once it does not.
    journal_error: Option<CommitError>,
    /// What is damaged in the journal's file, where something is.
    journal_fault: Option<String>,
}

/// What goes on for a run at work.
struct RunTasks {
    cancel: Cancel,
    /// Tasks that end with the run: its deadline, its tickets.
    helpers: Vec<AbortHandle>,
}

/// What a gateway is doing, in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) live: usize,
    pub(crate) at_work: u32,
    pub(crate) queued: usize,
    pub(crate) connections: usize,
    pub(crate) journal: JournalCondition,
    /// Results that wait to be told on their routes, and those of them that are not tried again.
    pub(crate) notices: usize,
    pub(crate) blocked: usize,
}

/// Whether the journal takes what happens, and can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum JournalCondition {
    /// All is well.
    Ok,
    /// It takes nothing any more, for this reason.
    Broken(String),
    /// Its file is damaged in a place that was not needed yet.
    Damaged(String),
}

impl Supervisor {
    pub(crate) fn new(
        store: Store,
        settings: Settings,
        launcher: Launcher,
        hub: Arc<Hub>,
        doors: Doors,
    ) -> Arc<Self> {
        let (news, to_tell) = unbounded_channel();
        let talk = Arc::new(Talk::new(Arc::clone(&hub), Handle::current(), news));
        let supervisor = Arc::new(Self {
            core: Mutex::default(),
            fold: Mutex::default(),
            store,
            settings,
            launcher,
            talk,
            opening: tokio::sync::Mutex::default(),
            stays: doors == Doors::All,
            tells: doors != Doors::Within,
            deliveries: Semaphore::new(MAX_DELIVERIES),
            tasks: Handle::current(),
            changes: watch::Sender::new(0),
        });
        tokio::spawn(herald(Arc::downgrade(&supervisor), hub, to_tell));
        supervisor
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        // Every change to the core is complete before anything can panic.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops a session's run and everything below it, and returns once all of it is gone.
    pub(crate) async fn kill(
        self: &Arc<Self>,
        permit: &Permit<Write>,
        session: SessionId,
    ) -> Result<Vec<SessionId>, Refusal> {
        let caller = permit.caller().clone();
        let tree = {
            let core = self.core();
            let root = core.state.in_session(&session).map(|live| live.run.id.clone());
            root.map_or_else(Vec::new, |root| {
                let in_tree = core.state.runs().filter(|live| live.run.is_in_tree_of(&root));
                in_tree.map(|live| (live.run.id.clone(), live.run.session.clone())).collect()
            })
        };
        self.command(&Command::Kill { caller: caller.clone(), session })
            .inspect_err(|refusal| self.note_refusal(&caller.describe(), refusal, "kill"))?;
        let mut changes = self.changes.subscribe();
        while tree.iter().any(|(run, _)| self.core().state.get(run).is_some()) {
            if changes.changed().await.is_err() {
                break;
            }
        }
        self.settled().await;
        Ok(tree.into_iter().map(|(_, session)| session).collect())
    }

    fn publish(&self, events: &[Event], ended: &[Arc<Run>]) {
        self.tell_watchers(events, ended);
        self.tell_readers(events, ended);
    }

    fn tell_watchers(&self, events: &[Event], ended: &[Arc<Run>]) {
        let mut core = self.core();
        for event in events {
            match event {
                Event::RunAccepted { run } => {
                    tracing::info!(run = %run.id, session = %run.session, agent = %run.agent,
                        runtime = %run.runtime, depth = run.depth(), "run accepted");
                }
                Event::RunStarting { run } => core.watchers.state(run, RunStatus::Starting),
                Event::RunRunning { run, .. } => {
                    reach(Point::Running);
                    core.watchers.state(run, RunStatus::Running);
                }
                Event::RunWaiting { run, .. } => core.watchers.state(run, RunStatus::Waiting),
                Event::RunResumed { run, results } => {
                    core.watchers.state(run, RunStatus::Running);
                    core.give_results(run, results);
                }
                Event::RunRestarting { run } => {
                    tracing::info!(%run, "run goes on after a crash");
                    core.watchers.state(run, RunStatus::Starting);
                }
                Event::NoticeBlocked { run, reason } => {
                    tracing::warn!(%run, reason, "the result could not be told on its route");
                }
                Event::RunFinished { run, outcome } => {
                    reach(Point::EndUntold);
                    tracing::info!(%run, status = %outcome.status, exit_code = outcome.exit_code,
                        output_bytes = outcome.output_bytes, "run finished");
                    if let Some(run) = ended.iter().find(|ended| ended.id == *run) {
                        core.watchers.finished(run, outcome);
                    }
                }
                Event::RunStopping { run, reason } => {
                    tracing::info!(%run, ?reason, "run stopping");
                }
                Event::RunResumable { .. }
                | Event::BudgetReserved { .. }
                | Event::BudgetSettled { .. }
                | Event::RunAnnounced { .. }
                | Event::AnnounceMoved { .. }
                | Event::NoticeDue { .. }
                | Event::NoticeDelivered { .. }
                | Event::NoticeDismissed { .. }
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
    }

    /// What the outside world has to do. After a failed commit only what takes away is done.
    fn perform(self: &Arc<Self>, events: &[Event]) {
        for effect in events.iter().filter_map(effects) {
            match effect {
                Effect::Start(run) | Effect::Resume(run) if self.takes_what_happens() => {
                    self.start(&run)
                }
                Effect::Start(_) | Effect::Resume(_) => {}
                Effect::Deliver(run) => self.deliver(&run),
                Effect::Stop(run) => {
                    reach(Point::Stopping);
                    if let Some(tasks) = self.core().tasks.get(&run) {
                        tasks.cancel.cancel();
                    }
                }
                Effect::Release(run) => self.core().release(&run),
            }
        }
    }

    /// The journal takes nothing any more, so nothing new can be promised and what is going on
    /// cannot be kept: everything is stopped.
    pub(super) fn journal_broke(&self, error: &CommitError, ended: &[Arc<Run>]) {
        let mut core = self.core();
        for run in ended {
            let refusal = unavailable("JOURNAL_UNAVAILABLE", error);
            core.watchers.lost(&run.id, &refusal.into());
        }
        self.talk.lost(&unavailable("JOURNAL_UNAVAILABLE", error).into());
        if core.journal_error.is_none() {
            tracing::error!("{error}");
            core.journal_error = Some(error.clone());
            let Core { watchers, tasks, .. } = &mut *core;
            let lost = unavailable("JOURNAL_UNAVAILABLE", error).into();
            watchers.keep_only(|run| tasks.contains_key(run), &lost);
            for tasks in core.tasks.values() {
                tasks.cancel.cancel();
            }
        }
    }

    /// Who stands behind a connection, once it has shown what its door asks for.
    pub(crate) async fn identify(
        &self,
        proof: &Proof,
        ticket: Option<Vec<u8>>,
        peer: &str,
    ) -> Result<Caller, Refusal> {
        let presenter = match proof {
            Proof::Given(_) => None,
            Proof::TicketOf(run) => Some(run),
        };
        let identified = match (ticket, proof) {
            (None, Proof::Given(caller)) => Ok(caller.clone()),
            (None, Proof::TicketOf(_)) => Err(ticket_required()),
            (Some(ticket), _) => self.redeem(ticket, presenter).await,
        };
        identified.inspect_err(|refusal| self.note_refusal(peer, refusal, "connect"))
    }

    async fn redeem(&self, ticket: Vec<u8>, presenter: Option<&RunId>) -> Result<Caller, Refusal> {
        let key = self.core().tickets.key();
        // What a holder has added may take a while.
        let reading = move || ReadTicket::read(&ticket, key, now_ms());
        let read = tokio::task::spawn_blocking(reading).await;
        let read = read.map_err(|error| unavailable("TICKET_UNREAD", error))??;
        Ok(self.core().tickets.redeem(&read, presenter, now_ms())?)
    }

    /// The run whose keeper has this process id.
    pub(crate) fn run_of_keeper(&self, pid: i32) -> Option<RunId> {
        self.core().keepers.get(&pid).cloned()
    }

    /// Lets the watchers be changed.
    pub(crate) fn with_watchers<T>(&self, change: impl FnOnce(&mut Watchers) -> T) -> T {
        change(&mut self.core().watchers)
    }

    /// What goes on, in numbers.
    pub(crate) fn load(&self) -> Load {
        let core = self.core();
        Load {
            live: if core.is_idle() { 0 } else { core.state.len() },
            at_work: core.state.at_work(),
            queued: core.state.queue().len(),
            connections: core.watchers.connection_count(),
            journal: match (&core.journal_error, &core.journal_fault) {
                (Some(error), _) => JournalCondition::Broken(error.to_string()),
                (None, Some(fault)) => JournalCondition::Damaged(fault.clone()),
                (None, None) => JournalCondition::Ok,
            },
            notices: core.state.notices().len(),
            blocked: core
                .state
                .notices()
                .values()
                .filter(|notice| notice.blocked.is_some())
                .count(),
        }
    }

    /// Returns once a run is not live.
    pub(crate) async fn run_ended(&self, run: &RunId) {
        let mut changes = self.changes.subscribe();
        while self.core().state.get(run).is_some() {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Returns once no run is at work or waits to be, and the ends of all of them are durable and
    /// told. What is left for the next life of the gateway is not waited for.
    pub(crate) async fn idle(&self) {
        let mut changes = self.changes.subscribe();
        while !self.core().is_idle() {
            if changes.changed().await.is_err() {
                return;
            }
        }
        self.settled().await;
    }

    /// Returns once all that has happened so far is durable and told to whoever watches: the
    /// state knows of things a moment before the journal does.
    pub(crate) async fn settled(&self) {
        let (tell, told) = oneshot::channel::<()>();
        // The journal keeps its order, so what follows this comes after everything before it. The
        // end of the sender is the word that is waited for.
        self.store.append(now_ms(), Vec::new(), Box::new(move |_| drop(tell)));
        drop(told.await);
    }

    /// A connection is about to end and hears nothing new, so nobody waits on it for anything.
    pub(crate) fn connection_silenced(&self, connection: u64) {
        self.core().watchers.silence(connection);
        self.changes.send_modify(|count| *count += 1);
    }

    /// A connection is gone, and everything that was to be said on it was said or has no reader.
    pub(crate) fn connection_ended(&self, connection: u64) {
        self.core().watchers.disconnected(connection);
        self.changes.send_modify(|count| *count += 1);
    }

    /// Returns once no connection is open.
    pub(crate) async fn disconnected(&self) {
        let mut changes = self.changes.subscribe();
        while self.load().connections > 0 {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Stops everything, in order and within bounds: no new runs, a word to every connection,
    /// every run asked to end, then made to.
    pub(crate) async fn shut_down(self: &Arc<Self>) {
        {
            let mut core = self.core();
            core.shutting_down = true;
            core.watchers.shutdown();
        }
        reach(Point::ShutdownBegun);
        let stop = Command::ShutDown { keep_queued: self.stays };
        if let Err(refusal) = self.command(&stop) {
            tracing::error!("the runs could not be told to stop: {refusal}");
        }
        reach(Point::ShutdownTold);
        if tokio::time::timeout(SHUTDOWN_GRACE, self.idle()).await.is_ok() {
            reach(Point::ShutdownIdle);
            return;
        }
        for tasks in self.core().tasks.values() {
            tasks.cancel.cancel_now();
        }
        if tokio::time::timeout(SHUTDOWN_LIMIT, self.idle()).await.is_err() {
            tracing::error!("some runs did not end; their processes are killed with the gateway");
        }
    }
}

impl Core {
    /// Whether nothing is going on. What a broken journal did not take never began, and what
    /// waits begins no more once the gateway is about to end.
    fn is_idle(&self) -> bool {
        let nothing_begins = self.journal_error.is_some() || self.shutting_down;
        self.state.is_empty() || (nothing_begins && self.tasks.is_empty())
    }

    fn release(&mut self, run: &RunId) {
        self.callers.remove(run);
        self.attached.remove(run);
        self.yielders.remove(run);
        self.keepers.retain(|_, of_run| of_run != run);
        for helper in self.tasks.remove(run).into_iter().flat_map(|tasks| tasks.helpers) {
            helper.abort();
        }
    }
}

/// The directories a spawn names, made absolute and resolved.
#[derive(Clone, Debug)]
pub(crate) struct Directories {
    pub(crate) cwd: Option<PathBuf>,
    pub(crate) caller_cwd: PathBuf,
}

fn ticket_required() -> Refusal {
    Refusal::forbidden(
        "TICKET_REQUIRED",
        "ticket door",
        "a process inside a run has to show the run's ticket",
        Remedy::Advice(
            "keep the descriptor HATCHERY_TICKET_FD names open for the command".to_owned(),
        ),
    )
}

pub(crate) fn unavailable(code: &'static str, cause: impl std::fmt::Display) -> Refusal {
    let remedy = Remedy::Command("hatchery gateway status".to_owned());
    Refusal::forbidden(code, "life of the gateway", cause.to_string(), remedy)
        .in_class(ErrorCode::Unavailable)
}
