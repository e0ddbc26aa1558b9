//! What a start costs with a long history behind it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hatchery_spawn::Event;
use hatchery_store::{Entry, SessionQuery, Store};

use crate::lives;

/// How many lives go into one job.
const TOGETHER: u64 = 500;

/// How many lives come after the last snapshot.
const SINCE: u64 = 200;

/// Builds a journal of finished runs and opens it again.
pub(crate) fn measure(place: &Path, runs: u64) {
    let directory = tempfile::tempdir_in(place).unwrap();
    let store = Store::open(directory.path(), 1).unwrap();
    let (_, built) = timed(|| {
        let jobs = (0..runs).step_by(TOGETHER as usize).map(|first| lives(first, TOGETHER));
        lives::append(&store, jobs);
    });
    lives::append(&store, [vec![Entry::Snapshot(Arc::default())], lives(runs, SINCE)]);
    let (_, closed) = timed(|| drop(store));
    let size = std::fs::metadata(directory.path().join("hatchery.db")).unwrap().len();
    println!("{runs} runs written in {built:?}, closed in {closed:?}, {} MiB", size >> 20);

    for _ in 0..3 {
        let (store, opened) = timed(|| Store::open(directory.path(), 2).unwrap());
        let (replay, recovered) = timed(|| store.recover().unwrap());
        let events = replay.events.len();
        println!("open {opened:?}, recover {recovered:?} ({events} events after the snapshot)");
    }
    let store = Store::open(directory.path(), 2).unwrap();
    let query = SessionQuery { limit: 100, include_archived: true, ..SessionQuery::default() };
    let (all, listed) = timed(|| store.list_sessions(&query).unwrap().total);
    let (due, found) = timed(|| store.due_for_archive(u64::MAX, u32::MAX).unwrap());
    let archived = due.into_iter().map(|session| Entry::Event(Event::SessionArchived { session }));
    lives::append(&store, [archived.collect()]);
    let query = SessionQuery { include_archived: false, ..query };
    let (rest, short) = timed(|| store.list_sessions(&query).unwrap().total);
    println!("a page of {all} sessions {listed:?}, of the {rest} not archived {short:?}");
    println!("all of them due for the archive: found in {found:?}");
    let mut events = 0_u64;
    let (_, all) = timed(|| store.replay_after(0, |_, _| events += 1).unwrap());
    println!("from the start {all:?} ({events} events)");
    // A life that ends without closing leaves its log to be read at the next start.
    lives::append(&store, (0..400).map(|job| lives(runs + SINCE + job * 64, 64)));
    let crashed = tempfile::tempdir_in(place).unwrap();
    for file in ["hatchery.db", "hatchery.db-wal", "audit.key"] {
        std::fs::copy(directory.path().join(file), crashed.path().join(file)).unwrap();
    }
    let log = std::fs::metadata(crashed.path().join("hatchery.db-wal")).unwrap().len();
    let (_, opened) = timed(|| Store::open(crashed.path(), 2).unwrap());
    println!("open after a crash {opened:?} (a log of {} MiB)", log >> 20);
}

fn lives(first: u64, count: u64) -> Vec<Entry> {
    (first..first + count).flat_map(lives::life).collect()
}

fn timed<T>(act: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let done = act();
    (done, start.elapsed())
}
