//! The figures of the release build in one table, beside what the machine itself needs.
//!
//! It measures the `hatchery` program that lies beside it, from outside, as any client sees it:
//! by its processes and by frames on the owner's socket. Everything happens in a home of its own
//! that is removed afterwards; the home of the person who runs this is never looked at.

mod accepting;
mod client;
mod failure;
mod floor;
mod history;
mod holding;
mod home;
mod listing;
mod load;
mod machine;
mod memory;
mod ready;
mod recovery;
mod samples;
mod smallest_program;
mod spawning;
mod table;
mod wire;

use std::path::Path;
use std::process::ExitCode;

use crate::failure::Failure;
use crate::floor::Floors;
use crate::home::{Home, program};
use crate::load::Scene;
use crate::table::Table;
use crate::wire::Target;

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("hatchery-bench: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let measured = match Asked::read() {
        Ok(Asked::Everything) => runtime.block_on(measure()).map(|table| table.to_string()),
        Ok(Asked::Load(scenes)) => runtime.block_on(measure_load(&scenes)),
        Ok(Asked::Wire(target)) => measure_wire(&target).map(|table| table.to_string()),
        Err(failure) => Err(failure),
    };
    match measured {
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

/// What is to be measured.
enum Asked {
    /// Everything, of the program that lies beside this one.
    Everything,
    /// These scenes, of the program that lies beside this one: `load`, and which; all where none
    /// is named.
    Load(Vec<Scene>),
    /// The wire alone, of a gateway that runs already: `wire ADDRESS`, its token in
    /// `BENCH_TOKEN`.
    Wire(Target),
}

impl Asked {
    fn read() -> Result<Self, Failure> {
        let words: Vec<String> = std::env::args().skip(1).collect();
        match words.as_slice() {
            [] => Ok(Self::Everything),
            [load] if load == "load" => Ok(Self::Load(Scene::ALL.to_vec())),
            [load, names @ ..] if load == "load" => {
                let scenes: Option<_> = names.iter().map(|name| Scene::find(name)).collect();
                scenes.map(Self::Load).ok_or(Failure::Usage)
            }
            [wire, address] if wire == "wire" => {
                let address = address.parse().map_err(|_| Failure::Usage)?;
                let token = std::env::var("BENCH_TOKEN").map_err(|_| Failure::Usage)?;
                Target::new(address, token).map(Self::Wire)
            }
            _ => Err(Failure::Usage),
        }
    }
}

/// How many sessions there are at first, and then.
const FEW_SESSIONS: usize = 10;
const MANY_SESSIONS: usize = 10_000;

/// Measures how a gateway bears much at once.
async fn measure_load(scenes: &[Scene]) -> Result<String, Failure> {
    load::measure(&program()?, scenes).await
}

/// Measures another gateway's door, for comparison.
fn measure_wire(target: &Target) -> Result<Table, Failure> {
    let mut table = Table::new(machine::describe());
    let echo = floor::echo(&mut table)?;
    say("the wire");
    wire::open_sessions(target, FEW_SESSIONS)?;
    wire::measure(target, echo, &mut table)?;
    table.note(machine::describe());
    Ok(table)
}

/// Measures the door of a gateway of its own, with few sessions and with many.
async fn measure_own_wire(
    program: &Path,
    floors: &Floors,
    table: &mut Table,
) -> Result<(), Failure> {
    let home = Home::new(program.to_owned())?;
    let mut gateway = home.start_gateway().await?;
    let target = Target::new(gateway.address().await?, home.token().to_owned())?;
    say("the wire, 10 sessions");
    wire::open_sessions(&target, FEW_SESSIONS)?;
    wire::measure(&target, floors.echo, table)?;
    say("idle connections");
    wire::idle(&target, gateway.pid(), table)?;
    say("the wire, 10,000 sessions");
    wire::open_sessions(&target, MANY_SESSIONS - FEW_SESSIONS)?;
    wire::among_many(&target, floors.echo, table)?;
    memory::now("memory with 10,000 sessions", gateway.pid(), table)?;
    gateway.stop().await
}

/// Takes every figure in turn. Nothing is measured beside anything else.
async fn measure() -> Result<Table, Failure> {
    let program = program()?;
    let mut table = Table::new(machine::describe());
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
        let gateway = &mut gateway;
        sessions += spawning::one_at_a_time(&home, gateway, runtime, &floors, &mut table).await?;
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
    say("spawns that only wait");
    accepting::measure(&program, &mut table).await?;
    say("runs that are held at work, and sessions");
    holding::runs(&program, &mut table).await?;
    holding::sessions(&program, &mut table).await?;
    say("start to ready with a long past");
    recovery::measure(&program, &floors, &mut table).await?;
    measure_own_wire(&program, &floors, &mut table).await?;
    table.size("release binary", program.metadata().map_err(Failure::io("the program"))?.len());
    table.note(machine::describe());
    Ok(table)
}

/// Tells whoever waits what is going on; the table alone goes to standard output.
fn say(what: &str) {
    eprintln!("hatchery-bench: {what}");
}
