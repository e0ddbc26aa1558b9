//! `node.*`, as operators ask it: which nodes there are, what may be asked of them, and asking it.
//!
//! A node is closed until somebody approves what it offers. Only what it offers on its connection
//! now and was approved before is passed on, and what hands over its machine only for an
//! administrator. Runs ask nothing of nodes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hatchery_access::pairing::{Command, PairedDevice, Reply, RequestId, is_dangerous};
use hatchery_access::{
    Admin, Caller, DeviceId, Pairing, Permit, Read, Refusal, Remedy, Write, authorize,
};
use hatchery_protocol::{ErrorCode, Response, Role, WireError, event};
use hatchery_store::AuditEvent;
use serde::Deserialize;
use serde_json::{Value, json};

use super::not_for_runs;
use crate::asker::Asker;
use crate::clock::now_ms;
use crate::gateway::Shared;
use crate::hub::{Audience, ConnectedNode};
use crate::invocations::NodeAnswer;
use crate::pairing::with_durability;
use crate::supervisor::unavailable;

/// How long a node may take to answer where nothing is said, and at most, in milliseconds.
const DEFAULT_TIMEOUT_MS: u64 = 30_000;
const MAX_TIMEOUT_MS: u64 = 600_000;

/// How large what is asked of a node may be, in bytes.
const MAX_QUESTION_BYTES: usize = 1024 * 1024;

/// Parameters that name a node.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NodeParams {
    node_id: String,
}

/// Parameters that name a request of a node.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RequestParams {
    request_id: String,
}

/// Parameters of `node.rename`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RenameParams {
    node_id: String,
    display_name: String,
}

/// Parameters of `node.invoke`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InvokeParams {
    node_id: String,
    command: String,
    #[serde(default)]
    params: Value,
    timeout_ms: Option<u64>,
    idempotency_key: String,
}

/// The nodes there are, whether they are connected or not.
pub(crate) async fn list(shared: &Arc<Shared>, permit: &Permit<Read>) -> Result<Value, WireError> {
    not_for_runs(permit.caller(), "the list of nodes")?;
    Ok(json!({"ts": now_ms(), "nodes": nodes(shared).await?}))
}

async fn nodes(shared: &Arc<Shared>) -> Result<Vec<Value>, Refusal> {
    let connected = shared.hub.nodes();
    shared
        .pairing
        .with_state(|state| {
            let nodes = state.devices().filter(|device| device.roles.contains(&Role::Node));
            nodes.map(|device| view(device, connected.get(&device.device_id))).collect()
        })
        .await
}

/// A node as lists show it. Its commands are those that may be asked of it now.
fn view(device: &PairedDevice, connected: Option<&ConnectedNode>) -> Value {
    let name = device.operator_label.as_ref().or(device.display_name.as_ref());
    let commands: BTreeSet<&String> = match connected {
        Some(node) => device.node_commands.intersection(&node.commands).collect(),
        None => BTreeSet::new(),
    };
    json!({
        "nodeId": device.device_id,
        "displayName": name.map_or(device.device_id.short(), String::as_str),
        "platform": device.platform,
        "deviceFamily": device.device_family,
        "remoteIp": device.remote_ip,
        "caps": connected.map(|node| &node.caps),
        "commands": commands,
        "approvedCommands": device.node_commands,
        "paired": true,
        "connected": connected.is_some(),
        "lastSeenAtMs": device.last_seen_at_ms,
    })
}

/// One node.
pub(crate) async fn describe(
    shared: &Arc<Shared>,
    permit: &Permit<Read>,
    params: NodeParams,
) -> Result<Value, WireError> {
    not_for_runs(permit.caller(), "a node")?;
    let found = nodes(shared).await?.into_iter().find(|node| node["nodeId"] == *params.node_id);
    let mut node = found.ok_or_else(unknown)?;
    node["ts"] = json!(now_ms());
    Ok(node)
}

