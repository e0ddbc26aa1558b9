//! What has to hold, by name.

use hatchery_protocol::RunId;

/// What has to hold in every state, after every commit, or at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Invariant {
    /// Nothing is done outside for an event that is not durable.
    EffectAfterCommit,
    /// What somebody has a receipt for is in the journal after every crash.
    ReceiptKept,
    /// A run begins at most once from the start, and is then at most once told to go on.
    BegunOnce,
    /// An accepted run is accepted once and ends once.
    EndsOnce,
    /// Its result is announced once, with its end.
    AnnouncedOnce,
    /// A result that nobody took stands in one inbox, of somebody who lives on and is the right
    /// one to have it.
    OneInbox,
    /// A result for a route is told there at least once, or was given up by somebody.
    Notice,
    /// Starts are given out up to the limit only, and counters are what the runs add up to.
    Slots,
    /// Nothing is taken on that there is no room for in the queue.
    QueueRoom,
    /// No slot is idle while somebody who may start waits.
    NoIdleSlot,
    /// A budget is overdrawn only by what calls under way took beyond what was set aside.
    Budget,
    /// Depth, children, workspace, isolation, scopes and budget of a child are within its parent's.
    Authority,
    /// Whoever waits has something left to wait for.
    Waiting,
    /// The turns of a conversation follow one another.
    Turns,
    /// Nothing begins while the gateway shuts down.
    Closing,
    /// A clock that runs out outside its phase means nothing.
    StaleClock,
    /// The state is what the committed events add up to, from a snapshot and from the start.
    Fold,
    /// Left alone, everything comes to its end.
    Rest,
    /// No counter overflows and nothing is looked up that is not there.
    NoPanic,
}

/// Something did not hold.
#[derive(Clone, Debug)]
pub(crate) struct Broken {
    pub(crate) invariant: Invariant,
    /// The run it is about, for the trace.
    pub(crate) run: Option<RunId>,
    pub(crate) what: String,
}

/// A value, or what did not hold.
pub(crate) type Held<T> = Result<T, Broken>;

/// Asserts something of a run.
pub(crate) fn hold(
    holds: bool,
    invariant: Invariant,
    run: &RunId,
    what: impl FnOnce() -> String,
) -> Held<()> {
    if holds {
        return Ok(());
    }
    Err(Broken { invariant, run: Some(run.clone()), what: what() })
}

/// Asserts something of the whole.
pub(crate) fn hold_all(
    holds: bool,
    invariant: Invariant,
    what: impl FnOnce() -> String,
) -> Held<()> {
    if holds { Ok(()) } else { Err(Broken { invariant, run: None, what: what() }) }
}
