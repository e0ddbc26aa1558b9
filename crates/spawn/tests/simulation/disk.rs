//! The journal as far as it is durable: committed events, and a snapshot now and then.

use hatchery_spawn::{Event, State};

use crate::bug::{Bug, fold};
use crate::invariant::{Held, Invariant, hold_all};

/// What survives a crash.
pub(crate) struct Disk {
    events: Vec<(Event, u64)>,
    /// How many jobs were committed.
    pub(crate) jobs: u64,
    /// The state after so many events, written down.
    snapshot: Option<(String, usize)>,
    /// Every how many jobs a snapshot is taken.
    snapshot_every: u64,
    /// What the events add up to.
    pub(crate) committed: State,
    bug: Option<Bug>,
}

impl Disk {
    pub(crate) fn new(snapshot_every: u64, bug: Option<Bug>) -> Self {
        Self {
            events: Vec::new(),
            jobs: 0,
            snapshot: None,
            snapshot_every,
            committed: State::default(),
            bug,
        }
    }

    pub(crate) fn append(&mut self, events: &[Event], at_ms: u64) {
        for event in events {
            fold(&mut self.committed, event, at_ms, self.bug);
            self.events.push((event.clone(), at_ms));
        }
        self.jobs += 1;
        if self.jobs.is_multiple_of(self.snapshot_every) {
            let text = serde_json::to_string(&self.committed).unwrap();
            self.snapshot = Some((text, self.events.len()));
        }
    }

    /// The state as the next life finds it.
    pub(crate) fn recover(&self, from_the_start_too: bool) -> Held<State> {
        let (mut state, from) = match &self.snapshot {
            Some((text, from)) => (serde_json::from_str(text).unwrap(), *from),
            None => (State::default(), 0),
        };
        self.replay(&mut state, from);
        hold_all(state == self.committed, Invariant::Fold, || {
            format!("snapshot and rest: {state:?}\ncommitted: {:?}", self.committed)
        })?;
        if from_the_start_too {
            let mut whole = State::default();
            self.replay(&mut whole, 0);
            hold_all(whole == state, Invariant::Fold, || {
                format!("from the start: {whole:?}\nfrom the snapshot: {state:?}")
            })?;
        }
        Ok(state)
    }

    fn replay(&self, state: &mut State, from: usize) {
        for (event, at_ms) in &self.events[from..] {
            fold(state, event, *at_ms, self.bug);
        }
    }
}