/// The nodes, and what they offer that nobody has approved.
pub(crate) async fn pairings(
    shared: &Arc<Shared>,
    permit: &Permit<Pairing>,
) -> Result<Value, WireError> {
    not_for_runs(permit.caller(), "the list of nodes")?;
    let pending: Vec<Value> = shared
        .pairing
        .with_state(|state| state.node_requests(now_ms()).map(|request| request.view()).collect())
        .await?;
    Ok(json!({"pending": pending, "paired": nodes(shared).await?}))
}

/// Lets others ask of a node what it offers.
pub(crate) async fn approve(
    shared: &Arc<Shared>,
    permit: &Permit<Pairing>,
    params: RequestParams,
    asker: Asker,
) -> Result<(), WireError> {
    let request = RequestId::new(params.request_id);
    carry_out(shared, permit, Command::ApproveNode { request }, asker).await
}

/// Does not.
pub(crate) async fn reject(
    shared: &Arc<Shared>,
    permit: &Permit<Pairing>,
    params: RequestParams,
    asker: Asker,
) -> Result<(), WireError> {
    let request = RequestId::new(params.request_id);
    carry_out(shared, permit, Command::RejectNode { request }, asker).await
}

/// Lets nobody ask anything of a node any more.
pub(crate) async fn remove(
    shared: &Arc<Shared>,
    permit: &Permit<Pairing>,
    params: NodeParams,
    asker: Asker,
) -> Result<(), WireError> {
    let device = DeviceId::new(params.node_id);
    carry_out(shared, permit, Command::RemoveNode { device }, asker).await
}

/// Gives a node another name.
pub(crate) async fn rename(
    shared: &Arc<Shared>,
    permit: &Permit<Pairing>,
    params: RenameParams,
    asker: Asker,
) -> Result<(), WireError> {
    let device = DeviceId::new(params.node_id);
    let name = params.display_name.trim().to_owned();
    let label = Some(name).filter(|name| !name.is_empty());
    carry_out(shared, permit, Command::Rename { device, label }, asker).await
}

async fn carry_out(
    shared: &Arc<Shared>,
    permit: &Permit<Pairing>,
    command: Command,
    asker: Asker,
) -> Result<(), WireError> {
    let connected = shared.hub.nodes();
    let name = match &command {
        Command::Rename { label, .. } => label.clone(),
        _ => None,
    };
    let carried = shared.pairing.command(permit.caller(), command, Some(asker.connection)).await?;
    let mut payload = match &carried.reply {
        Reply::NodeApproved { request, device } | Reply::Approved { request, device } => {
            let node = view(device, connected.get(&device.device_id));
            json!({"requestId": request, "node": node})
        }
        Reply::Rejected { request, device } => json!({"requestId": request, "nodeId": device}),
        Reply::Changed { device } => json!({"nodeId": device}),
        Reply::Rotated { .. }
        | Reply::Revoked { .. }
        | Reply::Cleared { .. }
        | Reply::SetupCode { .. }
        | Reply::UpgradeAsked { .. }
        | Reply::UpgradeClaimed { .. } => Value::Null,
    };
    if let Some(name) = name {
        payload["displayName"] = json!(name);
    }
    let payload = with_durability(payload, carried.durable);
    asker.outbox.answer(Response::ok(asker.request, payload), asker.share);
    shared.pairing.disconnect_own(&carried);
    Ok(())
}

/// Asks something of a node, and answers with what it says.
pub(crate) async fn invoke(
    shared: &Arc<Shared>,
    permit: &Permit<Write>,
    params: InvokeParams,
) -> Result<Value, WireError> {
    let caller = permit.caller();
    let asked = ask(shared, caller, &params).await;
    let outcome = match &asked {
        Ok(_) => "done".to_owned(),
        Err(error) => error.message.clone(),
    };
    shared.supervisor.audit(AuditEvent::NodeInvoked {
        node: params.node_id,
        command: params.command,
        by: caller.describe(),
        outcome,
    });
    asked
}

