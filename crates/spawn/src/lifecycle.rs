//! How runs end and are stopped.

use hatchery_access::Caller;
use hatchery_protocol::{RunId, SessionId};

use crate::announce::{finish, inbox};
use crate::{Clock, Ending, Event, LiveRun, Outcome, Phase, SpawnRefusal, State, StopReason, Wait};

/// A runtime says that a run is over.
pub(crate) fn ended(
    state: &State,
    live: &LiveRun,
    ending: &Ending,
    heard: bool,
    now_ms: u64,
) -> Vec<Event> {
    let outcome = ending.clone().outcome(live.stopping.as_ref(), now_ms);
    let still_there = |run: &RunId| state.get(run).is_some_and(|above| above.stopping.is_none());
    // Where the result goes past the one above, it is news to whoever gets it.
    let heard = heard && live.run.parent().is_some_and(still_there);
    finish(live, &inbox(live, still_there), outcome, heard, now_ms)
}

/// Stops turns of a conversation; which of them were live is in the events.
pub(crate) fn hush(
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

/// A run may stop what stands below it, and nothing else; the owner may stop everything.
pub(crate) fn killable<'a>(
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

/// A clock has run out. One that runs out late, when what it measured is over, means nothing.
pub(crate) fn deadline_passed(state: &State, run: &RunId, clock: Clock, now_ms: u64) -> Vec<Event> {
    let live = state.get(run);
    let phase = live.map(|live| live.phase);
    let counts = match clock {
        Clock::Queue => phase == Some(Phase::Queued),
        Clock::Start => phase == Some(Phase::Starting),
        // Whoever waits for others is not idle: they have clocks of their own.
        Clock::Idle => {
            live.is_some_and(|live| live.phase == Phase::Running && live.waiting.is_none())
        }
        Clock::Wall => matches!(phase, Some(Phase::Starting | Phase::Running)),
        Clock::Tree => state.account(run).is_some(),
    };
    if counts { stop_tree(state, run, &clock.reason(), now_ms) } else { Vec::new() }
}

/// Stops a run and everything below it, the lowest first. The run itself may be over already.
pub(crate) fn stop_tree(
    state: &State,
    root: &RunId,
    reason: &StopReason,
    now_ms: u64,
) -> Vec<Event> {
    let mut tree: Vec<&LiveRun> =
        state.runs().filter(|live| live.run.is_in_tree_of(root)).collect();
    tree.sort_by_key(|live| std::cmp::Reverse(live.run.depth()));
    let outside = |run: &RunId| state.get(run).is_some_and(|above| !above.run.is_in_tree_of(root));
    let of_the_tree = matches!(reason, StopReason::TreeTimeout | StopReason::OverBudget);
    tree.into_iter()
        .flat_map(|live| {
            let named = live.run.id == *root || of_the_tree;
            let reason = if named { reason } else { &StopReason::Cancelled };
            stop(live, outside, reason, now_ms)
        })
        .collect()
}

/// The gateway is ending.
pub(crate) fn shut_down(state: &State, keep_queued: bool, now_ms: u64) -> Vec<Event> {
    let kept = |live: &LiveRun| keep_queued && live.phase == Phase::Queued;
    let stopping = state.runs().filter(|live| !kept(live));
    stopping.flat_map(|live| stop(live, |_| false, &StopReason::Shutdown, now_ms)).collect()
}

/// Stops one run: a waiting one is over at once, a working one when its runtime says so.
fn stop(
    live: &LiveRun,
    lives_on: impl Fn(&RunId) -> bool,
    reason: &StopReason,
    now_ms: u64,
) -> Vec<Event> {
    match live.phase {
        Phase::Queued => {
            let outcome: Outcome = Ending::default().outcome(Some(reason), now_ms);
            finish(live, &inbox(live, lives_on), outcome, false, now_ms)
        }
        Phase::Starting | Phase::Running if live.stopping.is_none() => {
            let mut events = Vec::new();
            if let Some(Wait::Children { .. }) = live.waiting {
                // Whoever holds the other end of the wait must not wait for ever.
                events.push(Event::RunResumed { run: live.run.id.clone(), results: Vec::new() });
            }
            events.push(Event::RunStopping { run: live.run.id.clone(), reason: reason.clone() });
            events
        }
        Phase::Starting | Phase::Running => Vec::new(),
    }
}
