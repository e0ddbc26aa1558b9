//! The commands, a file for each noun.

pub(crate) mod agent;
mod agents;
mod audit;
mod background;
mod comeback;
mod config;
mod devices;
mod export;
mod find;
mod follow;
mod gateway;
mod logs;
mod nodes;
mod output;
mod pair;
mod sessions;
mod spawn;
mod tree;

use std::process::ExitCode;

use clap::CommandFactory;
use serde_json::Value;

use crate::args::{Arguments, Command, GatewayCommand, SessionsCommand};
use crate::failure::Failure;
use crate::render;

/// Carries out what the command line says.
pub(crate) fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    match arguments.command {
        Command::Spawn(args) | Command::Sessions(SessionsCommand::Spawn(args)) => {
            within_runtime(spawn::run(args))?
        }
        Command::Sessions(command) => within_runtime(sessions::run(command))?,
        Command::Agents(command) => within_runtime(agents::run(command))?,
        Command::Gateway(GatewayCommand::Config(command)) | Command::Config(command) => {
            within_runtime(config::run(command))?
        }
        Command::Gateway(GatewayCommand::Run { listen, background, pulse }) => {
            gateway::run_in_front(listen, background, pulse)
        }
        Command::Gateway(GatewayCommand::Logs { tail, follow }) => logs::run(tail, follow),
        Command::Gateway(command) => within_runtime(background::run(command))?,
        Command::Devices(command) => within_runtime(devices::run(command))?,
        Command::Nodes(command) => within_runtime(nodes::run(command))?,
        Command::Pair(args) => within_runtime(pair::run(args))?,
        Command::Audit(command) => audit::run(command),
        Command::Agent => Ok(agent::serve()),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "hatchery", &mut script);
            render::line(String::from_utf8_lossy(&script).trim_end());
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// One thread is all that a command needs, also where it hosts a gateway.
fn within_runtime<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::system("starting"))?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_background();
    Ok(outcome)
}

/// Says what came of a change to who is let in, and where it will not outlast the gateway, that
/// too.
fn say(as_json: bool, answer: &Value, words: impl FnOnce(&Value) -> String) {
    if as_json {
        return render::json(answer);
    }
    render::line(&words(answer));
    if answer["durable"] == false {
        eprintln!("hatchery: the devices' file cannot be written, so this ends with the gateway");
        eprintln!("  try: hatchery devices list");
    }
}
