//! Mistakes a gateway could make, put in on purpose to see that they are found.

use hatchery_spawn::{Event, Phase, State};

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Receipts are given and effects begun when something is decided, not when it is durable.
    AnnounceBeforeCommit,
    /// Now and then a run that ends does not give its slot back.
    SlotNotGivenBack,
    /// The model is asked first, and what that may take is set aside afterwards.
    BudgetCheckedLate,
    /// Whoever comes back from a crash begins from the start instead of going on.
    BeginsAgain,
}

/// Folds an event in, with the mistake that concerns the fold.
pub(crate) fn fold(state: &mut State, event: &Event, at_ms: u64, bug: Option<Bug>) {
    let leaks = bug == Some(Bug::SlotNotGivenBack) && gives_a_slot_back(state, event);
    state.apply(event, at_ms);
    if leaks {
        leak(state);
    }
}

/// Whether with this event a slot falls free.
pub(crate) fn gives_a_slot_back(state: &State, event: &Event) -> bool {
    let Event::RunFinished { run, .. } = event else { return false };
    state.get(run).is_some_and(|live| live.phase != Phase::Queued && !live.run.is_turn())
}

/// One slot fewer.
pub(crate) fn leak(state: &mut State) {
    let mut text = serde_json::to_value(&*state).unwrap();
    let at_work = text["at_work"].as_u64().unwrap();
    text["at_work"] = (at_work + 1).into();
    *state = serde_json::from_value(text).unwrap();
}
