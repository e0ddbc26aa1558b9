//! From a command to the journal: decided and folded under one lock, and everything else after
//! the commit.

use std::sync::Arc;

use hatchery_access::Refusal;
use hatchery_failpoints::{Point, reach};
use hatchery_spawn::{Command, Event, Policy, SpawnRefusal, Step, step};
use hatchery_store::{CommitError, Entry};
use tokio::sync::oneshot;

use super::{Core, Supervisor};
use crate::clock::now_ms;

/// After how many entries of the journal the whole state is written down, so that the next start
/// need not read more than these.
const ENTRIES_PER_SNAPSHOT: u64 = 5_000;

impl Supervisor {
    /// Plays a command that needs no answer but its refusal.
    pub(super) fn command(self: &Arc<Self>, command: &Command) -> Result<(), Refusal> {
        self.play(command, |_| {})
    }

    /// The same for what no rule can refuse.
    pub(super) fn note(self: &Arc<Self>, command: &Command) {
        if let Err(refusal) = self.command(command) {
            tracing::error!("what happened was refused: {refusal}");
        }
    }

    /// The same, and returns once it is durable. If it cannot be, all that goes on has been
    /// cancelled by then.
    pub(super) async fn note_durably(self: &Arc<Self>, command: &Command) {
        let (tell, told) = oneshot::channel::<()>();
        // The end of the sender is the word that is waited for.
        if let Err(refusal) = self.play(command, move |_| drop(tell)) {
            tracing::error!("what happened was refused: {refusal}");
        }
        drop(told.await);
    }

    fn play(
        self: &Arc<Self>,
        command: &Command,
        afterwards: impl FnOnce(Result<(), CommitError>) + Send + 'static,
    ) -> Result<(), Refusal> {
        let policy = self.settings.policy();
        let mut core = self.core();
        let step = core.decide(&policy, command).map_err(Refusal::from)?;
        self.keep(&mut core, step, afterwards);
        Ok(())
    }

    /// Gives what has happened to the journal; what follows from it comes after the commit, in
    /// the journal's order. The state knows it already.
    pub(super) fn keep(
        self: &Arc<Self>,
        core: &mut Core,
        step: Step,
        afterwards: impl FnOnce(Result<(), CommitError>) + Send + 'static,
    ) {
        let Step { events, ended } = step;
        if events.is_empty() {
            return self.store.append(now_ms(), Vec::new(), Box::new(afterwards));
        }
        for event in &events {
            // A dying run starts nothing: its tickets are worth nothing from here on.
            if let Event::RunStopping { run, .. } | Event::RunFinished { run, .. } = event {
                core.tickets.close(run);
            }
        }
        core.stop_tree_clocks(&ended);
        let mut entries: Vec<Entry> = events.iter().cloned().map(Entry::Event).collect();
        if self.store.entries_since_snapshot() >= ENTRIES_PER_SNAPSHOT && !core.snapshot_due {
            // Written with the events it stands for, or not at all.
            core.snapshot_due = true;
            entries.push(core.snapshot());
        }
        let has_snapshot = entries.len() > events.len();
        let supervisor = Arc::clone(self);
        let after_commit = move |outcome: Result<(), CommitError>| {
            if has_snapshot {
                supervisor.core().snapshot_due = false;
            }
            // Whoever hears that the journal took nothing finds the gateway knowing it too.
            if let Err(error) = &outcome {
                supervisor.journal_broke(error, &ended);
            }
            // The receipt goes first; then what was promised begins.
            let durable = outcome.is_ok();
            afterwards(outcome);
            if durable {
                supervisor.publish(&events, &ended);
            }
            supervisor.perform(&events);
            supervisor.changes.send_modify(|count| *count += 1);
        };
        reach(Point::Decided);
        self.store.append(now_ms(), entries, Box::new(after_commit));
    }

    /// Writes the whole state down, so that the next start has little to read.
    pub(crate) async fn write_snapshot(&self) {
        if self.store.entries_since_snapshot() == 0 {
            return;
        }
        {
            let core = self.core();
            let entries = vec![core.snapshot()];
            self.store.append(now_ms(), entries, Box::new(|_| {}));
        }
        self.settled().await;
    }

    /// Whether the journal takes what happens.
    pub(crate) fn takes_what_happens(&self) -> bool {
        self.core().journal_error.is_none()
    }
}

impl Core {
    /// Decides a command and folds what happens into the state.
    pub(super) fn decide(
        &mut self,
        policy: &Policy,
        command: &Command,
    ) -> Result<Step, SpawnRefusal> {
        let now = now_ms();
        if self.shutting_down {
            let closing = Policy { closing: true, ..policy.clone() };
            return step(&mut self.state, &closing, command, now);
        }
        step(&mut self.state, policy, command, now)
    }

    fn snapshot(&self) -> Entry {
        Entry::Snapshot(Arc::new(self.state.clone()))
    }
}
