//! `hatchery spawn`: start a sub-agent, show what it says, end as it ends.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hatchery_agent::command_line;
use hatchery_protocol::{
    EventFrame, Frame, Method, OutputChunk, OutputStream, RunStatus, RuntimeKind, SpawnAccepted,
    SpawnParams, SpawnResult, Task, event,
};
use serde_json::{Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::background;
use crate::args::{ListenArgs, SpawnArgs};
use crate::attach::{Attached, Purpose, attach, attach_to_running};
use crate::client::outcome;
use crate::environment;
use crate::exit;
use crate::failure::Failure;
use crate::render;

/// What ends a command from outside.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

/// How watching a run came to its end.
enum Watched {
    /// The run is over.
    Ended(SpawnResult),
    /// The person has stopped looking.
    Detached,
    /// Nobody reads what the run says, so it was stopped.
    OutputClosed,
}

pub(crate) async fn run(args: SpawnArgs) -> Result<ExitCode, Failure> {
    let params = params(&args)?;
    let line = command_line(&params.task);
    if !args.json
        && let Some(agent) = &params.agent_id
    {
        say_spawning(agent.as_str(), args.runtime);
    }
    if args.detach {
        return detached(&args, &params).await;
    }
    let signals = Signals {
        interrupt: signal(SignalKind::interrupt()).map_err(Failure::system("signals"))?,
        terminate: signal(SignalKind::terminate()).map_err(Failure::system("signals"))?,
    };
    let mut attached = attach(Purpose::Run).await?;
    let watched = watch(&mut attached, &args, &params, &line, signals).await;
    let hurry = !matches!(watched, Ok(Watched::Ended(_)));
    attached.release(hurry).await;
    match watched? {
        Watched::Ended(result) => Ok(exit_code(&result)),
        Watched::Detached => Ok(ExitCode::from(130)),
        Watched::OutputClosed => Err(Failure::OutputClosed),
    }
}

fn params(args: &SpawnArgs) -> Result<SpawnParams, Failure> {
    let readable = |what: &str, text: &OsString| {
        let text = text.to_str().map(str::to_owned);
        text.ok_or_else(|| Failure::Usage(format!("{what} is not valid UTF-8")))
    };
    let words = args.task.iter().map(|word| readable("a word of the task", word));
    let task = Task::from_words(words.collect::<Result<_, _>>()?)
        .map_err(|error| Failure::Usage(error.to_string()))?;
    let here = std::env::current_dir().map_err(Failure::system("finding this directory"))?;
    let cwd = args.cwd.as_ref().map(|cwd| readable("--cwd", &here.join(cwd).into_os_string()));
    Ok(SpawnParams {
        task,
        agent_id: args.agent.clone(),
        runtime: Some(args.runtime),
        model: args.model.clone(),
        cwd: cwd.transpose()?,
        caller_cwd: here.to_str().map(str::to_owned),
        run_timeout_seconds: args
            .timeout
            .map(|limit| limit.as_secs().max(u64::from(!limit.is_zero()))),
        label: args.label.clone(),
        stream: !args.detach,
    })
}

fn say_spawning(agent: &str, runtime: RuntimeKind) {
    render::line(&format!("Spawning agent '{agent}' with runtime '{runtime}'..."));
}

fn say_accepted(args: &SpawnArgs, receipt: &SpawnAccepted, line: &str) {
    if args.agent.is_none() {
        say_spawning(receipt.agent_id.as_str(), receipt.runtime);
    }
    let session = &receipt.session_id;
    render::line(&format!("Agent spawned successfully in session {session}"));
    render::line(&format!("[{session}] Executing task: {line}"));
}

/// Starts the run and leaves it to the gateway, which therefore has to be one that stays.
async fn detached(args: &SpawnArgs, params: &SpawnParams) -> Result<ExitCode, Failure> {
    if environment::inside_run().is_none() && attach_to_running().await?.is_none() {
        eprintln!("hatchery: no gateway is running; starting one in the background");
        background::start(&ListenArgs::default())?;
    }
    let mut attached = attach(Purpose::Run).await?;
    let answer = attached.client.call(Method::SessionsSpawn, params).await;
    attached.release(false).await;
    let answer = answer?;
    let receipt: SpawnAccepted = serde_json::from_value(answer.clone())?;
    if args.json {
        render::json(&answer);
    } else {
        if args.agent.is_none() {
            say_spawning(receipt.agent_id.as_str(), receipt.runtime);
        }
        render::line(&format!("Agent spawned successfully in session {}", receipt.session_id));
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows what the run says until it is over.
async fn watch(
    attached: &mut Attached,
    args: &SpawnArgs,
    params: &SpawnParams,
    line: &str,
    mut signals: Signals,
) -> Result<Watched, Failure> {
    let request = attached.client.send(Method::SessionsSpawn.name(), params).await?;
    let mut receipt: Option<SpawnAccepted> = None;
    let mut output = Output::default();
    let mut stopping = false;
    loop {
        let frame = tokio::select! {
            frame = attached.client.next() => frame?,
            _ = signals.interrupt.recv() => {
                if stopping {
                    leave(attached, receipt.as_ref());
                    return Ok(Watched::Detached);
                }
                stopping = true;
                cancel(attached, receipt.as_ref()).await?;
                continue;
            }
            _ = signals.terminate.recv() => {
                stopping = true;
                cancel(attached, receipt.as_ref()).await?;
                continue;
            }
        };
        match frame {
            Frame::Res(response) if response.id == request => {
                let payload = outcome(response)?;
                if receipt.is_some() {
                    let result: SpawnResult = serde_json::from_value(payload.clone())?;
                    output.end_line();
                    say_ended(args, &result, &payload);
                    return Ok(if output.closed {
                        Watched::OutputClosed
                    } else {
                        Watched::Ended(result)
                    });
                }
                let accepted: SpawnAccepted = serde_json::from_value(payload)?;
                if !args.json {
                    say_accepted(args, &accepted, line);
                }
                receipt = Some(accepted);
                if stopping {
                    cancel(attached, receipt.as_ref()).await?;
                }
            }
            Frame::Event(EventFrame { event, payload: Some(payload), .. })
                if event == event::RUN_OUTPUT && !args.json =>
            {
                output.show(serde_json::from_value(payload)?);
                if output.closed && !stopping {
                    stopping = true;
                    cancel(attached, receipt.as_ref()).await?;
                }
            }
            _ => {}
        }
    }
}

/// Asks for the run's end; the run's own answer comes when its processes are gone.
async fn cancel(attached: &mut Attached, receipt: Option<&SpawnAccepted>) -> Result<(), Failure> {
    let Some(receipt) = receipt else { return Ok(()) };
    eprintln!("hatchery: stopping {}; once more to leave it alone", receipt.session_id);
    let params = json!({"session": receipt.session_id});
    attached.client.send(Method::SessionsKill.name(), &params).await.map(drop)
}

fn leave(attached: &Attached, receipt: Option<&SpawnAccepted>) {
    match receipt {
        Some(receipt) if !attached.is_host() => {
            eprintln!("hatchery: left; see `hatchery sessions show {}`", receipt.session_id);
        }
        _ => eprintln!("hatchery: left; what still runs is killed"),
    }
}

fn say_ended(args: &SpawnArgs, result: &SpawnResult, payload: &Value) {
    if args.json {
        return render::json(payload);
    }
    let session = &result.session_id;
    match (result.status, result.exit_code) {
        (RunStatus::Ok | RunStatus::Failed, Some(code)) => {
            render::line(&format!("[{session}] Task completed. Exit code: {code}"));
            if code != 0 && args.runtime == RuntimeKind::Isolated {
                eprintln!(
                    "hatchery: an isolated run has no network and a home of its own; --runtime local has yours"
                );
            }
        }
        (RunStatus::Ok, None) => render::line(&format!("[{session}] Task completed.")),
        (status, _) => {
            let cause = result.error.as_deref().unwrap_or("no cause was given");
            eprintln!("hatchery: [{session}] Task {status}: {cause}");
        }
    }
}

fn exit_code(result: &SpawnResult) -> ExitCode {
    match (result.status, result.exit_code) {
        (RunStatus::Ok, code) => exit::status(code.unwrap_or(0)),
        (RunStatus::Failed, Some(code)) if code != 0 => exit::status(code),
        (RunStatus::Cancelled, _) => ExitCode::from(130),
        _ => exit::FAILED,
    }
}

/// What a run says, byte for byte on our own two streams.
struct Output {
    ends_with_line: bool,
    /// Nobody reads our standard output any more.
    closed: bool,
}

impl Default for Output {
    fn default() -> Self {
        Self { ends_with_line: true, closed: false }
    }
}

impl Output {
    fn show(&mut self, chunk: OutputChunk) {
        let exact = chunk.base64.and_then(|exact| STANDARD.decode(exact).ok());
        let bytes = exact.unwrap_or_else(|| chunk.text.into_bytes());
        let Some(&last) = bytes.last() else { return };
        let written = match chunk.stream {
            OutputStream::Stdout => {
                self.ends_with_line = last == b'\n';
                let mut stdout = io::stdout().lock();
                stdout.write_all(&bytes).and_then(|()| stdout.flush())
            }
            OutputStream::Stderr => io::stderr().lock().write_all(&bytes),
        };
        if written.is_err() && chunk.stream == OutputStream::Stdout {
            self.closed = true;
        }
    }

    fn end_line(&mut self) {
        if !self.ends_with_line && !self.closed {
            render::line("");
            self.ends_with_line = true;
        }
    }
}
