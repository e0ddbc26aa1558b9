//! What happens next: one command against the state of all runs.

use std::collections::BTreeSet;
use std::sync::Arc;

use hatchery_protocol::{RunId, SessionId};

use crate::admission::{admit, admit_turn};
use crate::queue::Readiness;
use crate::{
    Command, Event, Phase, Policy, Run, SpawnRefusal, SpawnRequest, State, StopReason, TurnRequest,
    Wait, announce, lifecycle, recovery, spending, waiting,
};

/// What one command brought about.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What happened, to be committed together.
    pub events: Vec<Event>,
    /// The runs that are over with it, which the state has forgotten.
    pub ended: Vec<Arc<Run>>,
}

/// Decides a command, folds what happens into the state, and gives free slots to those who wait.
/// Everything the gateway knows of runs changes here and in [`State::apply`] alone.
///
/// # Errors
/// [`SpawnRefusal`] when a rule stands against it; then nothing happens.
pub fn step(
    state: &mut State,
    policy: &Policy,
    command: &Command,
    now_ms: u64,
) -> Result<Step, SpawnRefusal> {
    let mut step = Step { events: decide(state, policy, command, now_ms)?, ended: Vec::new() };
    for event in &step.events {
        if let Event::RunFinished { run, .. } = event {
            step.ended.extend(state.get(run).map(|live| Arc::clone(&live.run)));
        }
        state.apply(event, now_ms);
    }
    for follow in [wake, begin_turns, fill] {
        let following = follow(state, policy, command, &step);
        for event in &following {
            state.apply(event, now_ms);
        }
        step.events.extend(following);
    }
    Ok(step)
}

/// Runs that wait for results go on where enough have come, or nobody is left who could bring
/// any.
fn wake(state: &State, _: &Policy, _: &Command, step: &Step) -> Vec<Event> {
    let above = step.ended.iter().flat_map(|run| run.path());
    let told = step.events.iter().filter_map(|event| match event {
        Event::RunAnnounced { to, .. } | Event::AnnounceMoved { to, .. } => state.in_session(to),
        _ => None,
    });
    let concerned: BTreeSet<&RunId> = above.chain(told.map(|live| &live.run.id)).collect();
    let waiting = concerned.into_iter().filter_map(|run| state.get(run));
    let enough = waiting.filter(|live| match live.waiting {
        Some(Wait::Children { wanted }) => {
            let come = live.unseen.len() as u64;
            state.live_below(&live.run.id) == 0
                || wanted.is_some_and(|wanted| come >= u64::from(wanted))
        }
        Some(Wait::Approval) | None => false,
    });
    enough
        .map(|live| Event::RunResumed { run: live.run.id.clone(), results: live.unseen.clone() })
        .collect()
}

/// The turns of a conversation follow one another.
fn begin_turns(state: &State, policy: &Policy, command: &Command, step: &Step) -> Vec<Event> {
    if policy.closing {
        return Vec::new();
    }
    if matches!(command, Command::Recover { .. }) {
        return state.conversations().filter_map(|session| state.turn_to_begin(session)).collect();
    }
    let touched = step.events.iter().filter_map(|event| match event {
        Event::RunAccepted { run } if run.is_turn() => Some(&run.session),
        _ => None,
    });
    let ended = step.ended.iter().filter(|run| run.is_turn()).map(|run| &run.session);
    let conversations: BTreeSet<&SessionId> = touched.chain(ended).collect();
    conversations.into_iter().filter_map(|session| state.turn_to_begin(session)).collect()
}

/// Gives the slots that are free to those whose turn it is.
fn fill(state: &State, policy: &Policy, _: &Command, _: &Step) -> Vec<Event> {
    let free = policy.max_concurrent.saturating_sub(state.slots_taken());
    if policy.closing || free == 0 || state.queue().is_empty() {
        return Vec::new();
    }
    let mut started: Vec<&Run> = Vec::new();
    let readiness = |run: &RunId| {
        let Some(live) = state.get(run) else { return Readiness::Waits };
        let full = live.run.path().filter(|above| {
            let Some(account) = state.account(above) else { return false };
            let Some(limit) = account.budget.concurrency else { return false };
            let beside = started.iter().filter(|other| other.is_in_tree_of(above)).count();
            u64::from(account.slots_taken()) + (beside as u64) >= u64::from(limit)
        });
        match full.last() {
            Some(top) if top == live.run.root() => Readiness::TreeWaits,
            Some(_) => Readiness::Waits,
            None => {
                started.push(&live.run);
                Readiness::Ready
            }
        }
    };
    let free = usize::try_from(free).unwrap_or(usize::MAX);
    let next = state.queue().next(free, readiness);
    next.into_iter().map(|run| Event::RunStarting { run }).collect()
}

