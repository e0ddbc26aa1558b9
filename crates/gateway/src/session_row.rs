//! A session as a row of a list, in the words of OpenClaw's clients (protocol §3.2).

use hatchery_protocol::{RunStatus, SessionKind};
use hatchery_store::SessionView;
use serde_json::{Map, Value, json};

/// What goes on in a session that the journal does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Activity {
    /// The names of its runs that are not over, the one at work first.
    pub(crate) runs: Vec<String>,
}

/// The row of a session.
pub(crate) fn session_row(view: &SessionView, activity: &Activity) -> Value {
    let mut row = Map::new();
    let mut put = |name: &str, value: Value| {
        if !value.is_null() {
            row.insert(name.to_owned(), value);
        }
    };
    // First what is set for it, so that nothing set can hide what is so.
    for (name, value) in &view.settings {
        put(name, value.clone());
    }
    put("key", json!(view.key));
    put("kind", json!(if view.kind == SessionKind::Group { "group" } else { "direct" }));
    put("sessionKind", json!(view.kind));
    put("sessionId", json!(view.transcript_id()));
    put("agentId", json!(view.agent_id));
    put("createdAt", json!(view.created_at_ms));
    put("updatedAt", json!(view.updated_at_ms));
    put("label", json!(view.label));
    put("displayName", json!(view.label));
    put("derivedTitle", json!(view.title));
    put("lastMessagePreview", json!(view.preview));
    put("spawnedBy", json!(view.spawned_by));
    put("parentSessionKey", json!(view.spawned_by));
    put("isMain", json!(view.kind == SessionKind::Main));
    put("hasActiveRun", json!(!activity.runs.is_empty()));
    put("activeRunIds", json!(activity.runs));
    if let Some(run) = &view.run {
        let (provider, model) = run.model.split_once('/').unwrap_or(("", &run.model));
        put("modelProvider", json!(provider));
        put("model", json!(model));
        put("status", json!(wire_status(run.status)));
        put("startedAt", json!(run.accepted_at_ms));
        if view.kind.is_of_a_run() {
            put("spawnDepth", json!(run.depth));
        }
        if let Some(outcome) = &run.outcome {
            put("endedAt", json!(outcome.ended_at_ms));
            put("runtimeMs", json!(outcome.ended_at_ms.saturating_sub(run.accepted_at_ms)));
            put("abortedLastRun", json!(run.status == RunStatus::Cancelled));
            if let Some(usage) = &outcome.usage {
                put("inputTokens", json!(usage.input_tokens));
                put("outputTokens", json!(usage.output_tokens));
                put("totalTokens", json!(usage.input_tokens + usage.output_tokens));
                put("totalTokensFresh", json!(true));
            }
        }
    }
    Value::Object(row)
}

/// A run's state in the words of rows.
pub(crate) fn wire_status(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Accepted => "queued",
        RunStatus::Starting | RunStatus::Running => "running",
        RunStatus::Ok => "done",
        RunStatus::Failed | RunStatus::Interrupted => "failed",
        RunStatus::TimedOut => "timeout",
        RunStatus::Cancelled => "killed",
    }
}
