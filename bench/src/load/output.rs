//! Runs that say much.

use hatchery_protocol::{RuntimeKind, Task};

use super::crowd;
use super::scene::Counted;
use crate::failure::Failure;
use crate::home::Gateway;
use crate::spawning;

/// How many runs speak when many do.
pub(super) const MANY: usize = 8;

const BYTES: u64 = 50_000_000;

/// Prints [`BYTES`] bytes of text.
const TASK: &str = "yes 'The quick brown fox jumps over the lazy dog.' | head -c 50000000";

pub(super) fn describe(runs: usize) -> String {
    format!("{} MB of output from each of {runs} runs", BYTES / 1_000_000)
}

pub(super) async fn play(gateway: &mut Gateway, runs: usize) -> Result<Counted, Failure> {
    let params = spawning::params(gateway, RuntimeKind::Local, Task::Text(TASK.to_owned()));
    let results = crowd::results(gateway, &params, runs).await?;
    let came = results.iter().filter(|result| result.output_bytes == BYTES).count();
    Ok(Counted { expected: runs, came })
}
