//! `hatchery nodes`: what others may ask of a node, and asking it.

mod show;

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use hatchery_protocol::Method;
use serde_json::{Value, json};

use crate::args::{InvokeArgs, NodesCommand};
use crate::attach::{Attached, Purpose, attach, attach_to_running};
use crate::commands::{find, say};
use crate::failure::Failure;

pub(crate) async fn run(command: NodesCommand) -> Result<ExitCode, Failure> {
    if let NodesCommand::Invoke(args) = command {
        return invoke(args).await;
    }
    let mut attached = attach(Purpose::Look).await?;
    let outcome = carry_out(&mut attached, command).await;
    attached.release(true).await;
    outcome.map(|()| ExitCode::SUCCESS)
}

async fn carry_out(attached: &mut Attached, command: NodesCommand) -> Result<(), Failure> {
    let client = &mut attached.client;
    let known = client.call(Method::NodePairList, &json!({})).await?;
    match command {
        NodesCommand::List { json } => say(json, &known, show::all),
        NodesCommand::Approve(args) => {
            let params = json!({"requestId": find::node_request(&known, &args.request)?});
            let answer = client.call(Method::NodePairApprove, &params).await?;
            say(args.json, &answer, |answer| {
                let node = &answer["node"];
                let commands = show::words(&node["approvedCommands"]);
                format!("Approved: {} may be asked {commands}", show::name(node))
            });
        }
        NodesCommand::Reject(args) => {
            let id = find::node_request(&known, &args.request)?;
            let params = json!({"requestId": id});
            let answer = client.call(Method::NodePairReject, &params).await?;
            say(args.json, &answer, |_| format!("Rejected request {id}"));
        }
        NodesCommand::Remove { node, json } => {
            let id = find::node(&known, &node)?;
            let answer = client.call(Method::NodePairRemove, &json!({"nodeId": id})).await?;
            say(json, &answer, |_| {
                format!("Nothing may be asked of node {} any more", show::short(&id))
            });
        }
        NodesCommand::Rename { node, name, json } => {
            let id = find::node(&known, &node)?;
            let params = json!({"nodeId": id, "displayName": name.as_deref().unwrap_or_default()});
            let answer = client.call(Method::NodeRename, &params).await?;
            say(json, &answer, |_| match &name {
                Some(name) => format!("Node {} is now '{name}'", show::short(&id)),
                None => format!("Node {} has its own name again", show::short(&id)),
            });
        }
        // Taken before, since it needs a gateway that nodes can reach.
        NodesCommand::Invoke(_) => {}
    }
    Ok(())
}

async fn invoke(args: InvokeArgs) -> Result<ExitCode, Failure> {
    let mut client = attach_to_running().await?.ok_or(Failure::NotRunning)?;
    let known = client.call(Method::NodePairList, &json!({})).await?;
    let mut params = json!({
        "nodeId": find::node(&known, &args.node)?,
        "command": args.command,
        "idempotencyKey": once(),
    });
    if let Some(given) = args.params {
        params["params"] = given;
    }
    if let Some(timeout) = args.timeout {
        params["timeoutMs"] = json!(timeout.as_millis());
    }
    let answer = client.call(Method::NodeInvoke, &params).await?;
    say(args.json, &answer, |answer| show::payload(&answer["payload"]));
    Ok(ExitCode::SUCCESS)
}

/// What tells this asking from every other one.
fn once() -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    json!(format!("cli-{}-{}", std::process::id(), now.as_nanos()))
}
