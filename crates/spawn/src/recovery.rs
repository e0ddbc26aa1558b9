//! What becomes of runs that were live when the last life of the gateway ended.
//!
//! What had not begun waits on. What had begun goes on once where its runtime can tell the agent
//! to continue, so that nothing is done twice; else it is over, with what it had said.

use std::collections::{BTreeMap, BTreeSet};

use hatchery_access::CallerRecord;
use hatchery_protocol::{RunId, RuntimeKind};

use crate::announce::{finish, inbox};
use crate::command::LastWords;
use crate::model_choice::SHELL_MODEL;
use crate::spending::settle_all;
use crate::{Ending, Event, LiveRun, Phase, State, StopReason};

/// How long ago a run may have been accepted to begin after a restart, in milliseconds: a day.
/// What is older is not what anybody waits for.
pub const MAX_QUEUED_AGE_MS: u64 = 24 * 60 * 60 * 1_000;

/// How often a run is resumed.
pub const MAX_RESTARTS: u32 = 1;

/// What becomes of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It waits on.
    Waits,
    /// It goes on.
    GoesOn,
    /// It is over.
    Over,
}

pub(crate) fn recover(
    state: &State,
    said: &BTreeMap<RunId, LastWords>,
    resume: bool,
    disowned: &BTreeSet<RunId>,
    now_ms: u64,
) -> Vec<Event> {
    let fate = |live: &LiveRun| {
        let may_go_on = resume
            && is_vouched_for(state, live)
            && !live.run.path().any(|above| disowned.contains(above));
        if may_go_on { fate(live, now_ms) } else { Fate::Over }
    };
    let over: BTreeSet<&RunId> =
        state.runs().filter(|live| fate(live) == Fate::Over).map(|live| &live.run.id).collect();
    let lives_on = |run: &RunId| state.get(run).is_some() && !over.contains(run);
    let mut ending: Vec<&LiveRun> =
        state.runs().filter(|live| over.contains(&live.run.id)).collect();
    // The lowest first, so that a result never moves to somebody who ends after it.
    ending.sort_by_key(|live| std::cmp::Reverse(live.run.depth()));
    let mut events = Vec::new();
    for live in state.runs().filter(|live| fate(live) == Fate::GoesOn) {
        let run = live.run.id.clone();
        events.extend(settle_all(live));
        events.push(Event::RunRestarting { run });
    }
    for live in ending {
        let last = said.get(&live.run.id).cloned().unwrap_or_default();
        let ending =
            Ending { tail: last.tail, output_bytes: last.output_bytes, ..Ending::default() };
        let reason = live.stopping.as_ref().unwrap_or(&StopReason::Shutdown);
        let mut outcome = ending.outcome(Some(reason), now_ms);
        if live.stopping.is_none() {
            outcome.error = Some(
                match live.phase {
                    Phase::Queued => "the gateway ended before it began",
                    Phase::Starting | Phase::Running => "the gateway ended while it ran",
                }
                .to_owned(),
            );
        }
        events.extend(finish(live, &inbox(live, lives_on), outcome, false, now_ms));
    }
    events
}

/// Whether somebody can still be asked for the authority a run was started with: the owner, a device
/// itself, or a live run of a device's tree.
fn is_vouched_for(state: &State, live: &LiveRun) -> bool {
    match &live.run.starter {
        Some(starter @ CallerRecord::Run(_)) => {
            starter.is_of_the_owner()
                || live.run.parent().is_some_and(|parent| state.get(parent).is_some())
        }
        Some(CallerRecord::Owner | CallerRecord::Device { .. }) => true,
        // The journal of an older program, which did not say.
        None => false,
    }
}

fn fate(live: &LiveRun, now_ms: u64) -> Fate {
    if live.stopping.is_some() {
        return Fate::Over;
    }
    if live.phase == Phase::Queued {
        let age = now_ms.saturating_sub(live.run.accepted_at_ms);
        return if age <= MAX_QUEUED_AGE_MS { Fate::Waits } else { Fate::Over };
    }
    // A question to a model can be asked again; a command is never run twice, and an external
    // agent knows by itself what it has done.
    let asks_a_model = live.run.runtime == RuntimeKind::Local && live.run.model != SHELL_MODEL;
    let can_go_on = asks_a_model || live.resumable.is_some();
    if can_go_on && live.restarts < MAX_RESTARTS { Fate::GoesOn } else { Fate::Over }
}
