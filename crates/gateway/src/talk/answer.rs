//! The end of a turn as the answer to a request.

use hatchery_protocol::{RunStatus, SessionId};
use hatchery_spawn::Outcome;
use serde_json::{Value, json};

/// The second answer to `agent` (OpenClaw protocol §3.2).
pub(crate) fn agent_result(
    run: &str,
    model: &str,
    accepted_at_ms: u64,
    outcome: &Outcome,
    session: &SessionId,
) -> Value {
    let (provider, model) = model.split_once('/').unwrap_or(("", model));
    let mut agent = json!({"sessionId": session, "provider": provider, "model": model});
    if let Some(usage) = &outcome.usage {
        agent["usage"] = super::message::usage(usage);
    }
    let mut meta = json!({
        "durationMs": outcome.ended_at_ms.saturating_sub(accepted_at_ms),
        "agentMeta": agent,
        "stopReason": super::payload::stop_reason(outcome.status),
    });
    if matches!(outcome.status, RunStatus::Cancelled | RunStatus::Interrupted) {
        meta["aborted"] = json!(true);
    }
    let mut answer = json!({
        "runId": run,
        "status": wait_status(outcome.status),
        "summary": match outcome.status {
            RunStatus::Ok => "completed",
            RunStatus::TimedOut => "timed out",
            RunStatus::Cancelled => "aborted",
            _ => "failed",
        },
        "result": {"payloads": [{"text": outcome.tail, "mediaUrl": null}], "meta": meta},
    });
    if let Some(error) = &outcome.error {
        answer["error"] = json!(error);
    }
    answer
}

/// How clients are told that a turn is over.
pub(crate) fn wait_status(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Ok => "ok",
        RunStatus::TimedOut => "timeout",
        _ => "error",
    }
}
