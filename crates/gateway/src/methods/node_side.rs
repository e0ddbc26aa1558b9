//! What nodes say: their answers to what they were asked, and what they tell unasked.

use hatchery_access::NodePermit;
use hatchery_protocol::WireError;
use serde::Deserialize;
use serde_json::{Value, json};

use super::nodes::invalid;
use super::session_row::shortened;
use crate::gateway::Shared;
use crate::hub::ConnectionId;
use crate::invocations::NodeAnswer;

/// The largest answer of a node that is passed on, in bytes.
pub(super) const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// How long a node's own words on a failure are, in characters.
const MAX_ERROR_CHARACTERS: usize = 512;

/// Parameters of `node.invoke.result`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ResultParams {
    id: String,
    node_id: String,
    ok: bool,
    #[serde(default)]
    payload: Option<Value>,
    /// The payload as text, as some nodes send it.
    #[serde(default, rename = "payloadJSON")]
    payload_json: Option<String>,
    #[serde(default)]
    error: Option<NodeError>,
}

/// What went wrong, in the node's words.
#[derive(Debug, Default, Deserialize)]
struct NodeError {
    code: Option<String>,
    message: Option<String>,
}

/// Parameters of `node.event`.
#[derive(Debug, Deserialize)]
pub(crate) struct EventParams {
    event: String,
}

/// Parameters of `node.pending.ack`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct AckParams {
    ids: Vec<String>,
}

/// A node's answer to what it was asked.
pub(crate) fn result(
    shared: &Shared,
    permit: &NodePermit,
    connection: ConnectionId,
    params: ResultParams,
) -> Result<Value, WireError> {
    let node = permit.device();
    if params.node_id != node.as_str() {
        return Err(invalid("nodeId mismatch"));
    }
    let answer = answer(params.ok, params.payload, params.payload_json, params.error);
    let awaited = shared.invocations.answered(&params.id, node, connection, answer);
    Ok(if awaited { json!({"ok": true}) } else { json!({"ok": true, "ignored": true}) })
}

fn answer(
    ok: bool,
    payload: Option<Value>,
    text: Option<String>,
    error: Option<NodeError>,
) -> NodeAnswer {
    let failed = |code: &str, message: &str| NodeAnswer::Failed {
        code: shortened(code, MAX_ERROR_CHARACTERS),
        message: shortened(message, MAX_ERROR_CHARACTERS),
    };
    if !ok {
        let error = error.unwrap_or_default();
        let code = error.code.as_deref().unwrap_or("FAILED");
        return failed(code, error.message.as_deref().unwrap_or("the node did not do it"));
    }
    let payload = match (payload, text) {
        (Some(payload), _) if !payload.is_null() => payload,
        (_, Some(text)) if text.len() > MAX_ANSWER_BYTES => Value::String(text),
        (_, Some(text)) => match serde_json::from_str(&text) {
            Ok(payload) => payload,
            Err(_) => return failed("BAD_ANSWER", "the node's answer is no JSON"),
        },
        _ => Value::Null,
    };
    if payload.to_string().len() > MAX_ANSWER_BYTES {
        return failed("ANSWER_TOO_LARGE", "the node's answer is too large");
    }
    NodeAnswer::Done(payload)
}

/// A node tells of something. Nothing here listens, and the node is told so.
pub(crate) fn event(_permit: &NodePermit, params: &EventParams) -> Value {
    let event = shortened(&params.event, 128);
    json!({"ok": true, "event": event, "handled": false, "reason": "unsupported"})
}

/// Nothing is kept for nodes that are away.
pub(crate) fn drain(permit: &NodePermit) -> Value {
    json!({"nodeId": permit.device(), "revision": 0, "items": [], "hasMore": false})
}

/// Nothing is kept for nodes that are away.
pub(crate) fn pull(permit: &NodePermit) -> Value {
    json!({"nodeId": permit.device(), "actions": []})
}

/// So nothing was done of it either.
pub(crate) fn acknowledge(permit: &NodePermit, params: &AckParams) -> Value {
    tracing::debug!(node = %permit.device(), count = params.ids.len(),
        "a node has done what nobody asked");
    json!({"nodeId": permit.device(), "ackedIds": [], "remainingCount": 0})
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{MAX_ANSWER_BYTES, NodeError, answer};
    use crate::invocations::NodeAnswer;

    #[test]
    fn an_answer_is_taken_as_a_value_or_as_text_and_has_a_bound() {
        let done = |value: Value| NodeAnswer::Done(value);
        assert_eq!(answer(true, Some(json!([1])), None, None), done(json!([1])));
        assert_eq!(answer(true, None, Some("{\"a\":1}".into()), None), done(json!({"a": 1})));
        assert_eq!(answer(true, None, None, None), done(Value::Null));
        let code = |answer| match answer {
            NodeAnswer::Done(_) => String::new(),
            NodeAnswer::Failed { code, .. } => code,
        };
        assert_eq!(code(answer(true, None, Some("{".into()), None)), "BAD_ANSWER");
        let error = NodeError { code: Some("NO_CAMERA".into()), message: None };
        assert_eq!(code(answer(false, Some(json!(1)), None, Some(error))), "NO_CAMERA");
        // Two quotes belong to it.
        let fits = json!("x".repeat(MAX_ANSWER_BYTES - 2));
        assert_eq!(code(answer(true, Some(fits), None, None)), "");
        let large = json!("x".repeat(MAX_ANSWER_BYTES - 1));
        assert_eq!(code(answer(true, Some(large), None, None)), "ANSWER_TOO_LARGE");
        let text = Some("x".repeat(MAX_ANSWER_BYTES + 1));
        assert_eq!(code(answer(true, None, text, None)), "ANSWER_TOO_LARGE");
    }
}
