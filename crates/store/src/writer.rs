//! The one thread that writes.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use hatchery_failpoints::{Point, reach};
use hatchery_spawn::Event;
use rusqlite::Connection;

use crate::audit::{self, Chain};
use crate::damage::FaultKind;
use crate::progress::Progress;
use crate::project::project;
use crate::room::Room;
use crate::{Afterwards, Entry};

/// The most jobs one commit takes, so that nobody waits long behind a flood.
const MAX_JOBS_PER_COMMIT: usize = 256;

/// After how many entries the write-ahead log is worked into the database, at the next moment
/// when nobody waits.
const ENTRIES_PER_CHECKPOINT: usize = 1_000;

/// After how many commits, however small. The log is then written from its beginning again, and a
/// file that does not grow is synced with less: its size need not be.
const COMMITS_PER_CHECKPOINT: usize = 256;

/// After how many entries that happens even if somebody waits, so that the log stays bounded.
const ENTRIES_BEFORE_FORCED_CHECKPOINT: usize = 20_000;

/// How long nobody has to want anything before room is given back to the disk.
const QUIET: Duration = Duration::from_millis(100);

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
    /// There is no room on the disk.
    #[error("the journal cannot be written: the disk is full; make room on it, then restart")]
    Full,
    /// The file or its disk can no longer be written.
    #[error(
        "the journal cannot be written: its file or its disk is read-only now; make it writable, then restart"
    )]
    ReadOnly,
    /// The file is not as it was written.
    #[error(
        "the journal is damaged ({0}); stop the gateway, keep a copy of its state directory and put an older one back, then restart"
    )]
    Damaged(String),
    /// The disk did not do what it was told.
    #[error(
        "the journal cannot be written: {0}; free disk space or mend the disk (dmesg says more), then restart"
    )]
    Disk(String),
    /// SQLite refused for another reason.
    #[error("the journal cannot be written: {0}; restart, and keep the log of this gateway")]
    Database(String),
    /// The writer has ended.
    #[error("the journal is closed")]
    WriterGone,
}

impl CommitError {
    fn of(error: &rusqlite::Error) -> Self {
        match FaultKind::of(error) {
            FaultKind::Full => Self::Full,
            FaultKind::ReadOnly => Self::ReadOnly,
            FaultKind::Damaged => Self::Damaged(error.to_string()),
            FaultKind::Disk => Self::Disk(error.to_string()),
            FaultKind::Other => Self::Database(error.to_string()),
        }
    }
}

/// Commits jobs until nobody can send any more. What was done is counted before anything that
/// follows from it.
pub(crate) fn run(
    mut connection: Connection,
    mut chain: Chain,
    waiting: &Receiver<Job>,
    progress: &Progress,
) {
    let (mut unchecked, mut commits) = (0, 0);
    let mut broken: Option<CommitError> = None;
    let mut room = Room::of(&connection);
    loop {
        let next = match room.is_due() && broken.is_none() {
            true => waiting.recv_timeout(QUIET),
            false => waiting.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        let first = match next {
            Ok(first) => first,
            Err(RecvTimeoutError::Timeout) => {
                unchecked += room.give_back(&connection);
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        };
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
            None => {
                commit(&mut connection, &mut chain, &jobs).map_err(|error| CommitError::of(&error))
            }
            Some(error) => Err(error.clone()),
        };
        unchecked += jobs.iter().map(|job| job.entries.len()).sum::<usize>();
        match &outcome {
            Ok(written) => {
                note(progress, &chain, &jobs, written);
                commits += usize::from(written.anything);
                if jobs.iter().any(|job| job.entries.iter().any(leaves_room)) {
                    room.look_again();
                }
            }
            Err(error) => broken = Some(error.clone()),
        }
        let outcome = outcome.map(drop);
        reach(Point::AfterCommit);
        for job in jobs {
            (job.afterwards)(outcome.clone());
        }
        let is_long = unchecked >= ENTRIES_PER_CHECKPOINT || commits >= COMMITS_PER_CHECKPOINT;
        let due = is_long && nobody_waits;
        if (due || unchecked >= ENTRIES_BEFORE_FORCED_CHECKPOINT) && broken.is_none() {
            // A checkpoint that cannot finish now loses nothing; the next one goes on.
            if connection.execute_batch("PRAGMA wal_checkpoint(PASSIVE)").is_ok() {
                (unchecked, commits) = (0, 0);
            }
        }
    }
}

/// What a commit wrote beside what its jobs say.
#[derive(Clone, Copy, Debug, Default)]
struct Written {
    /// Whether anything was written at all: a transaction without a change is no sync.
    anything: bool,
    /// The entry the newest snapshot of it stands at.
    snapshot: Option<u64>,
}

fn note(progress: &Progress, chain: &Chain, jobs: &[Job], written: &Written) {
    progress.head.store(chain.head.seq, Ordering::Release);
    if let Some(seq) = written.snapshot {
        progress.snapshot.store(seq, Ordering::Release);
    }
    if let Some(newest) = newest_at_ms(jobs) {
        progress.newest_at_ms.fetch_max(newest.cast_unsigned(), Ordering::AcqRel);
    }
    if written.anything {
        progress.commits.fetch_add(1, Ordering::Release);
    }
    if jobs.iter().any(|job| job.entries.iter().any(changes_views)) {
        progress.generation.fetch_add(1, Ordering::Release);
    }
}

/// The latest time among jobs that enter something into the journal.
fn newest_at_ms(jobs: &[Job]) -> Option<i64> {
    let enters = |entry: &Entry| matches!(entry, Entry::Event(_) | Entry::Audit(_));
    jobs.iter().filter(|job| job.entries.iter().any(enters)).map(|job| job.at_ms).max()
}

/// Whether lists and details look different afterwards.
fn changes_views(entry: &Entry) -> bool {
    matches!(entry, Entry::Event(_))
}

/// Whether something may be gone afterwards.
fn leaves_room(entry: &Entry) -> bool {
    matches!(entry, Entry::Event(Event::SessionDeleted { with_transcript: true, .. }))
}

/// After a failure the chain is ahead of the disk. That is no harm: nothing is taken any more.
fn commit(
    connection: &mut Connection,
    chain: &mut Chain,
    jobs: &[Job],
) -> rusqlite::Result<Written> {
    let mut written = Written::default();
    // Many wait for nothing but that what was before is durable.
    if jobs.iter().all(|job| job.entries.is_empty()) {
        return Ok(written);
    }
    written.anything = true;
    let transaction = connection.transaction()?;
    let before = chain.head;
    for job in jobs {
        for entry in &job.entries {
            project(&transaction, chain, job.at_ms, entry)?;
            if matches!(entry, Entry::Snapshot(_)) {
                written.snapshot = Some(chain.head.seq);
            }
        }
    }
    if chain.head != before {
        audit::move_head(&transaction, chain, newest_at_ms(jobs).unwrap_or_default())?;
    }
    reach(Point::BeforeCommit);
    transaction.commit()?;
    Ok(written)
}
