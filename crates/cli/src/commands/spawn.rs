//! `hatchery spawn`: start a sub-agent, show what it says, end as it ends.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use hatchery_protocol::{Method, SpawnAccepted, SpawnParams, Task};

use super::background;
use super::follow::{Follow, Followed, Signals, Whose, exit_code};
use super::output::Output;
use crate::args::{ListenArgs, SpawnArgs, budget_of};
use crate::attach::{Attached, Purpose, attach, attach_to_running};
use crate::environment;
use crate::failure::Failure;
use crate::render;

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
    let view = (output, args.json, Signals::new()?);
    let mut attached = attach(Purpose::Run).await?;
    let followed = follow(&mut attached, &args, &params, view).await;
    let hurry = matches!(followed, Ok(Followed::Left));
    attached.release(hurry).await;
    match followed? {
        Followed::Ended(result) => Ok(exit_code(&result)),
        Followed::Left => Ok(ExitCode::from(130)),
        Followed::OutputClosed => Err(Failure::OutputClosed),
    }
}

async fn follow(
    attached: &mut Attached,
    args: &SpawnArgs,
    params: &SpawnParams,
    view: (Output, bool, Signals),
) -> Result<Followed, Failure> {
    let agent_is_named = args.agent.is_some();
    let whose = Whose::Ours { task: params.task.clone(), agent_is_named };
    Follow::ask(attached, Method::SessionsSpawn, params, whose, view).await?.until_over().await
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
    // Rounded up: less than a second is not for ever.
    let seconds = |limit: Option<Duration>| {
        limit.map(|limit| limit.as_secs().max(u64::from(!limit.is_zero())))
    };
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
        output.accepted(&receipt, args.agent.is_some());
    }
    Ok(ExitCode::SUCCESS)
}