/// Says what a command brings about. The events are to be applied and committed together.
///
/// # Errors
/// [`SpawnRefusal`] when a rule stands against it; then nothing happens.
pub(crate) fn decide(
    state: &State,
    policy: &Policy,
    command: &Command,
    now_ms: u64,
) -> Result<Vec<Event>, SpawnRefusal> {
    match command {
        Command::Spawn(request) => spawn(state, policy, request, now_ms),
        Command::Turn(request) => turn(state, policy, request, now_ms),
        Command::Hush { caller, session, only } => {
            lifecycle::hush(state, caller, session, only.as_ref(), now_ms)
        }
        Command::Started { run, process } => Ok(state
            .get(run)
            .filter(|live| live.phase == Phase::Starting)
            .map(|_| Event::RunRunning { run: run.clone(), process: process.clone() })
            .into_iter()
            .collect()),
        Command::Resumable { run, session } => Ok(state
            .get(run)
            .filter(|live| live.phase != Phase::Queued)
            .map(|_| Event::RunResumable { run: run.clone(), session: session.clone() })
            .into_iter()
            .collect()),
        Command::Ended { run, ending, heard } => Ok(state
            .get(run)
            .map(|live| lifecycle::ended(state, live, ending, *heard, now_ms))
            .unwrap_or_default()),
        Command::Kill { caller, session } => {
            let root = lifecycle::killable(state, caller, session)?;
            Ok(lifecycle::stop_tree(state, root, &StopReason::Cancelled, now_ms))
        }
        Command::DeadlinePassed { run, clock } => {
            Ok(lifecycle::deadline_passed(state, run, *clock, now_ms))
        }
        Command::Yield { run, wanted } => waiting::yield_to_children(state, run, *wanted),
        Command::StopWaiting { run } => Ok(waiting::stop_waiting(state, run)),
        Command::AbandonWait { run } => Ok(waiting::abandon_wait(state, run)),
        Command::AwaitApproval { run } => Ok(waiting::await_approval(state, run)),
        Command::ApprovalDecided { run } => Ok(waiting::approval_decided(state, run)),
        Command::Reserve { run, call, spend } => spending::reserve(state, run, *call, *spend),
        Command::Settle { run, call, spend } => {
            Ok(spending::settle(state, run, *call, *spend, now_ms))
        }
        Command::Delivered { run } => Ok(announce::delivered(state, run)),
        Command::DeliveryFailed { run, reason, for_good } => {
            Ok(announce::delivery_failed(state, run, reason, *for_good, now_ms))
        }
        Command::RetryNotice { caller, run } => announce::retry(state, caller, run, now_ms),
        Command::DismissNotice { caller, run } => announce::dismiss(state, caller, run),
        Command::ExpireNotices => Ok(announce::expire(state, now_ms)),
        Command::Archive { sessions } => Ok(sessions
            .iter()
            .filter(|session| state.in_session(session).is_none())
            .map(|session| Event::SessionArchived { session: session.clone() })
            .collect()),
        Command::ShutDown { keep_queued } => Ok(lifecycle::shut_down(state, *keep_queued, now_ms)),
        Command::Recover { said, resume, disowned } => {
            Ok(recovery::recover(state, said, *resume, disowned, now_ms))
        }
    }
}

fn spawn(
    state: &State,
    policy: &Policy,
    request: &SpawnRequest,
    now_ms: u64,
) -> Result<Vec<Event>, SpawnRefusal> {
    if policy.closing {
        return Err(SpawnRefusal::ShuttingDown);
    }
    let run = admit(state, policy, request, now_ms)?;
    Ok(vec![Event::RunAccepted { run: Box::new(run) }])
}

fn turn(
    state: &State,
    policy: &Policy,
    request: &TurnRequest,
    now_ms: u64,
) -> Result<Vec<Event>, SpawnRefusal> {
    if policy.closing {
        return Err(SpawnRefusal::ShuttingDown);
    }
    let run = admit_turn(state, policy, request, now_ms)?;
    Ok(vec![Event::RunAccepted { run: Box::new(run) }])
}
