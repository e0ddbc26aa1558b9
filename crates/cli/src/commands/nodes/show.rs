//! How nodes and what they offer look on a terminal.

use serde_json::Value;

use crate::render;

/// Enough of an id for people to tell nodes apart.
pub(super) fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// How people know a node.
pub(super) fn name(node: &Value) -> String {
    let name = render::text(node, "/displayName");
    if name.is_empty() { short(&render::text(node, "/nodeId")).to_owned() } else { name }
}

/// The words of a list.
pub(super) fn words(list: &Value) -> String {
    let words: Vec<&str> =
        list.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(" ") }
}

/// What nodes offer that nobody has approved, and the nodes there are.
pub(super) fn all(answer: &Value) -> String {
    let list = |name: &str| answer[name].as_array().map_or(&[][..], Vec::as_slice);
    let (pending, paired) = (list("pending"), list("paired"));
    if pending.is_empty() && paired.is_empty() {
        return "No node is paired. `hatchery pair --role node` shows a code that lets one in."
            .to_owned();
    }
    let mut parts = Vec::new();
    if !pending.is_empty() {
        let head = ["REQUEST", "NODE", "OFFERS", "SINCE"];
        let rows = pending.iter().map(|request| request_row(request, paired)).collect();
        parts.push(format!(
            "Waiting to be approved:\n{}\nLet others use it with `hatchery nodes approve <REQUEST>`",
            render::table(&head, rows)
        ));
    }
    let head = ["NODE", "NAME", "MAY BE ASKED", "PLATFORM", "LAST SEEN", ""];
    parts.push(render::table(&head, paired.iter().map(node_row).collect()));
    parts.join("\n\n")
}

fn request_row(request: &Value, paired: &[Value]) -> Vec<String> {
    let node = paired.iter().find(|node| node["nodeId"] == request["nodeId"]);
    vec![
        render::text(request, "/requestId"),
        name(node.unwrap_or(request)),
        words(&request["commands"]),
        render::moment(request["ts"].as_u64().unwrap_or_default()),
    ]
}

fn node_row(node: &Value) -> Vec<String> {
    let seen = node["lastSeenAtMs"].as_u64().map_or_else(|| "-".to_owned(), render::moment);
    let state = if node["connected"] == true { "connected" } else { "" };
    vec![
        short(&render::text(node, "/nodeId")).to_owned(),
        name(node),
        words(&node["approvedCommands"]),
        render::text(node, "/platform"),
        seen,
        state.to_owned(),
    ]
}

/// What a node answered: a text as it is, anything else as JSON.
pub(super) fn payload(payload: &Value) -> String {
    match payload {
        Value::Null => "Done".to_owned(),
        Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_else(|_| other.to_string()),
    }
}
