//! What the store costs, measured on the disk the given directory is on.
//!
//! `cargo run --release -p hatchery-store --example measure -- commits [lives]` times the commits
//! of runs' lives beside what the disk needs for one small durable write; `-- recovery [runs]` times
//! a start with a long history behind it.
#![allow(clippy::unwrap_used, missing_docs)]

mod commits;
mod lives;
mod recovery;

use std::path::PathBuf;

fn main() {
    let mut words = std::env::args().skip(1);
    let what = words.next().unwrap_or_default();
    let number = |word: Option<String>, default| word.map_or(default, |word| word.parse().unwrap());
    let place =
        std::env::var_os("HATCHERY_STATE_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    match what.as_str() {
        "commits" => commits::measure(&place, number(words.next(), 1_000)),
        "recovery" => recovery::measure(&place, number(words.next(), 100_000)),
        _ => eprintln!("say: measure commits [lives], or: measure recovery [runs]"),
    }
}
