//! What a round did, for whoever reads of its failure, and what all rounds did together.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use hatchery_failpoints::Point;

/// The steps of a round, in words.
#[derive(Debug, Default)]
pub(crate) struct Story(Mutex<Vec<String>>);

impl Story {
    pub(crate) fn tell(&self, step: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(step);
    }

    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).join("\n  ")
    }
}

/// The sum of all rounds.
#[derive(Debug, Default)]
pub(crate) struct Sum {
    /// How many gateways died at each point.
    pub(crate) died_at: BTreeMap<Point, u32>,
    /// How many died at a moment without a name.
    pub(crate) killed: u32,
    /// How many runs had a session of their own.
    pub(crate) runs: usize,
    /// How many of them ended well.
    pub(crate) ok: usize,
    /// How many messages were said in conversations.
    pub(crate) messages: usize,
    /// How many side effects there were.
    pub(crate) effects: usize,
    /// How many results were told where their routes lead, or refused there.
    pub(crate) told: usize,
    /// How many innocent processes got the number of a dead keeper.
    pub(crate) recycled: usize,
}
