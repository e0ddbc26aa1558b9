//! What a tree costs, start to end. Not run by itself: `--ignored a_tree_costs`.

use std::time::Instant;

use hatchery_sandbox::Ending;
use libtest_mimic::Trial;

use crate::support::{self, run, spec, words};

const RUNS: usize = 200;

pub(crate) fn all() -> Vec<Trial> {
    let measure = || {
        support::block_on(a_tree_costs());
        Ok(())
    };
    vec![Trial::test("a_tree_costs", measure).with_ignored_flag(true)]
}

/// Prints and asserts nothing: a figure is for people to judge.
async fn a_tree_costs() {
    let mut times = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let start = Instant::now();
        assert_eq!(run(spec(words(&["true"]))).await.0, Ending::Exited(0));
        times.push(start.elapsed());
    }
    times.sort_unstable();
    println!("p50 {:?}, p95 {:?}", times[RUNS / 2], times[RUNS * 95 / 100]);
}
