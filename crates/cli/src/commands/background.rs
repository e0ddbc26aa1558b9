//! `hatchery gateway start | stop | restart | status`: a gateway in the background.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use hatchery_gateway::{Holder, Lock, LockError, StateDirectory};
use hatchery_protocol::Method;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::gateway::READY;
use crate::args::{GatewayCommand, ListenArgs};
use crate::attach::{THIS_PROGRAM, attach_to_running};
use crate::environment;
use crate::exit;
use crate::failure::Failure;
use crate::render;

/// How long a gateway may take to end. It gives its runs 5 s to end in order, and kills them then.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// How often it is looked whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(5);

pub(crate) async fn run(command: GatewayCommand) -> Result<ExitCode, Failure> {
    match command {
        GatewayCommand::Start { listen, json } => {
            let started = start(&listen)?;
            announce(&started, json);
            Ok(ExitCode::SUCCESS)
        }
        GatewayCommand::Stop { json } => {
            let stopped = stop().await?;
            match (json, stopped) {
                (true, pid) => render::json(&json!({"stopped": pid.is_some(), "pid": pid})),
                (false, Some(pid)) => render::line(&format!("Gateway stopped (process {pid})")),
                (false, None) => render::line("No gateway is running"),
            }
            Ok(ExitCode::SUCCESS)
        }
        GatewayCommand::Restart { listen, json } => {
            stop().await?;
            let started = start(&listen)?;
            announce(&started, json);
            Ok(ExitCode::SUCCESS)
        }
        GatewayCommand::Status { json } => status(json).await,
        // These have files of their own.
        GatewayCommand::Run { .. } | GatewayCommand::Logs { .. } | GatewayCommand::Config(_) => {
            Ok(exit::FAILED)
        }
    }
}

/// A gateway that has come up.
pub(crate) struct Started {
    pid: u32,
    port: u16,
}

fn announce(started: &Started, as_json: bool) {
    let Started { pid, port } = started;
    if as_json {
        render::json(&json!({"started": true, "pid": pid, "port": port}));
    } else {
        render::line(&format!("Gateway started on port {port} (process {pid})"));
    }
}

/// Starts a gateway in the background and returns once it has said that it is ready.
pub(crate) fn start(listen: &ListenArgs) -> Result<Started, Failure> {
    let mut command = Command::new(THIS_PROGRAM);
    command.args(["gateway", "run", "--background"]);
    if let Some(port) = listen.port {
        command.arg("--port").arg(port.to_string());
    }
    if let Some(bind) = &listen.bind {
        command.arg("--bind").arg(bind);
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(Failure::system("starting the gateway"))?;
    let mut first = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout)
            .read_line(&mut first)
            .map_err(Failure::system("waiting for the gateway"))?;
    }
    let mut words = first.split_whitespace();
    if words.next() == Some(READY) {
        let port = words.next().and_then(|port| port.parse().ok()).unwrap_or(0);
        return Ok(Started { pid: child.id(), port });
    }
    // It has ended without a word of readiness; what it said instead is the reason.
    let mut said = String::new();
    if let Some(mut stderr) = child.stderr.take()
        && stderr.read_to_string(&mut said).is_err()
    {
        said.clear();
    }
    let status = child.wait().map_err(Failure::system("waiting for the gateway"))?;
    let message = said.trim().strip_prefix("hatchery: ").unwrap_or(said.trim()).to_owned();
    let status = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Err(Failure::Background { message, status: status.max(1) })
}

/// Ends the gateway, and returns once it is gone: its process, or `None` where none ran.
async fn stop() -> Result<Option<i32>, Failure> {
    if environment::inside_run().is_some() {
        // Only to be told why not: a run's authority never covers this.
        ask_to_stop().await?;
    }
    let state = environment::state_directory()?;
    let Some(holder) = holder(&state)? else {
        // One whose process cannot be seen from here may still have a door, and say why not.
        ask_to_stop().await?;
        return Ok(None);
    };
    let pid = holder.process.pid;
    let asked = match ask_to_stop().await {
        Ok(asked) => asked,
        Err(refused @ Failure::Refused(_)) => return Err(refused),
        // Its door is stuck; the signal means the same.
        Err(_) => false,
    };
    if !asked && holder.process.is_running() {
        kill(Pid::from_raw(pid), Signal::SIGTERM)
            .map_err(|errno| Failure::system("ending the gateway")(errno.into()))?;
    }
    let deadline = Instant::now() + STOP_LIMIT;
    while holder.process.is_running() {
        if Instant::now() > deadline {
            return Err(Failure::DoesNotEnd { pid, seconds: STOP_LIMIT.as_secs() });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(Some(pid))
}

async fn ask_to_stop() -> Result<bool, Failure> {
    let Some(mut client) = attach_to_running().await? else { return Ok(false) };
    client.call(Method::GatewayStop, &json!({})).await.map(|_| true)
}

/// The process that is the gateway, by the kernel's lock and not by what a file claims.
fn holder(state: &StateDirectory) -> Result<Option<Holder>, Failure> {
    // Looking must not make a directory where there is none.
    if OpenOptions::new().read(true).open(state.lock()).is_err() {
        return Ok(None);
    }
    match Lock::acquire(&state.lock()) {
        Ok(_free) => Ok(None),
        Err(LockError::Held(holder)) => Ok(holder),
        Err(LockError::Io(error)) => Err(Failure::system("reading the lock")(error)),
    }
}

/// The journal's condition, with what is wrong where something is.
fn journal(answer: &Value) -> String {
    let condition = render::text(answer, "/journal");
    match answer["journalTrouble"].as_str() {
        Some(trouble) => format!("{condition}: {trouble}"),
        None => condition,
    }
}

async fn status(as_json: bool) -> Result<ExitCode, Failure> {
    let Some(mut client) = attach_to_running().await? else {
        if as_json {
            render::json(&json!({"running": false}));
        } else {
            render::line("Gateway is not running (start it with: hatchery gateway start)");
        }
        return Ok(exit::FAILED);
    };
    let mut answer = client.call(Method::GatewayStatus, &json!({})).await?;
    if as_json {
        answer["running"] = json!(true);
        render::json(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    let seconds = answer["uptimeMs"].as_u64().unwrap_or_default() / 1000;
    let mut rows = vec![
        vec!["process".to_owned(), render::text(&answer, "/pid")],
        vec!["address".to_owned(), render::text(&answer, "/address")],
        vec!["up for".to_owned(), format!("{seconds} s")],
        vec![
            "runs".to_owned(),
            format!(
                "{} at work, {} waiting",
                render::text(&answer, "/runs/atWork"),
                render::text(&answer, "/runs/queued")
            ),
        ],
        vec!["journal".to_owned(), journal(&answer)],
        vec!["state".to_owned(), render::text(&answer, "/stateDirectory")],
    ];
    if let Some(fingerprint) = answer["tlsFingerprint"].as_str() {
        rows.insert(2, vec!["certificate".to_owned(), format!("SHA-256 {fingerprint}")]);
    }
    let behind = answer["clockBehindMs"].as_u64().unwrap_or_default();
    if behind > 0 {
        let said = format!("{} s behind what the journal says: check the date", behind / 1_000);
        rows.push(vec!["clock".to_owned(), said]);
    }
    let blocked = answer["notices"]["blocked"].as_u64().unwrap_or_default();
    if blocked > 0 {
        let said = format!("{blocked} blocked: see hatchery tasks list --blocked");
        rows.push(vec!["results".to_owned(), said]);
    }
    render::line("Gateway is running");
    render::line(&render::rows(rows));
    Ok(ExitCode::SUCCESS)
}
