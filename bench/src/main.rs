//! The figures of the release build in one table, beside what the machine itself needs.
//!
//! It measures the `hatchery` program that lies beside it, from outside, as any client sees it:
//! by its processes and by frames on the owner's socket. Everything happens in a home of its own
//! that is removed afterwards; the home of the person who runs this is never looked at.

mod client;
mod failure;
mod floor;
mod home;
mod listing;
mod load;
mod memory;
mod ready;
mod samples;
mod smallest_program;
mod spawning;
mod table;

use std::process::ExitCode;

use crate::failure::Failure;
use crate::home::{Home, program};
use crate::table::Table;

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("hatchery-bench: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(measure()) {
        Ok(table) => {
            println!("{table}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("hatchery-bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Takes every figure in turn. Nothing is measured beside anything else.
async fn measure() -> Result<Table, Failure> {
    let program = program()?;
    let mut table = Table::new(load::describe());
    let home = Home::new(program.clone())?;

    say("the machine's floors");
    let floors = floor::measure(&home, &mut table).await?;
    say("start to ready");
    ready::measure(&program, &home, &floors, &mut table).await?;

    let mut gateway = home.start_gateway().await?;
    say("idle memory");
    memory::idle(gateway.pid(), &mut table)?;
    listing::measure(&home, "1 session", &floors, &mut table)?;
    let mut sessions = 1;
    for runtime in spawning::RUNTIMES {
        say(&format!("spawns, {runtime}"));
        sessions += spawning::one_at_a_time(&mut gateway, runtime, &floors, &mut table).await?;
        if sessions < 400 {
            listing::measure(&home, &format!("{sessions} sessions"), &floors, &mut table)?;
        }
    }
    for runtime in spawning::RUNTIMES {
        say(&format!("spawns, {runtime}, {} in flight", spawning::IN_FLIGHT));
        sessions += spawning::many_at_a_time(&mut gateway, runtime, &mut table).await?;
    }
    listing::measure(&home, &format!("{sessions} sessions"), &floors, &mut table)?;
    memory::now("memory after these spawns", gateway.pid(), &mut table)?;
    for runtime in spawning::RUNTIMES {
        say(&format!("200 MB of output, {runtime}"));
        spawning::output(&mut gateway, runtime, &mut table).await?;
    }
    memory::highest(gateway.pid(), &mut table)?;
    gateway.stop().await?;
    table.size("release binary", program.metadata().map_err(Failure::io("the program"))?.len());
    table.note(load::describe());
    Ok(table)
}

/// Tells whoever waits what is going on; the table alone goes to standard output.
fn say(what: &str) {
    eprintln!("hatchery-bench: {what}");
}
