//! `hatchery gateway run`: the gateway in front.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use hatchery_gateway::config::{Flags, Sources};
use hatchery_gateway::{
    Doors, Gateway, Holder, Options, PULSE_INTERVAL, StartError, StateDirectory,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use crate::args::ListenArgs;
use crate::attach::{LOOK_EVERY, PATIENCE, THIS_PROGRAM};
use crate::environment;
use crate::failure::Failure;
use crate::logging;

/// How many threads serve a gateway. Its work is waiting; more threads only cost memory.
const WORKERS: usize = 2;

/// How many threads wait for the disk, or for a name to be looked up, at most. One more waits in
/// turn; each would take processor time from those who serve.
const BLOCKING_THREADS: usize = 32;

/// How the background child tells its parent that it is ready, or why it will not be.
pub(super) const READY: &str = "ready";

/// Runs a gateway until it is told to end, by a signal or by `gateway.stop`.
pub(crate) fn run_in_front(
    listen: ListenArgs,
    background: bool,
    pulse: Option<Duration>,
) -> Result<ExitCode, Failure> {
    if background {
        // A session of its own: the terminal it was started from may go.
        nix::unistd::setsid()
            .map_err(|errno| Failure::system("leaving the terminal")(errno.into()))?;
    }
    let state = environment::state_directory()?;
    hatchery_sandbox::have_few_heaps();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_all()
        .build()
        .map_err(Failure::system("starting"))?;
    let outcome = runtime.block_on(serve(state, listen, background, pulse));
    runtime.shutdown_background();
    outcome
}

/// Starts the gateway. A lock without an open door belongs to a command that only looks, or to a
/// gateway that is ending, and is waited for; a gateway that serves is not. One that was killed has
/// both until its last thread is out of the kernel, and if it was about to start a process, that one
/// has them for as long as it takes to become another program.
async fn start(
    state: &StateDirectory,
    sources: &Sources<'static>,
    pulse: Option<Duration>,
) -> Result<Gateway, StartError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let started = Gateway::start(Options {
            state_directory: state.clone(),
            sources: sources.clone(),
            program: THIS_PROGRAM.into(),
            doors: Doors::All,
            pulse: pulse.unwrap_or(PULSE_INTERVAL),
        });
        match started.await {
            Err(StartError::AlreadyRunning(holder)) if Instant::now() < deadline => {
                let is_open = hatchery_gateway::connect(&state.socket()).is_ok();
                let serves = |holder: &Holder| is_open && !holder.process.is_ending();
                if holder.as_ref().is_some_and(serves) {
                    return Err(StartError::AlreadyRunning(holder));
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
            outcome => return outcome,
        }
    }
}

async fn serve(
    state: StateDirectory,
    listen: ListenArgs,
    background: bool,
    pulse: Option<Duration>,
) -> Result<ExitCode, Failure> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::system("signals"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::system("signals"))?;
    if background {
        logging::to_file(&state)?;
    } else {
        logging::to_file_and_terminal(&state)?;
    }
    let flags = Flags { port: listen.port, bind: listen.bind };
    let gateway = start(&state, &environment::sources(flags)?, pulse).await?;
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
