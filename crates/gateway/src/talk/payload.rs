//! The payloads of `chat` and `agent` events (OpenClaw protocol §3.4).

use hatchery_protocol::{RunStatus, SessionKey};
use hatchery_spawn::{Outcome, Run};
use serde_json::{Value, json};

/// The payload of a `chat` event: `state` with what every one of them has.
pub(super) fn chat(run: &str, session: &SessionKey, seq: u64, mut state: Value) -> Value {
    state["runId"] = json!(run);
    state["sessionKey"] = json!(session);
    state["agentId"] = json!(session.agent());
    state["seq"] = json!(seq);
    state
}

/// The payload of an `agent` event.
pub(super) fn agent(run: &Run, seq: u64, stream: &str, data: Value, now_ms: u64) -> Value {
    json!({
        "runId": run.name(),
        "sessionKey": run.session_key,
        "agentId": run.agent,
        "seq": seq,
        "stream": stream,
        "ts": now_ms,
        "data": data,
    })
}

/// A turn has begun.
pub(super) fn begun(now_ms: u64) -> Value {
    json!({"phase": "start", "startedAt": now_ms})
}

/// A turn's text has grown, for `agent`.
pub(super) fn grown(whole: &str, delta: &str) -> Value {
    json!({"text": whole, "delta": delta})
}

/// A turn's text has grown, for `chat`.
pub(super) fn delta(whole: &str, delta: &str, now_ms: u64) -> Value {
    json!({"state": "delta", "message": said(whole, now_ms), "deltaText": delta})
}

/// A turn is over, for `agent`.
pub(super) fn ended(run: &Run, outcome: &Outcome) -> Value {
    let mut data = json!({
        "phase": if outcome.status == RunStatus::Failed { "error" } else { "end" },
        "startedAt": run.accepted_at_ms,
        "endedAt": outcome.ended_at_ms,
        "stopReason": stop_reason(outcome.status),
    });
    if was_stopped(outcome.status) {
        data["aborted"] = json!(true);
    }
    if let Some(error) = &outcome.error {
        data["error"] = json!(error);
    }
    data
}

/// A turn is over, for `chat`.
pub(super) fn over(outcome: &Outcome) -> Value {
    let stop_reason = match outcome.status {
        RunStatus::Cancelled => "rpc",
        RunStatus::TimedOut => "timeout",
        status => stop_reason(status),
    };
    let mut state = json!({"stopReason": stop_reason});
    state["state"] = json!(match outcome.status {
        RunStatus::Ok => "final",
        status if was_stopped(status) => "aborted",
        _ => "error",
    });
    if outcome.status == RunStatus::Ok || !outcome.tail.is_empty() {
        state["message"] = said(&outcome.tail, outcome.ended_at_ms);
    }
    if let Some(error) = &outcome.error {
        state["errorMessage"] = json!(error);
    }
    if let Some(usage) = &outcome.usage {
        state["usage"] = super::message::usage(usage);
    }
    state
}

/// A whole message at once, for `chat`.
pub(super) fn whole(text: &str, now_ms: u64) -> Value {
    json!({"state": "final", "stopReason": "stop", "message": said(text, now_ms)})
}

fn said(text: &str, now_ms: u64) -> Value {
    json!({
        "role": "assistant",
        "content": [{"type": "text", "text": text}],
        "timestamp": now_ms,
    })
}

/// Why an answer ends where it ends, in the words of transcripts.
pub(super) fn stop_reason(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Failed => "error",
        status if was_stopped(status) => "aborted",
        _ => "stop",
    }
}

fn was_stopped(status: RunStatus) -> bool {
    matches!(status, RunStatus::Cancelled | RunStatus::TimedOut | RunStatus::Interrupted)
}
