//! `hatchery tasks`: the runs of sub-agents, and results that could not be told on their routes.

use std::process::ExitCode;

use hatchery_protocol::Method;
use serde_json::{Value, json};

use super::background;
use crate::args::{ListenArgs, TaskArgs, TaskChoice, TasksCommand};
use crate::attach::{Purpose, attach, attach_to_running};
use crate::client::Client;
use crate::environment;
use crate::failure::Failure;
use crate::render;

/// How many tasks one question asks for at most.
const PAGE: u64 = 500;

pub(crate) async fn run(command: TasksCommand) -> Result<ExitCode, Failure> {
    // A result is told by a gateway that stays.
    if matches!(command, TasksCommand::Retry(_)) {
        ensure_running().await?;
    }
    let mut attached = attach(Purpose::Look).await?;
    let client = &mut attached.client;
    let outcome = match command {
        TasksCommand::List { blocked, limit, json } => list(client, blocked, limit, json).await,
        TasksCommand::Show(args) => show(client, args).await,
        TasksCommand::Retry(choice) => decide(client, &choice, Method::TasksRetry).await,
        TasksCommand::Dismiss(choice) => decide(client, &choice, Method::TasksDismiss).await,
    };
    attached.release(true).await;
    outcome.map(|()| ExitCode::SUCCESS)
}

/// Starts a gateway that stays where none runs.
pub(super) async fn ensure_running() -> Result<(), Failure> {
    if environment::inside_run().is_none() && attach_to_running().await?.is_none() {
        eprintln!("hatchery: no gateway is running; starting one in the background");
        background::start(&ListenArgs::default())?;
    }
    Ok(())
}

/// Up to so many tasks, by as many questions as it takes.
async fn tasks(client: &mut Client, blocked: bool, limit: u64) -> Result<Vec<Value>, Failure> {
    let mut tasks = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let mut params = json!({"limit": PAGE.min(limit), "cursor": cursor});
        if blocked {
            params["deliveryStatus"] = json!("blocked");
        }
        let mut page = client.call(Method::TasksList, &params).await?;
        if let Value::Array(more) = page["tasks"].take() {
            tasks.extend(more);
        }
        cursor = page["nextCursor"].take();
        if cursor.is_null() || tasks.len() as u64 >= limit {
            tasks.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            return Ok(tasks);
        }
    }
}

async fn list(
    client: &mut Client,
    blocked: bool,
    limit: u32,
    as_json: bool,
) -> Result<(), Failure> {
    let tasks = tasks(client, blocked, limit.into()).await?;
    if as_json {
        render::json(&json!({"tasks": tasks}));
        return Ok(());
    }
    if blocked {
        if tasks.is_empty() {
            render::line("No result is blocked");
            return Ok(());
        }
        let rows = tasks.iter().map(blocked_row).collect();
        render::line(&render::table(&["RUN", "TITLE", "TO", "REASON"], rows));
        return Ok(());
    }
    let rows = tasks.iter().map(row).collect();
    render::line(&render::table(&["RUN", "SESSION ID", "STATUS", "RESULT", "TITLE"], rows));
    Ok(())
}

fn row(task: &Value) -> Vec<String> {
    vec![
        short(task),
        render::text(task, "/sessionId"),
        render::text(task, "/status"),
        render::text(task, "/deliveryStatus"),
        render::text(task, "/title"),
    ]
}

fn blocked_row(task: &Value) -> Vec<String> {
    vec![
        short(task),
        render::text(task, "/title"),
        render::text(task, "/delivery/to"),
        render::text(task, "/delivery/reason"),
    ]
}

/// As much of a run's id as is needed to name it.
fn short(task: &Value) -> String {
    render::text(task, "/runId").chars().take(8).collect()
}

async fn show(client: &mut Client, args: TaskArgs) -> Result<(), Failure> {
    let answer = client.call(Method::TasksGet, &json!({"taskId": args.run})).await?;
    if args.json {
        render::json(&answer);
        return Ok(());
    }
    let task = &answer["task"];
    let moment = |path: &str| task.pointer(path).and_then(Value::as_u64).map(render::moment);
    let files = task["outcome"]["filesTouched"].as_array().into_iter().flatten();
    let files: Vec<&str> = files.filter_map(Value::as_str).collect();
    let mut rows = vec![
        ("run", render::text(task, "/runId")),
        ("session", render::text(task, "/sessionId")),
        ("agent", render::text(task, "/agentId")),
        ("task", render::task(&task["task"])),
        ("status", render::text(task, "/status")),
        ("created", moment("/createdAt").unwrap_or_default()),
        ("ended", moment("/endedAt").unwrap_or_default()),
        ("exit code", render::text(task, "/outcome/exitCode")),
        ("error", render::text(task, "/outcome/error")),
        ("last step", render::text(task, "/outcome/lastStep")),
        ("files", files.join(", ")),
        ("result", render::text(task, "/deliveryStatus")),
        ("sent to", render::text(task, "/delivery/to")),
        ("attempts", render::text(task, "/delivery/attempts")),
        ("since", moment("/delivery/since").unwrap_or_default()),
        ("reason", render::text(task, "/delivery/reason")),
    ];
    rows.retain(|(_, value)| !value.is_empty());
    let rows = rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    render::line(&render::rows(rows));
    Ok(())
}

/// Retries or dismisses what is meant.
async fn decide(client: &mut Client, choice: &TaskChoice, method: Method) -> Result<(), Failure> {
    let chosen = match &choice.run {
        Some(run) => {
            let answer = client.call(Method::TasksGet, &json!({"taskId": run})).await?;
            vec![answer["task"].clone()]
        }
        None => tasks(client, true, u64::MAX).await?,
    };
    let mut done = Vec::new();
    for task in &chosen {
        let run = &task["runId"];
        let answer = client.call(method, &json!({"taskIds": [run]})).await?;
        if answer["results"][0]["ok"] != json!(true) {
            let message = render::text(&answer, "/results/0/reason");
            return Err(Failure::NotFound { message, look: "hatchery tasks list --blocked" });
        }
        done.push(run.clone());
    }
    if choice.json {
        render::json(&json!({"runs": done}));
        return Ok(());
    }
    if chosen.is_empty() {
        render::line("No result is blocked");
    }
    for task in &chosen {
        let (run, to) = (short(task), render::text(task, "/delivery/to"));
        render::line(&match method {
            Method::TasksRetry => format!("The result of {run} is told again to {to}"),
            _ => format!("The result of {run} is not told to {to} any more"),
        });
    }
    Ok(())
}
