//! A world around the run tree that follows from a seed: a journal that loses its tail in a
//! crash, runtimes that fail, hang and pay, callers that change their minds, clocks that jump. In
//! each of a great many worlds, after every step, what has to hold is checked.
//!
//! `SIM_SEEDS=N` looks at so many worlds, `SIM_FROM=N` begins with that one, and `SIM_SEED=N`
//! looks at one alone and tells what happens in it. Nothing here knows the time or is random.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, missing_docs)]

mod agent;
mod bug;
mod callers;
mod check;
mod coverage;
mod disk;
mod invariant;
mod ledger;
mod life;
mod moves;
mod outside;
mod planted;
mod random;
mod rest;
mod temper;
mod trace;
mod walk;
mod world;

use std::any::Any;
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::bug::Bug;
use crate::invariant::{Broken, Held, Invariant};
use crate::trace::Trace;
use crate::world::World;

/// How many worlds are looked at where nobody says otherwise.
const SEEDS: u64 = 2_000;

/// One world, from its beginning to its end.
fn live_through(world: &mut World) -> Held<()> {
    for _ in 0..world.temper.moves {
        world.trace.next_step();
        let kind = world.temper.next(&mut world.random);
        world.make(kind)?;
    }
    world.rest()
}

fn look_at(seed: u64, bug: Option<Bug>, trace: Trace) -> (World, Held<()>) {
    let mut world = World::new(seed, bug, trace);
    let held = catch_unwind(AssertUnwindSafe(|| live_through(&mut world)));
    let held = held.unwrap_or_else(|cause| {
        Err(Broken { invariant: Invariant::NoPanic, run: None, what: said(&*cause) })
    });
    (world, held)
}

fn said(cause: &dyn Any) -> String {
    let text = cause.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| cause.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned()
}

/// The first of some worlds in which something does not hold.
fn first_broken(seeds: std::ops::Range<u64>, bug: Option<Bug>) -> Option<(u64, Invariant)> {
    let next = AtomicU64::new(seeds.start);
    let broken = AtomicU64::new(u64::MAX);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end.min(broken.load(Ordering::Relaxed)) {
                        return;
                    }
                    if look_at(seed, bug, Trace::off()).1.is_err() {
                        broken.fetch_min(seed, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let seed = broken.into_inner();
    let (_, held) = (seed != u64::MAX).then(|| look_at(seed, bug, Trace::off()))?;
    Some((seed, held.unwrap_err().invariant))
}

/// What happened in a world, in words.
fn tell(seed: u64, bug: Option<Bug>) -> String {
    let (world, held) = look_at(seed, bug, Trace::on());
    match held {
        Ok(()) => format!("{}\nin world {seed} everything holds", world.trace.of(None)),
        Err(Broken { invariant, run, what }) => format!(
            "{}\nin world {seed} {invariant:?} does not hold: {what}\nagain: SIM_SEED={seed} \
             cargo test -p hatchery-spawn --test simulation",
            world.trace.of(run.as_ref())
        ),
    }
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn in_every_world_everything_holds() {
    if let Some(seed) = number("SIM_SEED") {
        println!("{}", tell(seed, None));
        assert!(look_at(seed, None, Trace::off()).1.is_ok());
        return;
    }
    let from = number("SIM_FROM").unwrap_or(0);
    let seeds = from..from.saturating_add(number("SIM_SEEDS").unwrap_or(SEEDS));
    if let Some((seed, _)) = first_broken(seeds, None) {
        panic!("{}", tell(seed, None));
    }
}
