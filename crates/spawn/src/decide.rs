//! What happens next: one command against the state of all runs.

use std::path::PathBuf;

use hatchery_access::Caller;
use hatchery_protocol::{AgentId, RunId, RuntimeKind, SessionId, SessionKey, SessionKind, Task};

use crate::admission::{admit, admit_turn};
use crate::{
    Asked, Ending, Event, LiveRun, Outcome, Phase, Policy, ProcessMark, SpawnRefusal, State,
    StopReason,
};

/// Something that is asked for or was found out.
#[derive(Clone, Debug)]
pub enum Command {
    /// A caller asks for a run.
    Spawn(Box<SpawnRequest>),
    /// A caller says something in a conversation, which a turn is to answer.
    Turn(Box<TurnRequest>),
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
    /// A caller wants a conversation to be still: the turn at work is stopped, with everything
    /// below it, and what waits behind it is not begun.
    Hush {
        /// Who wants it.
        caller: Caller,
        /// The conversation.
        session: SessionId,
        /// Only this turn, where one is named.
        only: Option<RunId>,
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
    /// The conversation it is asked for in, and with which message.
    pub asked: Option<(SessionId, Asked)>,
}

/// A message that a turn is to answer.
#[derive(Clone, Debug)]
pub struct TurnRequest {
    /// Who says it.
    pub caller: Caller,
    /// The name the turn's run will have.
    pub run: RunId,
    /// The conversation, which is open already.
    pub session: SessionId,
    /// Its key.
    pub session_key: SessionKey,
    /// What it is for.
    pub kind: SessionKind,
    /// The client's own name for the message.
    pub key: String,
    /// The message.
    pub task: Task,
    /// Who answers.
    pub agent: AgentId,
    /// With which model, where the message or the session names one.
    pub model: Option<String>,
    /// The directory for an agent without a workspace of its own.
    pub caller_cwd: PathBuf,
    /// The time limit in milliseconds, where one was named; 0 is for ever.
    pub timeout_ms: Option<u64>,
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
        Command::Turn(request) => turn(state, policy, request, now_ms),
        Command::Hush { caller, session, only } => {
            hush(state, caller, session, only.as_ref(), now_ms)
        }
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
            let home = |live| inbox(live, |_| false);
            let all = state.runs();
            Ok(all
                .flat_map(|live| stop(live, &home(live), &StopReason::Shutdown, now_ms))
                .collect())
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
    let lends = run.parent().is_some_and(|parent| {
        let has_slot = state.get(parent).is_some_and(|above| !above.run.is_turn());
        has_slot && state.children_of(parent) == 0
    });
    let taken = state.slots_taken().saturating_sub(u32::from(lends));
    let waiting = state.queue().iter().chain(std::iter::once(&run.id));
    let starting = give_slots(policy, taken, waiting);
    let accepted = Event::RunAccepted { run: Box::new(run) };
    Ok(std::iter::once(accepted).chain(starting).collect())
}

/// A turn begins at once, or follows those that were there before it.
fn turn(
    state: &State,
    policy: &Policy,
    request: &TurnRequest,
    now_ms: u64,
) -> Result<Vec<Event>, SpawnRefusal> {
    if request.shutting_down {
        return Err(SpawnRefusal::ShuttingDown);
    }
    let run = admit_turn(state, policy, request, now_ms)?;
    let is_first = state.turns_of(&run.session).next().is_none();
    let starting = is_first.then(|| Event::RunStarting { run: run.id.clone() });
    let accepted = Event::RunAccepted { run: Box::new(run) };
    Ok(std::iter::once(accepted).chain(starting).collect())
}

/// Stops turns of a conversation; which of them were live is in the events.
fn hush(
    state: &State,
    caller: &Caller,
    session: &SessionId,
    only: Option<&RunId>,
    now_ms: u64,
) -> Result<Vec<Event>, SpawnRefusal> {
    if caller.grant().is_some() {
        return Err(SpawnRefusal::NotBelow(session.clone()));
    }
    let meant = |live: &&LiveRun| only.is_none_or(|run| live.run.id == *run);
    Ok(state
        .turns_of(session)
        .filter(meant)
        .flat_map(|live| stop_tree(state, &live.run.id, &StopReason::Cancelled, now_ms))
        .collect())
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
    let mut events = finish(live, &inbox(live, still_there), outcome);
    if live.run.is_turn() {
        let next = state.turns_of(&live.run.session).find(|turn| turn.run.id != live.run.id);
        let next = next.filter(|turn| turn.phase == Phase::Queued);
        events.extend(next.map(|turn| Event::RunStarting { run: turn.run.id.clone() }));
        return events;
    }
    let gives_back = state.children_of(&live.run.id) == 0;
    let takes_back = live.run.parent().is_some_and(|parent| {
        let has_slot = |above: &LiveRun| above.phase != Phase::Queued && !above.run.is_turn();
        state.children_of(parent) == 1 && state.get(parent).is_some_and(has_slot)
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
            stop(live, &inbox(live, outside), reason, now_ms)
        })
        .collect()
}

/// Stops one run: a waiting one is over at once, a working one when its runtime says so.
fn stop(live: &LiveRun, to: &Inbox, reason: &StopReason, now_ms: u64) -> Vec<Event> {
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
    finish(live, &inbox(live, |_| false), outcome)
}

/// A run's end and its announce: always together. A turn's answer stands in its own session
/// already, so it is announced nowhere.
fn finish(live: &LiveRun, to: &Inbox, outcome: Outcome) -> Vec<Event> {
    let run = live.run.id.clone();
    let finished = Event::RunFinished { run: run.clone(), outcome };
    if live.run.is_turn() {
        return vec![finished];
    }
    let announced =
        Event::RunAnnounced { run, to: to.session.clone(), in_conversation: to.is_conversation };
    vec![finished, announced]
}

/// Where a result goes.
struct Inbox {
    session: SessionId,
    is_conversation: bool,
}

/// Who gets the result of a run: the nearest run above that lives on, or the conversation the
/// tree belongs to, or the owner's session.
fn inbox(live: &LiveRun, lives_on: impl Fn(&RunId) -> bool) -> Inbox {
    let above = live.run.lineage.iter().find(|above| above.turn || lives_on(&above.run));
    match (above, &live.run.conversation) {
        (Some(above), _) => Inbox { session: above.session.clone(), is_conversation: above.turn },
        (None, Some(session)) => Inbox { session: session.clone(), is_conversation: true },
        (None, None) => Inbox { session: SessionId::main(), is_conversation: false },
    }
}
