//! What happens next: one command against the state of all runs.

use std::path::PathBuf;

use hatchery_access::Caller;
use hatchery_protocol::{AgentId, RunId, RuntimeKind, SessionId, Task};

use crate::admission::admit;
use crate::{
    Ending, Event, LiveRun, Outcome, Phase, Policy, ProcessMark, SpawnRefusal, State, StopReason,
};

/// Something that is asked for or was found out.
#[derive(Clone, Debug)]
pub enum Command {
    /// A caller asks for a run.
    Spawn(Box<SpawnRequest>),
    /// A runtime says that a run is at work.
    Started {
        /// The run.
        run: RunId,
        /// Its process, where it has one.
        process: Option<ProcessMark>,
    },
    /// A runtime says that a run is over and its processes are gone.
    Ended {
        /// The run.
        run: RunId,
        /// How.
        ending: Ending,
    },
    /// A caller wants a session's run stopped, with everything below it.
    Kill {
        /// Who wants it.
        caller: Caller,
        /// The session.
        session: SessionId,
    },
    /// A run's time is up.
    DeadlinePassed {
        /// The run.
        run: RunId,
    },
    /// The gateway is about to end; everything is stopped and nothing new begins.
    ShutDown,
    /// The gateway has started again after its last life ended without a word, and every run
    /// that was live then is over. What each had said until then comes with it.
    Recover {
        /// The last words of each run.
        said: Vec<LastWords>,
    },
}

/// What is known of a run that ended with the gateway.
#[derive(Clone, Debug)]
pub struct LastWords {
    /// The run.
    pub run: RunId,
    /// The last of what it said.
    pub tail: String,
    /// How many bytes it had said altogether.
    pub output_bytes: u64,
}

/// What a caller asks for. Lineage and depth are not in it: they follow from the caller.
#[derive(Clone, Debug)]
pub struct SpawnRequest {
    /// Who asks.
    pub caller: Caller,
    /// The name the run will have.
    pub run: RunId,
    /// The name its session will have.
    pub session: SessionId,
    /// The task.
    pub task: Task,
    /// The agent, where one was named.
    pub agent: Option<AgentId>,
    /// The runtime.
    pub runtime: RuntimeKind,
    /// The model, where one was named.
    pub model: Option<String>,
    /// The directory, where one was named; absolute and resolved.
    pub cwd: Option<PathBuf>,
    /// Where the caller itself stands, for an agent without a workspace of its own.
    pub caller_cwd: PathBuf,
    /// The time limit in milliseconds, where one was named; 0 is for ever.
    pub timeout_ms: Option<u64>,
    /// A name for people.
    pub label: Option<String>,
    /// Whether the gateway is about to end.
    pub shutting_down: bool,
}

/// Says what a command brings about. The events are to be applied and committed together.
///
/// # Errors
/// [`SpawnRefusal`] when a rule stands against it; then nothing happens.
pub fn decide(
    state: &State,
    policy: &Policy,
    command: &Command,
    now_ms: u64,
) -> Result<Vec<Event>, SpawnRefusal> {
    match command {
        Command::Spawn(request) => spawn(state, policy, request, now_ms),
        Command::Started { run, process } => Ok(state
            .get(run)
            .filter(|live| live.phase == Phase::Starting)
            .map(|_| Event::RunRunning { run: run.clone(), process: process.clone() })
            .into_iter()
            .collect()),
        Command::Ended { run, ending } => Ok(state
            .get(run)
            .map(|live| ended(state, policy, live, ending, now_ms))
            .unwrap_or_default()),
        Command::Kill { caller, session } => {
            let root = killable(state, caller, session)?;
            Ok(stop_tree(state, root, &StopReason::Cancelled, now_ms))
        }
        Command::DeadlinePassed { run } => Ok(stop_tree(state, run, &StopReason::TimedOut, now_ms)),
        Command::ShutDown => {
            let main = SessionId::main();
            let all = state.runs();
            Ok(all.flat_map(|live| stop(live, &main, &StopReason::Shutdown, now_ms)).collect())
        }
        Command::Recover { said } => Ok(said
            .iter()
            .filter_map(|last| Some((state.get(&last.run)?, last)))
            .flat_map(|(live, last)| interrupted(live, last, now_ms))
            .collect()),
    }
}

fn spawn(
    state: &State,
    policy: &Policy,
    request: &SpawnRequest,
    now_ms: u64,
) -> Result<Vec<Event>, SpawnRefusal> {
    if request.shutting_down {
        return Err(SpawnRefusal::ShuttingDown);
    }
    let run = admit(state, policy, request, now_ms)?;
    // A parent lends its slot with its first child.
    let lends = run.parent().is_some_and(|parent| state.children_of(parent) == 0);
    let taken = state.slots_taken().saturating_sub(u32::from(lends));
    let waiting = state.queue().iter().chain(std::iter::once(&run.id));
    let starting = give_slots(policy, taken, waiting);
    let accepted = Event::RunAccepted { run: Box::new(run) };
    Ok(std::iter::once(accepted).chain(starting).collect())
}

