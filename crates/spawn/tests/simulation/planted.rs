//! The simulator is worth something only if it finds mistakes: these are put in on purpose.

use crate::bug::Bug;
use crate::invariant::Invariant;
use crate::trace::Trace;
use crate::{first_broken, look_at, tell};

/// In how many worlds a mistake has to show.
const ENOUGH: u64 = 500;

fn is_found(bug: Bug, as_one_of: &[Invariant]) {
    let Some((seed, invariant)) = first_broken(0..ENOUGH, Some(bug)) else {
        panic!("{bug:?} was not found in {ENOUGH} worlds");
    };
    println!("{bug:?} shows in world {seed} as {invariant:?}");
    assert!(as_one_of.contains(&invariant), "{}", tell(seed, Some(bug)));
    assert!(look_at(seed, None, Trace::off()).1.is_ok(), "without it everything holds");
}

#[test]
fn whoever_announces_before_the_commit_is_found() {
    is_found(Bug::AnnounceBeforeCommit, &[Invariant::EffectAfterCommit, Invariant::ReceiptKept]);
}

#[test]
fn a_slot_that_is_not_given_back_is_found() {
    is_found(Bug::SlotNotGivenBack, &[Invariant::Slots, Invariant::NoIdleSlot]);
}

#[test]
fn a_budget_that_is_checked_late_is_found() {
    is_found(Bug::BudgetCheckedLate, &[Invariant::Budget]);
}

#[test]
fn whoever_begins_again_instead_of_going_on_is_found() {
    is_found(Bug::BeginsAgain, &[Invariant::BegunOnce]);
}
