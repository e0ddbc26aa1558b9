//! What a process tree does and never does, on real processes.
//!
//! The test binary plays all parts: with a first argument it is a keeper or one of the programs
//! under it (see `parts`), otherwise it runs the tests. Hence no standard test harness.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod beginning;
mod containment;
mod cost;
mod endings;
mod family;
mod inheritance;
mod network;
mod parts;
mod reaping;
mod stopping;
mod support;
mod tickets;

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

/// The same, each also with trees that are held by their keeper alone.
macro_rules! trials_either_way {
    ($($module:ident :: $name:ident),* $(,)?) => {{
        let mut trials = $crate::trials![$($module::$name),*];
        $(trials.push(libtest_mimic::Trial::test(
            concat!(stringify!($name), "_without_a_namespace"),
            || {
                $crate::support::block_on_keepers($crate::$module::$name());
                Ok(())
            },
        ));)*
        trials
    }};
}
use trials_either_way;

fn main() -> ExitCode {
    if let Some(code) = parts::play() {
        return code;
    }
    let mut arguments = Arguments::from_args();
    // Every test starts a handful of processes; more at once only makes a small machine slow.
    arguments.test_threads.get_or_insert(4);
    let trials = [
        beginning::all(),
        containment::all(),
        cost::all(),
        endings::all(),
        family::all(),
        inheritance::all(),
        network::all(),
        reaping::all(),
        stopping::all(),
        tickets::all(),
    ];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit_code()
}
