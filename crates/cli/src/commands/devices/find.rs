//! Which request or device a text means: an id, or the only one that begins so.

use serde_json::Value;

use crate::failure::Failure;
use crate::render;

/// The request a text means.
pub(super) fn request(known: &Value, text: &str) -> Result<String, Failure> {
    let ids = ids(&known["pending"], "/requestId");
    only(ids, text, "request", "no request waits that begins with")
}

/// The request that came last.
pub(super) fn latest(known: &Value) -> Result<String, Failure> {
    let pending = known["pending"].as_array().into_iter().flatten();
    let latest = pending.max_by_key(|request| request["ts"].as_u64());
    let id = latest.map(|request| render::text(request, "/requestId"));
    id.ok_or_else(|| Failure::NotFound("no request waits".to_owned()))
}

/// The device a text means; its name will do where only one has it.
pub(super) fn device(known: &Value, text: &str) -> Result<String, Failure> {
    let named = |device: &&Value| {
        ["/operatorLabel", "/displayName"].iter().any(|name| render::text(device, name) == text)
    };
    let mut by_name = known["paired"].as_array().into_iter().flatten().filter(named);
    if let (Some(device), None) = (by_name.next(), by_name.next()) {
        return Ok(render::text(device, "/deviceId"));
    }
    let ids = ids(&known["paired"], "/deviceId");
    only(ids, text, "device", "no device is known by")
}

fn ids(list: &Value, path: &str) -> Vec<String> {
    list.as_array().into_iter().flatten().map(|item| render::text(item, path)).collect()
}

fn only(ids: Vec<String>, text: &str, what: &str, none: &str) -> Result<String, Failure> {
    if let Some(exact) = ids.iter().find(|id| *id == text) {
        return Ok(exact.clone());
    }
    let mut matching = ids.into_iter().filter(|id| !text.is_empty() && id.starts_with(text));
    match (matching.next(), matching.next()) {
        (Some(id), None) => Ok(id),
        (None, _) => Err(Failure::NotFound(format!("{none} '{text}'"))),
        (Some(_), Some(_)) => {
            Err(Failure::NotFound(format!("several {what}s begin with '{text}'; say more of it")))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::{device, latest, request};

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
}