async fn ask(
    shared: &Arc<Shared>,
    caller: &Caller,
    params: &InvokeParams,
) -> Result<Value, WireError> {
    not_for_runs(caller, "asking something of a node")?;
    let command = params.command.trim();
    if is_dangerous(command) {
        authorize::<Admin>(caller)?;
    }
    let device = DeviceId::new(params.node_id.clone());
    let (approved, waits) = shared
        .pairing
        .with_state(|state| {
            let known = state.device(&device).filter(|one| one.roles.contains(&Role::Node))?;
            let mut offers = state.node_requests(now_ms());
            let waits =
                offers.find(|one| one.device_id == device && one.commands.contains(command));
            let waits = waits.map(|offer| offer.request_id.clone());
            Some((known.node_commands.contains(command), waits))
        })
        .await?
        .ok_or_else(unknown)?;
    let node = shared.hub.nodes().remove(&device).ok_or_else(not_connected)?;
    if !approved || !node.commands.contains(command) {
        return Err(closed(approved, waits.as_ref()).into());
    }
    let question = params.params.to_string();
    if question.len() > MAX_QUESTION_BYTES {
        return Err(invalid("invalid params: what is asked of the node is too large"));
    }
    let (id, _) = crate::ids::draw().map_err(|error| unavailable("NO_RANDOMNESS", error))?;
    let id = id.to_string();
    let answer = shared.invocations.begin(id.clone(), &device, node.connection)?;
    let timeout_ms = params.timeout_ms.filter(|ms| *ms > 0).unwrap_or(DEFAULT_TIMEOUT_MS);
    let timeout_ms = timeout_ms.min(MAX_TIMEOUT_MS);
    let mut payload = json!({
        "id": id,
        "nodeId": device,
        "command": command,
        "timeoutMs": timeout_ms,
        "idempotencyKey": params.idempotency_key,
    });
    if !params.params.is_null() {
        payload["paramsJSON"] = json!(question);
    }
    shared.hub.tell(&Audience::Only(node.connection), event::NODE_INVOKE_REQUEST, payload);
    let answered = tokio::time::timeout(Duration::from_millis(timeout_ms), answer).await;
    shared.invocations.given_up(&id);
    match answered {
        Ok(Ok(NodeAnswer::Done(payload))) => Ok(json!({
            "ok": true, "nodeId": device, "command": command, "payload": payload,
        })),
        Ok(Ok(NodeAnswer::Failed { code, message })) => {
            let refusal = gone("NODE_FAILED", &message);
            Err(refusal.with_detail("nodeError", json!({"code": code, "message": message})).into())
        }
        Ok(Err(_)) => Err(gone("NODE_DISCONNECTED", "node disconnected").into()),
        Err(_) => Err(gone("NODE_TIMEOUT", "node invoke timed out").into()),
    }
}

fn gone(code: &'static str, message: &str) -> Refusal {
    let remedy = Remedy::Command("hatchery nodes list".to_owned());
    Refusal::forbidden(code, "nodes", message, remedy).in_class(ErrorCode::Unavailable)
}

fn not_connected() -> Refusal {
    gone("NOT_CONNECTED", "node not connected")
}

/// The refusal of what was not approved, or is not offered any more.
fn closed(approved: bool, waits: Option<&RequestId>) -> Refusal {
    let (message, remedy) = match (approved, waits) {
        (true, _) => (
            "node command not offered: the node does not offer it now",
            Remedy::Advice("connect the node anew with it".to_owned()),
        ),
        (false, Some(request)) => (
            "node command not allowed: nobody has approved it",
            Remedy::Command(format!("hatchery nodes approve {request}")),
        ),
        (false, None) => (
            "node command not allowed: the node does not offer it, or offered it a while ago",
            Remedy::Advice("connect the node anew with it, then: hatchery nodes list".to_owned()),
        ),
    };
    Refusal::forbidden("NODE_COMMAND_CLOSED", "approved commands of a node", message, remedy)
        .in_class(ErrorCode::InvalidRequest)
}

fn unknown() -> WireError {
    invalid("unknown nodeId")
}

pub(super) fn invalid(message: &str) -> WireError {
    WireError::new(ErrorCode::InvalidRequest, message)
}
