//! The clocks of runs. Each only tells that it has run out; what that means is decided elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hatchery_protocol::RunId;
use hatchery_spawn::{Clock, Command, Run};
use tokio::time::{Instant, sleep, sleep_until};

use super::{Core, Supervisor};
use crate::clock::now_ms;

/// When a run gave its last sign of life, and whether it is at work. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Pulse {
    since: Instant,
    /// Milliseconds after `since`.
    last: Arc<AtomicU64>,
    at_work: Arc<AtomicBool>,
}

impl Pulse {
    pub(super) fn new() -> Self {
        Self { since: Instant::now(), last: Arc::default(), at_work: Arc::default() }
    }

    /// The run lives.
    pub(super) fn beat(&self) {
        let now = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }

    /// The run's start is over.
    pub(super) fn works(&self) {
        self.at_work.store(true, Ordering::Relaxed);
    }

    fn is_at_work(&self) -> bool {
        self.at_work.load(Ordering::Relaxed)
    }

    fn last(&self) -> Instant {
        self.since + Duration::from_millis(self.last.load(Ordering::Relaxed))
    }
}

impl Supervisor {
    /// Sets the clocks of a run that is being started.
    pub(super) fn set_clocks(self: &Arc<Self>, run: &Run, pulse: &Pulse) {
        let limits = run.deadlines;
        if let Some(limit) = limits.start_ms {
            let watching = self.clone().watch_start(run.id.clone(), pulse.clone(), limit);
            self.help(&run.id, watching);
        }
        if let Some(limit) = run.timeout_ms {
            self.help(&run.id, self.clone().tell_later(run.id.clone(), Clock::Wall, limit));
        }
        if let Some(limit) = limits.idle_ms {
            let watching = self.clone().watch_pulse(run.id.clone(), pulse.clone(), limit);
            self.help(&run.id, watching);
        }
        if let Some(limit) = run.budget.wall_ms {
            self.set_tree_clock(&run.id, limit);
        }
    }

    /// Sets the clock of a run that waits for a slot.
    pub(super) fn set_queue_clock(self: &Arc<Self>, run: &Run) {
        if let Some(limit) = run.deadlines.queue_ms {
            let left = run.accepted_at_ms.saturating_add(limit).saturating_sub(now_ms());
            // A clock that was set back must not make it wait longer than it may.
            let left = left.min(limit);
            self.tasks.spawn(self.clone().tell_later(run.id.clone(), Clock::Queue, left));
        }
    }

    /// Sets the clock of a whole tree. It goes on when the run at the top is over.
    pub(super) fn set_tree_clock(self: &Arc<Self>, top: &RunId, left_ms: u64) {
        let telling = self.clone().tell_later(top.clone(), Clock::Tree, left_ms);
        let handle = self.tasks.spawn(telling).abort_handle();
        if let Some(before) = self.core().tree_clocks.insert(top.clone(), handle) {
            before.abort();
        }
    }

    async fn tell_later(self: Arc<Self>, run: RunId, clock: Clock, after_ms: u64) {
        sleep(Duration::from_millis(after_ms)).await;
        self.note(&Command::DeadlinePassed { run, clock });
    }

    /// An agent's process may be there long before the agent is.
    async fn watch_start(self: Arc<Self>, run: RunId, pulse: Pulse, limit_ms: u64) {
        sleep(Duration::from_millis(limit_ms)).await;
        if !pulse.is_at_work() {
            self.note(&Command::DeadlinePassed { run, clock: Clock::Start });
        }
    }

    /// Goes on until the run ends: who waits for others gives no sign of life and is well.
    async fn watch_pulse(self: Arc<Self>, run: RunId, pulse: Pulse, limit_ms: u64) {
        let limit = Duration::from_millis(limit_ms);
        let mut until = pulse.last() + limit;
        loop {
            sleep_until(until).await;
            let due = pulse.last() + limit;
            if due > Instant::now() {
                until = due;
                continue;
            }
            if self.is_waiting(&run) {
                // Its time begins anew when it goes on.
                pulse.beat();
            } else {
                self.note(&Command::DeadlinePassed { run: run.clone(), clock: Clock::Idle });
            }
            until = Instant::now() + limit;
        }
    }

    fn is_waiting(&self, run: &RunId) -> bool {
        self.core().state.get(run).is_some_and(|live| live.waiting.is_some())
    }
}

impl Core {
    /// Stops the clocks of trees that are over.
    pub(super) fn stop_tree_clocks(&mut self, ended: &[Arc<Run>]) {
        for above in ended.iter().flat_map(|run| run.path()) {
            if self.state.account(above).is_none()
                && let Some(clock) = self.tree_clocks.remove(above)
            {
                clock.abort();
            }
        }
    }
}
