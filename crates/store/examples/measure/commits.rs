//! What a commit costs.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use hatchery_store::{Entry, Store};

use crate::lives;

/// How many runs begin at once, where many do.
const CROWD: u64 = 64;

/// How many lives there are before anything is timed: an empty index is no measure.
const BEFORE: u64 = 5_000;

/// What is written of a run at one point of its life.
type Phase = fn(u64) -> Vec<Entry>;

/// Prints medians.
pub(crate) fn measure(place: &Path, count: u64) {
    let directory = tempfile::tempdir_in(place).unwrap();
    floor(directory.path(), count);
    let store = Store::open(directory.path(), 1).unwrap();
    lives::append(&store, (0..BEFORE).map(lives::life));
    drop(store);
    let store = Store::open(directory.path(), 1).unwrap();
    let phases: [(&str, Phase); 3] = [
        ("accepted, starting", lives::accepted),
        ("running", lives::running),
        ("finished, announced", lives::finished),
    ];
    let before = cpu();
    let mut times = [const { Vec::new() }; 3];
    for number in BEFORE..BEFORE + count {
        for ((_, phase), times) in phases.iter().zip(&mut times) {
            times.push(timed(|| lives::append(&store, [phase(number)])));
        }
    }
    for ((name, _), times) in phases.iter().zip(&mut times) {
        print(&format!("one: {name}"), times, 1);
    }
    println!("one life needs {:.1} µs of the processor", cpu_per(count, before));
    let (before, syncs) = (cpu(), store.commits());
    let mut times = [const { Vec::new() }; 3];
    for crowd in 0..count.div_ceil(CROWD) {
        let first = BEFORE + count + crowd * CROWD;
        for ((_, phase), times) in phases.iter().zip(&mut times) {
            times.push(timed(|| lives::append(&store, (first..first + CROWD).map(phase))));
        }
    }
    for ((name, _), times) in phases.iter().zip(&mut times) {
        print(&format!("{CROWD} at once, each: {name}"), times, CROWD);
    }
    let lives = count.div_ceil(CROWD) * CROWD;
    println!("{} commits for {lives} lives", store.commits() - syncs);
    println!("one of {CROWD} lives needs {:.1} µs of the processor", cpu_per(lives, before));
}

/// What the disk needs for one small durable write.
fn floor(directory: &Path, count: u64) {
    let mut file =
        OpenOptions::new().create(true).append(true).open(directory.join("floor")).unwrap();
    let mut times: Vec<Duration> = (0..count)
        .map(|_| {
            timed(|| {
                file.write_all(&[7; 512]).unwrap();
                file.sync_data().unwrap();
            })
        })
        .collect();
    print("floor: append 512 bytes, fdatasync", &mut times, 1);
}

/// How long all threads together have had a processor, as the kernel counts it.
fn cpu() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let nanoseconds = threads.map(|thread| {
        let text = std::fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap();
        text.split(' ').next().unwrap().parse::<u64>().unwrap()
    });
    Duration::from_nanos(nanoseconds.sum())
}

fn cpu_per(lives: u64, before: Duration) -> f64 {
    (cpu() - before).as_secs_f64() * 1e6 / lives as f64
}

fn timed(act: impl FnOnce()) -> Duration {
    let start = Instant::now();
    act();
    start.elapsed()
}

fn print(name: &str, times: &mut [Duration], shared_by: u64) {
    times.sort_unstable();
    let at = |part: usize| {
        let time = times[(times.len() * part / 100).min(times.len() - 1)];
        time.as_secs_f64() * 1e6 / shared_by as f64
    };
    println!("{name:<45} p50 {:>8.1} µs   p95 {:>8.1} µs", at(50), at(95));
}
