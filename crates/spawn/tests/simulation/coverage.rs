//! What has happened in the worlds: a simulation in which something never happens says nothing
//! about it.

use std::collections::BTreeSet;

use hatchery_spawn::{Event, SpawnRefusal};

use crate::look_at;
use crate::trace::Trace;

/// How many worlds have to be enough for everything to happen.
const WORLDS: u64 = 600;

/// What happened in a world, by name.
#[derive(Default)]
pub(crate) struct Happened(pub(crate) BTreeSet<String>);

impl Happened {
    pub(crate) fn note(&mut self, what: &str) {
        if !self.0.contains(what) {
            self.0.insert(what.to_owned());
        }
    }

    pub(crate) fn event(&mut self, event: &Event) {
        self.note(event.kind());
        match event {
            Event::RunStopping { reason, .. } => self.note(reason.sentence()),
            Event::RunFinished { outcome, .. } => {
                if let Some(error) = &outcome.error {
                    self.note(error);
                }
            }
            Event::RunAnnounced { heard: true, .. } => self.note("heard"),
            Event::RunAnnounced { in_conversation: true, .. } => self.note("in a conversation"),
            Event::RunResumed { results, .. } if !results.is_empty() => self.note("results taken"),
            _ => {}
        }
    }

    pub(crate) fn refusal(&mut self, refusal: &SpawnRefusal) {
        self.note(refusal.code());
    }
}

#[test]
fn everything_that_can_happen_happens() {
    let mut happened = BTreeSet::new();
    for seed in 0..WORLDS {
        happened.append(&mut look_at(seed, None, Trace::off()).0.happened.0);
    }
    let expected = [
        "run_accepted",
        "run_starting",
        "run_running",
        "run_resumable",
        "run_waiting",
        "run_resumed",
        "run_restarting",
        "budget_reserved",
        "budget_settled",
        "run_stopping",
        "run_finished",
        "run_announced",
        "announce_moved",
        "notice_due",
        "notice_delivered",
        "notice_blocked",
        "notice_dismissed",
        "heard",
        "in a conversation",
        "results taken",
        "it was cancelled",
        "its time was up",
        "no slot fell free within its queueTimeoutSeconds",
        "it did not get to work within its startTimeoutSeconds",
        "it gave no sign of life for its idleTimeoutSeconds",
        "the time of its whole tree was up",
        "the budget of its tree is used up",
        "the gateway was shut down",
        "the gateway ended while it ran",
        "the gateway ended before it began",
        "it ended without an answer",
        "crash",
        "crash in a recovery",
        "crash with something on its way to the disk",
        "gone in order",
        "told twice",
        "it took more than was set aside",
        "a call was given up",
        "a late clock",
        "a wait was abandoned",
        "a device was revoked",
        "QUEUE_FULL",
        "SESSION_LIMIT",
        "DEPTH_LIMIT",
        "CHILD_LIMIT",
        "OVER_BUDGET",
        "NOTHING_TO_WAIT_FOR",
        "WOULD_LEAVE_ISOLATION",
        "MODEL_OF_THE_OWNER",
        "CALLER_ENDING",
        "NOT_BELOW",
        "SHUTTING_DOWN",
    ];
    let never: Vec<_> = expected.iter().filter(|what| !happened.contains(**what)).collect();
    assert!(never.is_empty(), "{never:?} did not happen");
}
