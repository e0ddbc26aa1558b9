//! Messages of a transcript as clients get them (OpenClaw protocol §3.3).

use hatchery_protocol::RunStatus;
use hatchery_spawn::{AddedMessage, Outcome, Speaker, Usage};
use hatchery_store::{Said, StoredMessage};
use serde_json::{Value, json};

use super::payload::stop_reason;

/// A message as clients get it.
pub(crate) fn wire_message(message: &StoredMessage) -> Value {
    let mut wire = json!({
        "role": role(&message.said),
        "content": [{"type": "text", "text": text_of(&message.said)}],
        "timestamp": message.at_ms,
        "__openclaw": {"id": message.id, "seq": message.seq},
    });
    match &message.said {
        Said::Task { run, .. } => is_of_person(&mut wire, run),
        Said::Answer { run, model, outcome } => {
            wire["__openclaw"]["runId"] = json!(run);
            is_of_model(&mut wire, model, outcome);
        }
        Said::Announce { .. } => {
            wire["__openclaw"]["runId"] = json!(run_name(&message.said));
            wire["__openclaw"]["kind"] = json!("announce");
            wire["stopReason"] = json!("stop");
        }
        Said::Added(AddedMessage { speaker: Speaker::User, key: Some(key), .. }) => {
            is_of_person(&mut wire, key);
        }
        Said::Added(added) => {
            wire["__openclaw"]["runId"] = json!(run_name(&message.said));
            if added.speaker == Speaker::Assistant {
                wire["stopReason"] = json!("stop");
            }
        }
    }
    wire
}

/// Clients know their own message again by this name, and do not show it twice.
fn is_of_person(wire: &mut Value, run: &str) {
    let key = json!(format!("{run}:user"));
    wire["idempotencyKey"] = key.clone();
    wire["__openclaw"]["idempotencyKey"] = key;
    wire["__openclaw"]["runId"] = json!(run);
}

fn is_of_model(wire: &mut Value, model: &str, outcome: &Outcome) {
    let (provider, model) = model.split_once('/').unwrap_or(("", model));
    wire["provider"] = json!(provider);
    wire["model"] = json!(model);
    wire["stopReason"] = json!(stop_reason(outcome.status));
    if let Some(error) = &outcome.error {
        wire["errorMessage"] = json!(error);
    }
    if let Some(tokens) = &outcome.usage {
        wire["usage"] = usage(tokens);
    }
}

/// The tokens of an answer. What they cost is not known here.
pub(super) fn usage(usage: &Usage) -> Value {
    json!({
        "input": usage.input_tokens.saturating_sub(usage.cached_tokens),
        "output": usage.output_tokens,
        "cacheRead": usage.cached_tokens,
        "cacheWrite": 0,
        "totalTokens": usage.input_tokens + usage.output_tokens,
    })
}

/// Who said a message, in the words of transcripts.
pub(crate) fn role(said: &Said) -> &'static str {
    match said {
        Said::Task { .. } | Said::Added(AddedMessage { speaker: Speaker::User, .. }) => "user",
        Said::Answer { .. } | Said::Announce { .. } | Said::Added(_) => "assistant",
    }
}

/// The name that events about a message have as their run.
pub(super) fn run_name(said: &Said) -> String {
    match said {
        Said::Task { run, .. } | Said::Answer { run, .. } => run.clone(),
        Said::Announce { run, from, .. } => format!("announce:v1:{from}:{run}"),
        Said::Added(added) => added.key.clone().unwrap_or_else(|| format!("inject-{}", added.id)),
    }
}

/// The words of a message.
pub(crate) fn text_of(said: &Said) -> String {
    match said {
        Said::Task { text, .. } => text.clone(),
        Said::Answer { outcome, .. } => outcome.tail.clone(),
        Said::Announce { from, label, outcome, .. } => {
            let name = label.as_deref().unwrap_or_else(|| from.as_str());
            announcement(name, outcome)
        }
        Said::Added(added) => added.text.clone(),
    }
}

fn announcement(name: &str, outcome: &Outcome) -> String {
    let how = match (outcome.status, &outcome.error) {
        (RunStatus::Ok, _) => "is done".to_owned(),
        (status, Some(error)) => format!("ended as {status}: {error}"),
        (status, None) => format!("ended as {status}"),
    };
    let said = outcome.tail.trim_end();
    if said.is_empty() {
        format!("The sub-agent {name} {how}. It said nothing.")
    } else {
        format!("The sub-agent {name} {how}.\n\n{said}")
    }
}
