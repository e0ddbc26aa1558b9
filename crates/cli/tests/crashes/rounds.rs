//! All rounds, two at a time.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use hatchery_failpoints::Point;

use crate::apart::ran_apart;
use crate::processes;
use crate::random::Random;
use crate::round::Round;
use crate::story::{Story, Sum};

/// How many rounds there are where nobody says how many.
const ROUNDS: u64 = 40;

/// How many rounds are played at a time.
const AT_A_TIME: u64 = 2;

/// From so many rounds on, every point must have killed.
const ENOUGH: u64 = 200;

/// Of so many rounds, this many kill at moments without a name.
const UNNAMED: usize = 2;

#[test]
fn whatever_was_promised_is_kept_wherever_the_gateway_dies() {
    if ran_apart("rounds::whatever_was_promised_is_kept_wherever_the_gateway_dies") {
        return;
    }
    let started = Instant::now();
    let rounds = number("CRASH_ROUNDS").unwrap_or(ROUNDS);
    let seed = number("CRASH_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        u64::try_from(now.as_millis()).unwrap()
    });
    let only = number("CRASH_ROUND");
    let (first, end) = only.map_or((0, rounds), |round| (round, round + 1));
    let next = AtomicU64::new(first);
    let failures = Mutex::new(BTreeMap::new());
    let sum = Mutex::new(Sum::default());
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let round = next.fetch_add(1, Ordering::Relaxed);
                    if round >= end {
                        return;
                    }
                    if let Err(failure) = play(seed, round, &sum) {
                        failures.lock().unwrap().insert(round, failure);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    let sum = sum.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    println!("seed {seed}, {} rounds in {:.1?}: {}", end - first, started.elapsed(), said(&sum));
    let again: Vec<String> = failures
        .iter()
        .map(|(round, failure)| format!("CRASH_SEED={seed} CRASH_ROUND={round}: {failure}"))
        .collect();
    assert!(again.is_empty(), "{} rounds failed\n{}", again.len(), again.join("\n"));
    for point in Point::ALL.iter().filter(|_| only.is_none() && rounds >= ENOUGH) {
        assert!(sum.died_at.contains_key(point), "no gateway ever died at {}", point.name());
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|error| panic!("{variable}={text}: {error}")))
}

/// Plays a round; how it failed, if it did.
fn play(seed: u64, number: u64, sum: &Mutex<Sum>) -> Result<(), String> {
    // In turn, so that none is left out.
    let turn = usize::try_from(number).unwrap() % (Point::ALL.len() + UNNAMED);
    let point = Point::ALL.get(turn).copied();
    let story = Story::default();
    let mut round = Round::new(Random::of_round(seed, number), &story, sum);
    let outcome = catch_unwind(AssertUnwindSafe(|| round.play(point)));
    outcome.map_err(|cause| {
        let cause = cause
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| cause.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let place = format!("{}/crash-{seed}-{number}", env!("CARGO_TARGET_TMPDIR"));
        keep(round.home.path(), &place);
        // It may have found something that does not end by itself.
        processes::kill_all(round.home.path());
        let cause = cause.unwrap_or_default();
        format!("{cause}\n  {}\n  its home is kept in {place}", story.text())
    })
}

/// Copies what a failed round leaves to where it can be looked at.
fn keep(home: &Path, place: &str) {
    let copied = Command::new("cp").arg("-r").arg(home).arg(place).status();
    assert!(copied.is_ok());
}

fn said(sum: &Sum) -> String {
    let deaths: u32 = sum.died_at.values().sum();
    let died: Vec<String> =
        sum.died_at.iter().map(|(point, times)| format!("{} {times}", point.name())).collect();
    format!(
        "{} runs, {} of them well, {} messages, {} side effects, {} results at the end of a route; {} numbers of keepers given out \
         again; {deaths} deaths at a point, {} at others\n{}",
        sum.runs,
        sum.ok,
        sum.messages,
        sum.effects,
        sum.told,
        sum.recycled,
        sum.killed,
        died.join(", ")
    )
}
