//! `hatchery spawn`: start a sub-agent, show what it says, end as it ends.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use hatchery_protocol::{
    EventFrame, Frame, Method, RunStatus, SpawnAccepted, SpawnParams, SpawnResult, Task, event,
};
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::output::Output;
use super::tasks::ensure_running;
use super::whole_seconds;
use crate::args::{SpawnArgs, budget_of};
use crate::attach::{Attached, Purpose, attach, host_told_to_end};
use crate::client::outcome;
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
    let mut output = Output::default();
    if !args.json
        && let Some(agent) = &params.agent_id
    {
        output.spawning(agent, args.runtime);
    }
    if args.detach {
        return detached(&args, &params, output).await;
    }
    // A result is told elsewhere by a gateway that stays, also when this command is over.
    if args.announce_to.is_some() {
        ensure_running().await?;
    }
    let signals = Signals {
        interrupt: signal(SignalKind::interrupt()).map_err(Failure::system("signals"))?,
        terminate: signal(SignalKind::terminate()).map_err(Failure::system("signals"))?,
    };
    let mut attached = attach(Purpose::Run).await?;
    let watched = watch(&mut attached, &args, &params, output, signals).await;
    let hurry = matches!(watched, Ok(Watched::Detached));
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
    let seconds = |limit: Option<Duration>| limit.map(whole_seconds);
    Ok(SpawnParams {
        agent_id: args.agent.clone(),
        runtime: Some(args.runtime),
        model: args.model.clone(),
        cwd: cwd.transpose()?,
        caller_cwd: here.to_str().map(str::to_owned),
        run_timeout_seconds: seconds(args.timeout),
        queue_timeout_seconds: seconds(args.queue_timeout),
        start_timeout_seconds: seconds(args.start_timeout),
        idle_timeout_seconds: seconds(args.idle_timeout),
        budget: budget_of(&args.budget),
        announce_to: args.announce_to.clone(),
        label: args.label.clone(),
        stream: !args.detach,
        ..SpawnParams::new(task)
    })
}

/// Starts the run and leaves it to the gateway, which therefore has to be one that stays.
async fn detached(
    args: &SpawnArgs,
    params: &SpawnParams,
    mut output: Output,
) -> Result<ExitCode, Failure> {
    ensure_running().await?;
    let mut attached = attach(Purpose::Run).await?;
    let answer = attached.client.call(Method::SessionsSpawn, params).await;
    attached.release(false).await;
    let answer = answer?;
    let receipt: SpawnAccepted = serde_json::from_value(answer.clone())?;
    if args.json {
        render::json(&answer);
    } else {
        output.accepted(args, &receipt);
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows what the run says until it is over.
async fn watch(
    attached: &mut Attached,
    args: &SpawnArgs,
    params: &SpawnParams,
    mut output: Output,
    mut signals: Signals,
) -> Result<Watched, Failure> {
    let request = attached.client.send(Method::SessionsSpawn.name(), params).await?;
    let mut receipt: Option<SpawnAccepted> = None;
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
            () = host_told_to_end(attached.host.as_ref()), if !stopping => {
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
                    output.ended(args, &result, &payload);
                    return Ok(match output.closed {
                        true => Watched::OutputClosed,
                        false => Watched::Ended(result),
                    });
                }
                let accepted: SpawnAccepted = serde_json::from_value(payload)?;
                if !args.json {
                    output.accepted(args, &accepted);
                    output.executing(&accepted, &params.task);
                }
                receipt = Some(accepted);
                if stopping || output.closed {
                    stopping = true;
                    cancel(attached, receipt.as_ref()).await?;
                }
            }
            Frame::Event(EventFrame { event, payload: Some(payload), .. })
                if event == event::RUN_OUTPUT && !args.json =>
            {
                output.chunk(serde_json::from_value(payload)?);
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

fn exit_code(result: &SpawnResult) -> ExitCode {
    match (result.status, result.exit_code) {
        (RunStatus::Ok, code) => exit::status(code.unwrap_or(0)),
        (RunStatus::Failed, Some(code)) if code != 0 => exit::status(code),
        (RunStatus::Cancelled, _) => ExitCode::from(130),
        _ => exit::FAILED,
    }
}
