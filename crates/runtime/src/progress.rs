//! What a run is at while it works, apart from what it prints.

use std::path::PathBuf;

use hatchery_agent::Usage;

/// What a run is at. Each is a sign of life too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It lives: it thinks, plans, goes on with a step, or says what nobody here understands.
    Alive,
    /// It has begun something, or calls it by another name now: `execute: npm test`. One line of
    /// at most 200 characters, without control characters.
    Step(String),
    /// A step is about this file. An absolute path of at most 1 KiB, and each only once; no more
    /// than 100 of a run are told.
    Touched(PathBuf),
    /// It waits for somebody's leave (`true`), or need not any longer (`false`). Silence in
    /// between is not the run's.
    Waiting(bool),
    /// What it has used up since it began. Whatever is told later replaces this.
    Spent(Spent),
}

/// What a run has used up since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Its tokens, where whoever counts them says so.
    pub tokens: Option<Usage>,
    /// Its cost in millionths of a US dollar, where its agent says so. No price is known here.
    pub micro_dollars: Option<u64>,
}
