//! Runs that wait: for results of what they started, or for somebody's permission.

use hatchery_protocol::RunId;

use crate::{Event, LiveRun, Phase, SpawnRefusal, State, Wait};

/// A run waits for results. What is there already is given at once if it is enough.
pub(crate) fn yield_to_children(
    state: &State,
    run: &RunId,
    wanted: Option<u32>,
) -> Result<Vec<Event>, SpawnRefusal> {
    let live = state
        .get(run)
        .filter(|live| live.stopping.is_none() && live.phase != Phase::Queued)
        .ok_or_else(|| SpawnRefusal::CallerEnding(run.clone()))?;
    if live.waiting.is_some() {
        return Err(SpawnRefusal::WaitsAlready(run.clone()));
    }
    let below = state.live_below(run);
    if below == 0 && live.unseen.is_empty() {
        return Err(SpawnRefusal::NothingToWaitFor);
    }
    let enough = wanted.is_some_and(|wanted| live.unseen.len() as u64 >= u64::from(wanted));
    Ok(vec![if enough || below == 0 {
        Event::RunResumed { run: run.clone(), results: live.unseen.clone() }
    } else {
        Event::RunWaiting { run: run.clone(), on: Wait::Children { wanted } }
    }])
}

/// A run takes what has come and goes on.
pub(crate) fn stop_waiting(state: &State, run: &RunId) -> Vec<Event> {
    let waits = |live: &&LiveRun| matches!(live.waiting, Some(Wait::Children { .. }));
    let live = state.get(run).filter(waits);
    live.map(|live| Event::RunResumed { run: run.clone(), results: live.unseen.clone() })
        .into_iter()
        .collect()
}

/// A run waits for somebody's permission.
pub(crate) fn await_approval(state: &State, run: &RunId) -> Vec<Event> {
    let may_wait = |live: &&LiveRun| {
        live.phase == Phase::Running && live.waiting.is_none() && live.stopping.is_none()
    };
    let live = state.get(run).filter(may_wait);
    live.map(|_| Event::RunWaiting { run: run.clone(), on: Wait::Approval }).into_iter().collect()
}

/// It was decided about.
pub(crate) fn approval_decided(state: &State, run: &RunId) -> Vec<Event> {
    let live = state.get(run).filter(|live| live.waiting == Some(Wait::Approval));
    live.map(|_| Event::RunResumed { run: run.clone(), results: Vec::new() }).into_iter().collect()
}
