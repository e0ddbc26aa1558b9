//! `hatchery gateway run`: the gateway in front.

use std::io::{self, Write};
use std::process::ExitCode;

use hatchery_gateway::config::Flags;
use hatchery_gateway::{Doors, Gateway, LogFile, Options, StateDirectory};
use tokio::signal::unix::{SignalKind, signal};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::writer::MakeWriterExt;

use crate::args::ListenArgs;
use crate::attach::THIS_PROGRAM;
use crate::environment;
use crate::failure::Failure;

/// How many threads serve a gateway. Its work is waiting; more threads only cost memory.
const WORKERS: usize = 2;

/// How the background child tells its parent that it is ready, or why it will not be.
pub(super) const READY: &str = "ready";

/// Runs a gateway until it is told to end, by a signal or by `gateway.stop`.
pub(crate) fn run_in_front(listen: ListenArgs, background: bool) -> Result<ExitCode, Failure> {
    if background {
        // A session of its own: the terminal it was started from may go.
        nix::unistd::setsid()
            .map_err(|errno| Failure::system("leaving the terminal")(errno.into()))?;
    }
    let state = environment::state_directory()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(Failure::system("starting"))?;
    let outcome = runtime.block_on(serve(state, listen, background));
    runtime.shutdown_background();
    outcome
}

async fn serve(
    state: StateDirectory,
    listen: ListenArgs,
    background: bool,
) -> Result<ExitCode, Failure> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::system("signals"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::system("signals"))?;
    start_log(&state, !background)?;
    let flags = Flags { port: listen.port, bind: listen.bind };
    let gateway = Gateway::start(Options {
        state_directory: state,
        sources: environment::sources(flags)?,
        program: THIS_PROGRAM.into(),
        doors: Doors::All,
    })
    .await?;
    if background {
        let port = gateway.address().map_or(0, |address| address.port());
        // A parent that does not wait is no reason to end.
        let mut stdout = io::stdout().lock();
        if writeln!(stdout, "{READY} {port}").and_then(|()| stdout.flush()).is_err() {
            tracing::debug!("nobody waited for the gateway to be ready");
        }
    }
    tokio::select! {
        _ = terminate.recv() => tracing::info!("told to end by SIGTERM"),
        _ = interrupt.recv() => tracing::info!("told to end by SIGINT"),
        () = gateway.asked_to_stop() => tracing::info!("told to end by its owner"),
    }
    tokio::select! {
        () = gateway.stop() => Ok(ExitCode::SUCCESS),
        // Somebody is in a hurry: the keepers kill what is left once we are gone.
        _ = terminate.recv() => Ok(ExitCode::from(143)),
        _ = interrupt.recv() => Ok(ExitCode::from(130)),
    }
}

/// Logs to the file, and in front to standard error too.
fn start_log(state: &StateDirectory, in_front: bool) -> Result<(), Failure> {
    let level = std::env::var("HATCHERY_LOG").ok().and_then(|level| level.parse().ok());
    let level: LevelFilter = level.unwrap_or(LevelFilter::INFO);
    make_directory(state)?;
    let file = LogFile::open(&state.log()).map_err(Failure::system("opening the log"))?;
    let log = tracing_subscriber::fmt().with_max_level(level).with_ansi(false).with_target(false);
    if in_front {
        log.with_writer(file.and(io::stderr)).init();
    } else {
        log.with_writer(file).init();
    }
    Ok(())
}

fn make_directory(state: &StateDirectory) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(state.path()).map_err(|source| {
        Failure::Start(hatchery_gateway::StartError::Directory {
            path: state.path().to_owned(),
            source,
        })
    })
}