/// The slots that are not taken go to those that wait longest.
fn give_slots<'a>(
    policy: &Policy,
    taken: u32,
    waiting: impl Iterator<Item = &'a RunId>,
) -> Vec<Event> {
    let free = usize::try_from(policy.max_concurrent.saturating_sub(taken)).unwrap_or(usize::MAX);
    waiting.take(free).map(|run| Event::RunStarting { run: run.clone() }).collect()
}

/// A run may stop what stands below it, and nothing else; the owner may stop everything.
fn killable<'a>(
    state: &'a State,
    caller: &Caller,
    session: &SessionId,
) -> Result<&'a RunId, SpawnRefusal> {
    let target =
        state.in_session(session).ok_or_else(|| SpawnRefusal::NotRunning(session.clone()))?;
    let below = |run: &RunId| target.run.is_in_tree_of(run) && target.run.id != *run;
    match caller.grant() {
        Some(grant) if !below(grant.run()) => Err(SpawnRefusal::NotBelow(session.clone())),
        _ => Ok(&target.run.id),
    }
}

fn ended(
    state: &State,
    policy: &Policy,
    live: &LiveRun,
    ending: &Ending,
    now_ms: u64,
) -> Vec<Event> {
    let outcome = ending.clone().outcome(live.stopping.as_ref(), now_ms);
    let still_there = |run: &RunId| state.get(run).is_some_and(|above| above.stopping.is_none());
    let mut events = finish(live, &survivor(live, still_there), outcome);
    let gives_back = state.children_of(&live.run.id) == 0;
    let takes_back = live.run.parent().is_some_and(|parent| {
        state.children_of(parent) == 1
            && state.get(parent).is_some_and(|above| above.phase != Phase::Queued)
    });
    let taken = (state.slots_taken() + u32::from(takes_back)).saturating_sub(u32::from(gives_back));
    events.extend(give_slots(policy, taken, state.queue().iter()));
    events
}

/// Stops a run and everything below it, the lowest first.
fn stop_tree(state: &State, root: &RunId, reason: &StopReason, now_ms: u64) -> Vec<Event> {
    let mut tree: Vec<&LiveRun> =
        state.runs().filter(|live| live.run.is_in_tree_of(root)).collect();
    tree.sort_by_key(|live| std::cmp::Reverse(live.run.depth()));
    let outside = |run: &RunId| state.get(run).is_some_and(|above| !above.run.is_in_tree_of(root));
    tree.into_iter()
        .flat_map(|live| {
            let reason = if live.run.id == *root { reason } else { &StopReason::Cancelled };
            stop(live, &survivor(live, outside), reason, now_ms)
        })
        .collect()
}

/// Stops one run: a waiting one is over at once, a working one when its runtime says so.
fn stop(live: &LiveRun, to: &SessionId, reason: &StopReason, now_ms: u64) -> Vec<Event> {
    match live.phase {
        Phase::Queued => finish(live, to, Ending::default().outcome(Some(reason), now_ms)),
        Phase::Starting | Phase::Running if live.stopping.is_none() => {
            vec![Event::RunStopping { run: live.run.id.clone(), reason: reason.clone() }]
        }
        Phase::Starting | Phase::Running => Vec::new(),
    }
}

fn interrupted(live: &LiveRun, last: &LastWords, now_ms: u64) -> Vec<Event> {
    let ending =
        Ending { tail: last.tail.clone(), output_bytes: last.output_bytes, ..Ending::default() };
    let mut outcome = ending.outcome(Some(&StopReason::Shutdown), now_ms);
    outcome.error = Some("the gateway ended while it ran".to_owned());
    finish(live, &SessionId::main(), outcome)
}

/// A run's end and its announce: always together.
fn finish(live: &LiveRun, to: &SessionId, outcome: Outcome) -> Vec<Event> {
    let run = live.run.id.clone();
    vec![
        Event::RunFinished { run: run.clone(), outcome },
        Event::RunAnnounced { run, to: to.clone() },
    ]
}

/// Who gets the result of a run: the nearest run above that lives on, or the owner's session.
fn survivor(live: &LiveRun, lives_on: impl Fn(&RunId) -> bool) -> SessionId {
    let above = live.run.lineage.iter().find(|above| lives_on(&above.run));
    above.map_or_else(SessionId::main, |above| above.session.clone())
}
