//! The one thread that writes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};

use hatchery_failpoints::{Point, reach};
use rusqlite::Connection;

use crate::audit::{self, Chain};
use crate::project::project;
use crate::{Afterwards, Entry};

/// The most jobs one commit takes, so that nobody waits long behind a flood.
const MAX_JOBS_PER_COMMIT: usize = 256;

/// After how many entries the write-ahead log is worked into the database, at the next moment
/// when nobody waits.
const ENTRIES_PER_CHECKPOINT: usize = 1_000;

/// After how many entries that happens even if somebody waits, so that the log stays bounded.
const ENTRIES_BEFORE_FORCED_CHECKPOINT: usize = 20_000;

/// Entries that are committed together, and what follows.
pub(crate) struct Job {
    pub(crate) at_ms: i64,
    pub(crate) entries: Vec<Entry>,
    pub(crate) afterwards: Afterwards,
}

/// Why entries were not made durable. After the first of these the writer takes no more: what
/// the rest of the program believes and what is on disk must not drift apart.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommitError {
    /// SQLite could not write.
    #[error("the journal cannot be written: {0}; free disk space or mend the disk, then restart")]
    Database(String),
    /// The writer has ended.
    #[error("the journal is closed")]
    WriterGone,
}

/// Commits jobs until nobody can send any more, and counts the commits that changed what can be
/// read before anything that follows from them.
pub(crate) fn run(
    mut connection: Connection,
    mut chain: Chain,
    waiting: &Receiver<Job>,
    generation: &AtomicU64,
) {
    let mut unchecked = 0;
    let mut broken: Option<CommitError> = None;
    while let Ok(first) = waiting.recv() {
        let mut jobs = vec![first];
        let mut nobody_waits = false;
        while jobs.len() < MAX_JOBS_PER_COMMIT {
            match waiting.try_recv() {
                Ok(job) => jobs.push(job),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => {
                    nobody_waits = true;
                    break;
                }
            }
        }
        let outcome = match &broken {
            None => commit(&mut connection, &mut chain, &jobs)
                .map_err(|error| CommitError::Database(error.to_string())),
            Some(error) => Err(error.clone()),
        };
        unchecked += jobs.iter().map(|job| job.entries.len()).sum::<usize>();
        match &outcome {
            Ok(()) if jobs.iter().any(|job| job.entries.iter().any(changes_views)) => {
                generation.fetch_add(1, Ordering::Release);
            }
            Ok(()) => {}
            Err(error) => broken = Some(error.clone()),
        }
        reach(Point::AfterCommit);
        for job in jobs {
            (job.afterwards)(outcome.clone());
        }
        let due = unchecked >= ENTRIES_PER_CHECKPOINT && nobody_waits;
        if (due || unchecked >= ENTRIES_BEFORE_FORCED_CHECKPOINT) && broken.is_none() {
            // A checkpoint that cannot finish now loses nothing; the next one goes on.
            if connection.execute_batch("PRAGMA wal_checkpoint(PASSIVE)").is_ok() {
                unchecked = 0;
            }
        }
    }
}

/// Whether lists and details look different afterwards.
fn changes_views(entry: &Entry) -> bool {
    !matches!(entry, Entry::Output { .. } | Entry::Audit(_))
}

/// After a failure the chain is ahead of the disk. That is no harm: nothing is taken any more.
fn commit(connection: &mut Connection, chain: &mut Chain, jobs: &[Job]) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    let before = chain.head;
    for job in jobs {
        for entry in &job.entries {
            project(&transaction, chain, job.at_ms, entry)?;
        }
    }
    if chain.head != before {
        audit::write_head(&transaction, chain)?;
    }
    reach(Point::BeforeCommit);
    transaction.commit()
}
