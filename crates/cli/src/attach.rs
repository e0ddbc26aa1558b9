//! Finding a gateway, or hosting one for as long as a command takes.

use std::io;
use std::path::Path;
use std::time::Duration;

use hatchery_gateway::config::{Flags, Sources};
use hatchery_gateway::{Doors, Gateway, Options, PULSE_INTERVAL, StartError, StateDirectory};
use hatchery_sandbox::take_ticket;
use tokio::net::UnixStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use crate::client::Client;
use crate::environment::{self, InsideRun};
use crate::failure::Failure;
use crate::logging;

/// How long another gateway's start, or another command's look, is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked whether it is done.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The program as the kernel knows it: right also after the file was replaced by a newer one.
pub(crate) const THIS_PROGRAM: &str = "/proc/self/exe";

/// A connection to a gateway, and the gateway itself where this process hosts it.
pub(crate) struct Attached {
    pub(crate) client: Client,
    pub(crate) host: Option<Gateway>,
}

/// What a gateway is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To look at what there is.
    Look,
    /// To run something.
    Run,
}

/// Connects to the gateway there is, or hosts one where there is none.
pub(crate) async fn attach(purpose: Purpose) -> Result<Attached, Failure> {
    if let Some(inside) = environment::inside_run() {
        return Ok(Attached { client: from_inside(inside).await?, host: None });
    }
    let state = environment::state_directory()?;
    let sources = environment::sources(Flags::default())?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(stream) = reach(&state.socket())? {
            match Client::greet(stream, None).await {
                Ok(client) => return Ok(Attached { client, host: None }),
                // It ended just now, between the knock and the greeting.
                Err(Failure::Disconnected) if Instant::now() < deadline => {}
                Err(failure) => return Err(failure),
            }
        }
        if purpose == Purpose::Run {
            logging::to_file(&state)?;
        }
        match host(&state, &sources, purpose).await {
            Ok(gateway) => {
                if purpose == Purpose::Run {
                    eprintln!("hatchery: no gateway is running; hosting one for this command");
                }
                let stream = gateway.connect().map_err(Failure::system("connecting"))?;
                let client = Client::greet(stream, None).await?;
                return Ok(Attached { client, host: Some(gateway) });
            }
            // Somebody has the lock but no open door: it is starting, ending or only looking.
            Err(StartError::AlreadyRunning(_)) if Instant::now() < deadline => {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Connects to a gateway that runs by itself; `None` where there is none.
pub(crate) async fn attach_to_running() -> Result<Option<Client>, Failure> {
    if let Some(inside) = environment::inside_run() {
        return from_inside(inside).await.map(Some);
    }
    match reach(&environment::state_directory()?.socket())? {
        Some(stream) => Client::greet(stream, None).await.map(Some),
        None => Ok(None),
    }
}

async fn host(
    state: &StateDirectory,
    sources: &Sources<'static>,
    purpose: Purpose,
) -> Result<Gateway, StartError> {
    let sources = sources.clone();
    let doors = match purpose {
        Purpose::Look => Doors::Within,
        Purpose::Run => Doors::Hosted,
    };
    let program = THIS_PROGRAM.into();
    let (state_directory, pulse) = (state.clone(), PULSE_INTERVAL);
    Gateway::start(Options { state_directory, sources, program, doors, pulse }).await
}

/// A run's own process shows a ticket, and never hosts anything.
async fn from_inside(inside: InsideRun) -> Result<Client, Failure> {
    let InsideRun { socket, tickets } = inside;
    let taken = tokio::task::spawn_blocking(move || take_ticket(tickets)).await;
    let ticket = match taken {
        Ok(Ok(Some(ticket))) => ticket,
        Ok(Ok(None)) => return Err(Failure::NoTicket("the run is over".to_owned())),
        Ok(Err(error)) => return Err(Failure::NoTicket(error.to_string())),
        Err(error) => return Err(Failure::NoTicket(error.to_string())),
    };
    let stream = reach(&socket)?.ok_or(Failure::NotRunning)?;
    Client::greet(stream, Some(&ticket)).await
}

fn reach(socket: &Path) -> Result<Option<UnixStream>, Failure> {
    match hatchery_gateway::connect(socket) {
        Ok(stream) => Ok(Some(stream)),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::ConnectionRefused => Ok(None),
            _ => Err(Failure::system("connecting to the gateway")(error)),
        },
    }
}

impl Attached {
    /// Whether this process is the gateway.
    pub(crate) fn is_host(&self) -> bool {
        self.host.is_some()
    }

    /// Lets the gateway go. Where this process hosts it, runs that others started meanwhile are
    /// seen to their end first, unless `hurry` says not to.
    pub(crate) async fn release(self, hurry: bool) {
        let Some(gateway) = self.host else { return };
        let others = gateway.live_runs();
        if others > 0 && !hurry {
            eprintln!(
                "hatchery: {others} other runs use the gateway of this command; waiting for them"
            );
            tokio::select! {
                () = gateway.idle() => {}
                () = gateway.asked_to_stop() => {}
                () = told_to_end() => {}
            }
        }
        gateway.stop().await;
    }
}

/// Returns once a signal tells this process to end.
async fn told_to_end() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// Returns once the gateway that this process hosts is told to end; never where it hosts none.
pub(crate) async fn host_told_to_end(host: Option<&Gateway>) {
    match host {
        Some(gateway) => gateway.asked_to_stop().await,
        None => std::future::pending().await,
    }
}
