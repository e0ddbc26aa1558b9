//! What a run does and never does, on real processes.
//!
//! The test binary plays all parts: with a first argument it is a keeper or the built-in agent
//! in a process of its own, otherwise it runs the tests. Hence no standard test harness.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod agent;
mod any_runtime;
mod cancels;
#[path = "../../../cli/tests/conformance/model_server.rs"]
#[allow(dead_code, missing_docs)]
mod model_server;
mod parts;
mod resuming;
mod signs;
mod strangers;
mod support;

use std::process::ExitCode;

use libtest_mimic::Arguments;

/// Lists tests by their own names.
macro_rules! trials {
    ($($module:ident :: $name:ident),* $(,)?) => {
        vec![$(libtest_mimic::Trial::test(stringify!($name), || {
            $crate::support::block_on($crate::$module::$name());
            Ok(())
        })),*]
    };
}
use trials;

fn main() -> ExitCode {
    if let Some(code) = parts::play() {
        return code;
    }
    let mut arguments = Arguments::from_args();
    // Every test starts a handful of processes; more at once only makes a small machine slow.
    arguments.test_threads.get_or_insert(4);
    let trials = [
        agent::all(),
        any_runtime::all(),
        cancels::all(),
        resuming::all(),
        signs::all(),
        strangers::all(),
    ];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit_code()
}
