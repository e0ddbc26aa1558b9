//! `exec.approval.*`, `plugin.approval.*` and `approval.*`.

use std::sync::Arc;

use hatchery_access::{Approvals, Caller, Permit, Refusal};
use hatchery_protocol::{ErrorCode, Response, RunId, WireError};
use hatchery_store::AuditEvent;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::approvals::{Decision, ExecParams, Kind, PluginParams, Taken};
use crate::asker::Asker;
use crate::gateway::Shared;

/// Parameters that name one request.
#[derive(Debug, Deserialize)]
pub(crate) struct IdParams {
    id: String,
}

/// Parameters that decide one.
#[derive(Debug, Deserialize)]
pub(crate) struct ResolveParams {
    id: String,
    decision: String,
    kind: Option<Kind>,
}

/// Asks for leave to run a command; answered when somebody has decided.
pub(crate) fn request_exec(
    shared: &Arc<Shared>,
    permit: &Permit<Approvals>,
    params: ExecParams,
    asker: Asker,
) -> Result<(), Refusal> {
    let two_phase = params.two_phase;
    let taken = shared.approvals.request_exec(&shared.hub, permit, asker.connection, params)?;
    answer(shared, taken, two_phase, asker, run_of(permit.caller()));
    Ok(())
}

/// Asks for leave to use a tool; answered when somebody has decided.
pub(crate) fn request_plugin(
    shared: &Arc<Shared>,
    permit: &Permit<Approvals>,
    params: PluginParams,
    asker: Asker,
) -> Result<(), Refusal> {
    let two_phase = params.two_phase;
    let taken = shared.approvals.request_plugin(&shared.hub, permit, asker.connection, params)?;
    answer(shared, taken, two_phase, asker, run_of(permit.caller()));
    Ok(())
}

fn answer(shared: &Arc<Shared>, taken: Taken, two_phase: bool, asker: Asker, run: Option<RunId>) {
    match taken {
        Taken::Settled(verdict) => {
            asker.outbox.answer(Response::ok(asker.request, verdict), asker.share);
        }
        Taken::Waits { accepted, id } => {
            if two_phase {
                let first = Response::ok(asker.request.clone(), accepted);
                asker.outbox.answer(first, asker.share.clone());
            }
            wait(shared, id, asker, run);
        }
    }
}

/// Answers when the request is settled; meanwhile the connection goes on, and the run that asks is
/// known to wait.
fn wait(shared: &Arc<Shared>, id: String, asker: Asker, run: Option<RunId>) {
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let decision = shared.approvals.decision(&id);
        let verdict = shared.supervisor.while_waiting(run.as_ref(), decision).await;
        asker.outbox.answer(Response::ok(asker.request, verdict), asker.share);
    });
}

/// The run that asks, where a run does.
fn run_of(caller: &Caller) -> Option<RunId> {
    caller.grant().map(|grant| grant.run().clone())
}

/// Waits for the decision on a request.
pub(crate) fn wait_decision(
    shared: &Arc<Shared>,
    permit: &Permit<Approvals>,
    params: IdParams,
    asker: Asker,
) -> Result<(), Refusal> {
    shared.approvals.may_wait(permit, &params.id)?;
    wait(shared, params.id, asker, run_of(permit.caller()));
    Ok(())
}

/// The requests of one kind that wait.
pub(crate) fn list(shared: &Shared, permit: &Permit<Approvals>, kind: Kind) -> Value {
    shared.approvals.list(permit, kind)
}

/// A request to run a command.
pub(crate) fn get_exec(
    shared: &Shared,
    permit: &Permit<Approvals>,
    params: &IdParams,
) -> Result<Value, Refusal> {
    shared.approvals.command(permit, &params.id)
}

/// A request of whatever kind.
pub(crate) fn get(
    shared: &Shared,
    permit: &Permit<Approvals>,
    params: &IdParams,
) -> Result<Value, Refusal> {
    Ok(json!({"approval": shared.approvals.snapshot(permit, &params.id)?}))
}

/// Decides a request of this kind.
pub(crate) fn resolve_kind(
    shared: &Shared,
    permit: &Permit<Approvals>,
    params: &ResolveParams,
    kind: Kind,
) -> Result<Value, WireError> {
    let decision = decision(params)?;
    let approval = shared.approvals.resolve(&shared.hub, permit, &params.id, kind, decision)?;
    keep(shared, permit, &params.id, decision, &approval);
    Ok(json!({"ok": true}))
}

/// Decides a request of the kind it says. Whoever comes too late gets to see what was decided.
pub(crate) fn resolve(
    shared: &Shared,
    permit: &Permit<Approvals>,
    params: &ResolveParams,
) -> Result<Value, WireError> {
    let decision = decision(params)?;
    let kind = params.kind.ok_or_else(|| {
        WireError::new(ErrorCode::InvalidRequest, "invalid params: kind is required")
    })?;
    match shared.approvals.resolve(&shared.hub, permit, &params.id, kind, decision) {
        Ok(approval) => {
            keep(shared, permit, &params.id, decision, &approval);
            Ok(json!({"applied": true, "approval": approval}))
        }
        Err(refusal) if refusal.code == "APPROVAL_ALREADY_RESOLVED" => {
            let approval = shared.approvals.snapshot(permit, &params.id)?;
            Ok(json!({"applied": false, "approval": approval}))
        }
        Err(refusal) => Err(refusal.into()),
    }
}

/// Keeps a decision as evidence.
fn keep(
    shared: &Shared,
    permit: &Permit<Approvals>,
    id: &str,
    decision: Decision,
    approval: &Value,
) {
    let shown = &approval["presentation"];
    let subject = shown["commandText"].as_str().or(shown["title"].as_str()).unwrap_or_default();
    shared.supervisor.audit(AuditEvent::ApprovalDecided {
        approval: id.to_owned(),
        subject: subject.to_owned(),
        decision: decision.as_str().to_owned(),
        by: permit.caller().describe(),
    });
}

fn decision(params: &ResolveParams) -> Result<Decision, WireError> {
    Decision::parse(&params.decision)
        .ok_or_else(|| WireError::new(ErrorCode::InvalidRequest, "invalid decision"))
}
