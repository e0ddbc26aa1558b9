//! `hatchery agents`.

use std::process::ExitCode;

use hatchery_gateway::config::{AllowList, Changed, Flags, allow_agent};
use hatchery_protocol::{AgentId, Method};
use serde_json::{Value, json};

use crate::args::AgentsCommand;
use crate::attach::{Purpose, attach};
use crate::environment;
use crate::failure::Failure;
use crate::render;

pub(crate) async fn run(command: AgentsCommand) -> Result<ExitCode, Failure> {
    match command {
        AgentsCommand::List { json } => list(json).await,
        AgentsCommand::Allow { agent, list, json } => allow(&agent, &list, json),
    }
}

async fn list(as_json: bool) -> Result<ExitCode, Failure> {
    let mut attached = attach(Purpose::Look).await?;
    let answer = attached.client.call(Method::AgentsSetup, &json!({})).await;
    attached.release(true).await;
    let answer = answer?;
    if as_json {
        render::json(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    let rows = answer["agents"].as_array().into_iter().flatten().map(row).collect();
    render::line(&render::table(&["AGENT", "MODEL", "RUNS", "ACP", "WORKSPACE"], rows));
    Ok(ExitCode::SUCCESS)
}

fn row(agent: &Value) -> Vec<String> {
    let default = if agent["default"] == true { " (default)" } else { "" };
    let command = render::task(&agent["command"]);
    vec![
        format!("{}{default}", render::text(agent, "/id")),
        render::text(agent, "/model/primary"),
        if command.is_empty() { "built-in agent".to_owned() } else { command },
        if agent["acpAllowed"] == true { "allowed" } else { "not allowed" }.to_owned(),
        render::text(agent, "/workspace"),
    ]
}

/// Puts an agent on a list in the settings. A running gateway sees the change at its next spawn.
fn allow(agent: &AgentId, list: &str, as_json: bool) -> Result<ExitCode, Failure> {
    let list = if list == "subagents" { AllowList::Subagents } else { AllowList::Acp };
    let path = environment::sources(Flags::default())?.hatchery_json;
    let config = environment::config()?;
    if list == AllowList::Acp && config.acp.allowed_agents.is_empty() {
        // An empty list allows every known agent; a list with one name must not shut them out.
        for known in config.agents.entries.into_keys().chain([AgentId::main()]) {
            allow_agent(&path, list, &known)?;
        }
    }
    let (added, file) = match allow_agent(&path, list, agent)? {
        Changed::Added(file) => (true, file),
        Changed::AlreadyThere(file) => (false, file),
    };
    let file = file.display();
    if as_json {
        let file = file.to_string();
        render::json(&json!({"agent": agent, "list": list.key(), "added": added, "file": file}));
    } else if added {
        render::line(&format!("Agent '{agent}' is now in {} ({file})", list.key()));
    } else {
        render::line(&format!("Agent '{agent}' was in {} already ({file})", list.key()));
    }
    Ok(ExitCode::SUCCESS)
}
