//! The `hatchery` command: everything a person types.
//!
//! Two words make this program something else than a command for people, and are looked for
//! first, because they stand on the path of every spawn: `keeper` watches over one process tree,
//! and `agent` alone is the built-in agent speaking ACP on its standard input and output.

mod args;
mod attach;
mod client;
mod commands;
mod environment;
mod exit;
mod failure;
mod logging;
mod render;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Arguments;
use crate::failure::Failure;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    match (words.next(), words.next()) {
        (Some(word), Some(_)) if word == "keeper" => {
            return hatchery_sandbox::keeper::main(std::env::args_os().skip(2));
        }
        (Some(word), None) if word == "agent" => return commands::agent::serve(),
        _ => {}
    }
    let arguments = Arguments::parse();
    let json = arguments.wants_json();
    match commands::run(arguments) {
        Ok(status) => status,
        Err(failure) => report(&failure, json),
    }
}

/// Says what went wrong where the caller looks for it.
fn report(failure: &Failure, json: bool) -> ExitCode {
    if matches!(failure, Failure::OutputClosed) {
        return exit::FAILED;
    }
    if json {
        render::json(&failure.as_json());
    } else {
        eprintln!("hatchery: {failure}");
        if let Some(remedy) = failure.remedy() {
            eprintln!("  try: {remedy}");
        }
    }
    failure.exit_code()
}
