//! Paying for model calls: set aside before, settled after.

use hatchery_protocol::RunId;

use crate::lifecycle::stop_tree;
use crate::{Event, LiveRun, SpawnRefusal, Spend, State, StopReason};

/// Sets aside what a call may take, in every budget it counts against. A call that is not begun
/// costs nothing, so no budget is overdrawn by more than the calls under way take beyond what
/// was set aside for them.
pub(crate) fn reserve(
    state: &State,
    run: &RunId,
    call: u32,
    spend: Spend,
) -> Result<Vec<Event>, SpawnRefusal> {
    let live = state
        .get(run)
        .filter(|live| live.stopping.is_none())
        .ok_or_else(|| SpawnRefusal::CallerEnding(run.clone()))?;
    for above in live.run.path() {
        let Some(account) = state.account(above) else { continue };
        if let Some(part) = account.lacks(spend) {
            return Err(SpawnRefusal::OverBudget { of: above.clone(), part });
        }
    }
    // A number that is used again says that the agent gave the call up, not that it was free.
    let given_up = live.calls.get(&call).map(|spend| settled_in_full(run, call, *spend));
    Ok(given_up
        .into_iter()
        .chain([Event::BudgetReserved { run: run.clone(), call, spend }])
        .collect())
}

/// Pays for the calls under way whose end nobody will tell of. Nobody knows what they took, so
/// all that was set aside counts.
pub(crate) fn settle_all(live: &LiveRun) -> impl Iterator<Item = Event> {
    live.calls.iter().map(|(call, spend)| settled_in_full(&live.run.id, *call, *spend))
}

fn settled_in_full(run: &RunId, call: u32, spend: Spend) -> Event {
    Event::BudgetSettled { run: run.clone(), call: Some(call), spend }
}

/// A call is over, or an agent says what it has used. An agent that asks its models itself can
/// only be stopped once a budget is used up.
pub(crate) fn settle(
    state: &State,
    run: &RunId,
    call: Option<u32>,
    spend: Spend,
    now_ms: u64,
) -> Vec<Event> {
    let Some(live) = state.get(run) else { return Vec::new() };
    let mut events = vec![Event::BudgetSettled { run: run.clone(), call, spend }];
    // Where something was set aside, what comes next is refused before it begins.
    if call.is_none() {
        let used_up = live.run.path().filter(|above| {
            let account = state.account(above).copied().unwrap_or_default();
            let spent = account.spent.plus(spend);
            crate::Account { spent, ..account }.is_used_up()
        });
        if let Some(top) = used_up.last() {
            events.extend(stop_tree(state, top, &StopReason::OverBudget, now_ms));
        }
    }
    events
}
