//! How devices and requests look on a terminal.

use serde_json::Value;

use crate::render;

/// Enough of an id for people to tell devices apart.
pub(super) fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// How people know a device: what the owner calls it, what it calls itself, its program.
pub(super) fn name(device: &Value) -> String {
    ["/operatorLabel", "/displayName", "/clientId"]
        .iter()
        .map(|path| render::text(device, path))
        .find(|text| !text.is_empty())
        .unwrap_or_else(|| short(&render::text(device, "/deviceId")).to_owned())
}

/// Scopes without the prefix they all have.
pub(super) fn scopes(scopes: &Value) -> String {
    let scopes = scopes.as_array().into_iter().flatten().filter_map(Value::as_str);
    let scopes: Vec<&str> =
        scopes.map(|scope| scope.strip_prefix("operator.").unwrap_or(scope)).collect();
    if scopes.is_empty() { "nothing".to_owned() } else { scopes.join(" ") }
}

/// The requests that wait, the devices there are, and how the file stands where it does not stand
/// well.
pub(super) fn all(answer: &Value) -> String {
    let list = |name: &str| answer[name].as_array().map_or(&[][..], Vec::as_slice);
    let (pending, paired) = (list("pending"), list("paired"));
    let mut parts = Vec::new();
    if !pending.is_empty() {
        let head = ["REQUEST", "DEVICE", "WANTS", "WHY", "FROM", "SINCE"];
        let table = render::table(&head, pending.iter().map(request_row).collect());
        parts.push(format!(
            "Waiting to be approved:\n{table}\nLet one in with `hatchery devices approve <REQUEST>`"
        ));
    }
    if paired.is_empty() && pending.is_empty() {
        parts.push(
            "No device is paired and none waits. `hatchery pair` shows a code that lets one in."
                .to_owned(),
        );
    } else if !paired.is_empty() {
        let head = ["DEVICE", "NAME", "MAY", "PLATFORM", "LAST SEEN", ""];
        parts.push(render::table(&head, paired.iter().map(device_row).collect()));
    }
    parts.extend(store(&answer["store"]));
    parts.join("\n\n")
}

fn request_row(request: &Value) -> Vec<String> {
    let why = render::text(request, "/reason");
    let wants = match render::text(request, "/role").as_str() {
        "operator" => scopes(&request["scopes"]),
        role => format!("to be a {role}"),
    };
    vec![
        render::text(request, "/requestId"),
        name(request),
        wants,
        why,
        render::text(request, "/remoteIp"),
        render::moment(request["ts"].as_u64().unwrap_or_default()),
    ]
}

fn device_row(device: &Value) -> Vec<String> {
    let roles: Vec<&str> =
        device["roles"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let may = match scopes(&device["scopes"]) {
        none if none == "nothing" => roles.join(" "),
        scopes => scopes,
    };
    let tokens = device["tokens"].as_array().map_or(&[][..], Vec::as_slice);
    let revoked = !tokens.is_empty() && tokens.iter().all(|token| !token["revokedAtMs"].is_null());
    let state = if revoked {
        "revoked"
    } else if device["connected"] == true {
        "connected"
    } else {
        ""
    };
    let seen = device["lastSeenAtMs"].as_u64().map_or_else(|| "-".to_owned(), render::moment);
    vec![
        short(&render::text(device, "/deviceId")).to_owned(),
        name(device),
        may,
        render::text(device, "/platform"),
        seen,
        state.to_owned(),
    ]
}

/// What is wrong with the file, if something is.
fn store(store: &Value) -> Option<String> {
    let path = render::text(store, "/path");
    let particulars = render::text(store, "/particulars");
    let words = match store["condition"].as_str()? {
        "damaged" => format!("{path}: {particulars}. Every device has to pair again."),
        "read-only" => format!(
            "{path} is read-only: what is decided now ends with the gateway.\n  try: chmod u+w {path}"
        ),
        "unavailable" => format!(
            "{path} cannot be used: {particulars}. What is decided now ends with the gateway.\n  try: mv {path} {path}.old && hatchery gateway restart"
        ),
        _ => return None,
    };
    Some(words)
}

/// An explanation, a line for each rule.
pub(super) fn explanation(answer: &Value) -> String {
    let rules = answer["rules"].as_array().into_iter().flatten();
    let rows = rules
        .map(|rule| {
            let mark = if rule["holds"] == true { "yes" } else { "no" };
            vec![mark.to_owned(), render::text(rule, "/rule"), render::text(rule, "/says")]
        })
        .collect();
    let mut text = format!("{}\n\n{}", render::text(answer, "/subject"), render::rows(rows));
    for command in answer["commands"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        text.push_str("\n  try: ");
        text.push_str(command);
    }
    text
}
