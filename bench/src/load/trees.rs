//! Runs that start runs, from inside, with the command that people type.

use std::path::Path;

use hatchery_protocol::{RuntimeKind, SpawnResult, Task};

use super::crowd;
use super::scene::Counted;
use crate::failure::Failure;
use crate::home::{Gateway, Limits};
use crate::spawning;

/// How many runs there are at the top, and how many each starts, one after another: together they
/// would have more connections than runs may have.
const PARENTS: usize = 200;
const EACH: usize = 10;

/// Of how many runs it is shown what they said in place of results.
const SHOWN: usize = 3;

const AT_WORK: usize = 64;

pub(super) const LIMITS: Limits =
    Limits { max_concurrent: AT_WORK, max_children_per_agent: EACH, max_spawn_depth: 2 };

pub(super) fn describe() -> String {
    format!("{PARENTS} runs that start {EACH} each with `hatchery spawn`, {AT_WORK} at work")
}

pub(super) async fn play(program: &Path, gateway: &mut Gateway) -> Result<Counted, Failure> {
    let spawn = format!("'{}' spawn --runtime local -- sh -c", program.display());
    let task = format!("for n in $(seq {EACH}); do {spawn} 'sleep 0.2; echo done'; done");
    let params = spawning::params(gateway, RuntimeKind::Local, Task::Text(task));
    let results = crowd::results(gateway, &params, PARENTS).await?;
    let came_of =
        |result: &SpawnResult| result.result.lines().filter(|line| *line == "done").count();
    let came = results.iter().map(came_of).sum();
    // What a run says instead of a result is why there is none.
    for result in results.iter().filter(|result| came_of(result) < EACH).take(SHOWN) {
        eprintln!("hatchery-bench: of a tree too little came: {}", result.result);
    }
    Ok(Counted { expected: PARENTS * EACH, came })
}
