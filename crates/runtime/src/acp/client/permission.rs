//! An agent asks whether it may do something.
//!
//! There is nobody to ask yet, so the answer is no, at once: an agent that waits for an answer
//! hangs, and a yes is not ours to give.

use serde_json::{Value, json};

/// The answer that says no to `params`, this time only. Options are told apart by kind: their
/// ids are whatever the agent likes, and their order means nothing.
pub(crate) fn refuse(params: &Value) -> Value {
    let options = params.get("options").and_then(Value::as_array);
    let reject_once = options.into_iter().flatten().find(|option| option["kind"] == "reject_once");
    match reject_once.and_then(|option| option.get("optionId")) {
        Some(id) => json!({ "outcome": { "outcome": "selected", "optionId": id } }),
        None => json!({ "outcome": { "outcome": "cancelled" } }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::refuse;

    #[test]
    fn nothing_is_ever_allowed() {
        let rejected = json!({ "outcome": { "outcome": "selected", "optionId": "no" } });
        let cancelled = json!({ "outcome": { "outcome": "cancelled" } });
        let always = json!({ "optionId": "ever", "kind": "allow_always" });
        let never = json!({ "optionId": "never", "kind": "reject_always" });
        let no = json!({ "optionId": "no", "kind": "reject_once" });
        for (params, answer) in [
            (json!({ "options": [always, never, no] }), &rejected),
            (json!({ "options": [always, never] }), &cancelled),
            (json!({ "options": [{ "kind": "reject_once" }] }), &cancelled),
            (json!({ "options": [] }), &cancelled),
            (json!({ "options": 3 }), &cancelled),
            (Value::Null, &cancelled),
        ] {
            assert_eq!(&refuse(&params), answer, "{params}");
        }
    }
}
