//! What the writer has done so far, in numbers anybody may look at without asking it.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::Store;

/// Counts that the writer moves after each commit and before anything that follows from it.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Commits that changed what can be read.
    pub(crate) generation: AtomicU64,
    /// Transactions that were committed with a sync.
    pub(crate) commits: AtomicU64,
    /// The number of the newest entry.
    pub(crate) head: AtomicU64,
    /// The number of the last entry the newest snapshot stands for.
    pub(crate) snapshot: AtomicU64,
    /// The latest time any entry was written at, in milliseconds since 1970.
    pub(crate) newest_at_ms: AtomicU64,
}

impl Store {
    /// Counts the commits that changed what can be read. What was read while this stood at a
    /// number is still right while it stands there; the output of runs does not count.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.progress.generation.load(Ordering::Acquire)
    }

    /// How many transactions this store has committed, each with a sync of its own.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.progress.commits.load(Ordering::Acquire)
    }

    /// How many entries the journal has beyond those the newest snapshot stands for: what the next
    /// start has to read if no other snapshot is written until then.
    #[must_use]
    pub fn entries_since_snapshot(&self) -> u64 {
        let snapshot = self.progress.snapshot.load(Ordering::Acquire);
        self.progress.head.load(Ordering::Acquire).saturating_sub(snapshot)
    }

    /// The latest time any entry was written at, in milliseconds since 1970; 0 where there is
    /// none. A clock that shows less has been set back. Nothing breaks by that: what came first is
    /// told by the entries' numbers alone.
    #[must_use]
    pub fn newest_at_ms(&self) -> u64 {
        self.progress.newest_at_ms.load(Ordering::Acquire)
    }
}
