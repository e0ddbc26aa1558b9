//! Which request, device or node a text means: an id, the only one that begins so, or a name.

use serde_json::Value;

use crate::failure::Failure;
use crate::render;

/// The words for a kind of thing.
struct Kind {
    /// What it is.
    noun: &'static str,
    /// Where its id stands.
    id: &'static str,
    /// The beginning of a sentence for where there is none.
    none: &'static str,
    /// The command that shows all of them.
    look: &'static str,
}

const DEVICE_REQUEST: Kind = Kind {
    noun: "request",
    id: "/requestId",
    none: "no request waits that begins with",
    look: "hatchery devices list",
};

const NODE_REQUEST: Kind = Kind { look: "hatchery nodes list", ..DEVICE_REQUEST };

const DEVICE: Kind = Kind {
    noun: "device",
    id: "/deviceId",
    none: "no device is known by",
    look: "hatchery devices list",
};

const NODE: Kind =
    Kind { noun: "node", id: "/nodeId", none: "no node is known by", look: "hatchery nodes list" };

/// The request of a device that a text means.
pub(super) fn device_request(known: &Value, text: &str) -> Result<String, Failure> {
    only(&known["pending"], text, &DEVICE_REQUEST)
}

/// The request of a node that a text means.
pub(super) fn node_request(known: &Value, text: &str) -> Result<String, Failure> {
    only(&known["pending"], text, &NODE_REQUEST)
}

/// The request of a device that came last.
pub(super) fn latest(known: &Value) -> Result<String, Failure> {
    let pending = known["pending"].as_array().into_iter().flatten();
    let latest = pending.max_by_key(|request| request["ts"].as_u64());
    let id = latest.map(|request| render::text(request, DEVICE_REQUEST.id));
    id.ok_or_else(|| not_found("no request waits".to_owned(), &DEVICE_REQUEST))
}

/// The device a text means; its name will do where only one has it.
pub(super) fn device(known: &Value, text: &str) -> Result<String, Failure> {
    by_name(&known["paired"], text, &DEVICE)
}

/// The node a text means; its name will do where only one has it.
pub(super) fn node(known: &Value, text: &str) -> Result<String, Failure> {
    by_name(&known["paired"], text, &NODE)
}

fn by_name(list: &Value, text: &str, kind: &Kind) -> Result<String, Failure> {
    let named = |one: &&Value| {
        !text.is_empty()
            && ["/operatorLabel", "/displayName"].iter().any(|name| render::text(one, name) == text)
    };
    let mut by_name = list.as_array().into_iter().flatten().filter(named);
    if let (Some(one), None) = (by_name.next(), by_name.next()) {
        return Ok(render::text(one, kind.id));
    }
    only(list, text, kind)
}

fn only(list: &Value, text: &str, kind: &Kind) -> Result<String, Failure> {
    let ids = list.as_array().into_iter().flatten().map(|item| render::text(item, kind.id));
    let mut matching = Vec::new();
    for id in ids {
        if id == text {
            return Ok(id);
        }
        if !text.is_empty() && id.starts_with(text) {
            matching.push(id);
        }
    }
    match (matching.pop(), matching.is_empty()) {
        (Some(id), true) => Ok(id),
        (None, _) => Err(not_found(format!("{} '{text}'", kind.none), kind)),
        (Some(_), false) => {
            let message = format!("several {}s begin with '{text}'; say more of it", kind.noun);
            Err(not_found(message, kind))
        }
    }
}

fn not_found(message: String, kind: &Kind) -> Failure {
    Failure::NotFound { message, look: kind.look }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::{device, device_request as request, latest, node, node_request};

    #[test]
    fn an_id_a_prefix_or_a_name_will_do_where_only_one_is_meant() {
        let known = json!({
            "pending": [{"requestId": "ab1", "ts": 5}, {"requestId": "ab2", "ts": 7},
                {"requestId": "c", "ts": 6}, {"requestId": "ca", "ts": 1}],
            "paired": [{"deviceId": "f00", "displayName": "phone"},
                {"deviceId": "f11", "operatorLabel": "desk", "displayName": "phone"}],
        });
        assert_eq!(request(&known, "ab1").unwrap(), "ab1");
        assert_eq!(request(&known, "c").unwrap(), "c");
        assert_eq!(latest(&known).unwrap(), "ab2");
        assert_eq!(device(&known, "f0").unwrap(), "f00");
        assert_eq!(device(&known, "desk").unwrap(), "f11");
        for text in ["", "ab", "x"] {
            assert!(request(&known, text).is_err(), "{text}");
        }
        for text in ["", "f", "phone", "nobody"] {
            assert!(device(&known, text).is_err(), "{text}");
        }
        assert!(latest(&json!({"pending": []})).is_err());
    }
    #[test]
    fn what_is_no_node_is_looked_for_among_nodes() {
        let known = json!({
            "pending": [{"requestId": "ab1", "nodeId": "f00"}],
            "paired": [{"nodeId": "f00", "displayName": "camera"}],
        });
        assert_eq!(node(&known, "camera").unwrap(), "f00");
        assert_eq!(node_request(&known, "ab").unwrap(), "ab1");
        for failure in [node(&known, "x").unwrap_err(), node_request(&known, "x").unwrap_err()] {
            assert_eq!(failure.remedy(), Some("hatchery nodes list"), "{failure}");
        }
    }
}
