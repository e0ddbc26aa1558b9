//! What an agent's updates say of what it is at.
//!
//! An update is partial as often as not: it names a call only by the id it had before. So calls
//! that go on are remembered, no more of them than there are limits here. What an update adds
//! nothing to is a sign of life still.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::spending::Spending;
use crate::Progress;

/// The most calls that are remembered at a time.
const CALLS: usize = 256;

/// The longest id of a call that is remembered, in bytes.
const CALL_ID: usize = 256;

/// How much of a call's kind and title is remembered, in characters: more than is ever told.
const REMEMBERED: usize = 512;

/// The most files of a run that are told.
pub(crate) const FILES: usize = 100;

/// The longest path that is told, in bytes.
pub(crate) const PATH: usize = 1024;

/// What is known so far of what an agent is at.
#[derive(Debug, Default)]
pub(crate) struct Signs {
    calls: HashMap<String, Call>,
    touched: HashSet<PathBuf>,
    spending: Spending,
}

/// A call that goes on, as it was last described.
#[derive(Clone, Debug, Default)]
struct Call {
    kind: Option<String>,
    title: Option<String>,
    /// The step it was told as.
    step: Option<String>,
}

impl Signs {
    /// What an update means beside the words of the answer that may be in it: at least that the
    /// agent lives.
    pub(crate) fn of_update(&mut self, update: &Value) -> Vec<Progress> {
        let mut signs = match update.get("sessionUpdate").and_then(Value::as_str) {
            Some("tool_call" | "tool_call_update") => self.of_call(update),
            _ => Vec::new(),
        };
        signs.extend(self.spending.update(update).map(Progress::Spent));
        if signs.is_empty() {
            signs.push(Progress::Alive);
        }
        signs
    }

    /// What a call means, however partially it is described.
    pub(crate) fn of_call(&mut self, call: &Value) -> Vec<Progress> {
        let mut signs: Vec<Progress> = self.step(call).map(Progress::Step).into_iter().collect();
        signs.extend(self.files(call).into_iter().map(Progress::Touched));
        signs
    }

    /// What the end of the turn says of what it has used up.
    pub(crate) fn of_end(&mut self, answer: &Value) -> Option<Progress> {
        self.spending.end(answer).map(Progress::Spent)
    }

    /// The step a call is, where it was not told by that name before.
    fn step(&mut self, call: &Value) -> Option<String> {
        let text = |field: &str| call.get(field).and_then(Value::as_str);
        let id = text("toolCallId").filter(|id| id.len() <= CALL_ID);
        let before = id.and_then(|id| self.calls.get(id)).cloned().unwrap_or_default();
        let beginning = |text: &str| text.chars().take(REMEMBERED).collect::<String>();
        let kind = text("kind").map(beginning).or(before.kind);
        let title = text("title").map(beginning).or(before.title);
        let kind_or_other = kind.as_deref().unwrap_or("other");
        let step = title.as_deref().and_then(|title| Progress::step(kind_or_other, title));
        let is_new = step != before.step;
        let Some(id) = id else { return step };
        if matches!(text("status"), Some("completed" | "failed")) {
            self.calls.remove(id);
        } else if kind.is_some() || title.is_some() {
            self.remember(id, Call { kind, title, step: step.clone() });
        }
        step.filter(|_| is_new)
    }

    fn remember(&mut self, id: &str, call: Call) {
        if self.calls.len() < CALLS || self.calls.contains_key(id) {
            self.calls.insert(id.to_owned(), call);
        }
    }

    /// The files a call is about that were not told before.
    fn files(&mut self, call: &Value) -> Vec<PathBuf> {
        let list = |field: &str| call.get(field).and_then(Value::as_array).into_iter().flatten();
        let diffs = list("content").filter(|content| content["type"] == "diff");
        let mut files = Vec::new();
        for place in list("locations").chain(diffs) {
            let Some(path) = place.get("path").and_then(Value::as_str) else { continue };
            let is_path = path.len() <= PATH
                && Path::new(path).is_absolute()
                && !path.chars().any(char::is_control);
            if is_path && self.touched.len() < FILES && self.touched.insert(path.into()) {
                files.push(path.into());
            }
        }
        files
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::PathBuf;

    use hatchery_agent::Usage;
    use serde_json::{Value, json};

    use super::{CALLS, FILES, PATH, Signs};
    use crate::{Progress, Spent};

    fn step(text: &str) -> Progress {
        Progress::Step(text.to_owned())
    }

    fn touched(path: impl Into<PathBuf>) -> Progress {
        Progress::Touched(path.into())
    }

    fn call(kind: &str, fields: Value) -> Value {
        let mut update = json!({ "sessionUpdate": kind, "toolCallId": "1" });
        update.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        update
    }

    #[test]
    fn a_call_is_told_when_it_begins_and_when_its_name_changes() {
        let mut signs = Signs::default();
        for (update, told) in [
            (
                call("tool_call", json!({ "kind": "execute", "title": "npm test" })),
                step("execute: npm test"),
            ),
            (call("tool_call_update", json!({ "status": "in_progress" })), Progress::Alive),
            (call("tool_call_update", json!({ "title": "npm test" })), Progress::Alive),
            (
                call("tool_call_update", json!({ "title": "npm run all" })),
                step("execute: npm run all"),
            ),
            (call("tool_call_update", json!({ "kind": "read" })), step("read: npm run all")),
            (call("tool_call_update", json!({ "status": "completed" })), Progress::Alive),
            // Its name is forgotten with its end.
            (call("tool_call_update", json!({ "status": "in_progress" })), Progress::Alive),
        ] {
            assert_eq!(signs.of_update(&update), [told], "{update}");
        }
        assert!(signs.calls.is_empty());
    }

    #[test]
    fn a_call_that_gets_its_proper_name_with_its_end_is_told_by_it() {
        let mut signs = Signs::default();
        let begun = call("tool_call", json!({ "kind": "read", "title": "read" }));
        assert_eq!(signs.of_update(&begun), [step("read: read")]);
        let ended = call("tool_call_update", json!({ "status": "completed", "title": "a.txt" }));
        assert_eq!(signs.of_update(&ended), [step("read: a.txt")]);
        assert!(signs.calls.is_empty());
    }

    #[test]
    fn whatever_an_update_is_it_is_a_sign_of_life() {
        for update in [
            json!({ "sessionUpdate": "agent_thought_chunk", "content": { "text": "hm" } }),
            json!({ "sessionUpdate": "plan", "entries": [] }),
            json!({ "sessionUpdate": "news", "title": "x", "locations": [{ "path": "/a" }] }),
            json!({ "sessionUpdate": "tool_call" }),
            json!({ "sessionUpdate": "tool_call_update", "toolCallId": 7, "title": ["x"] }),
            json!({ "sessionUpdate": "tool_call", "title": "\u{7}\n", "locations": "x" }),
            json!("odd"),
            Value::Null,
        ] {
            assert_eq!(Signs::default().of_update(&update), [Progress::Alive], "{update}");
        }
    }

    #[test]
    fn files_are_told_once_and_only_by_absolute_paths() {
        let mut signs = Signs::default();
        let update = call(
            "tool_call",
            json!({
                "locations": [
                    { "path": "/a b", "line": 3 }, { "path": "/a b" }, { "path": "b" }, { "path": 7 },
                    { "path": "/line\nfeed" }, {}, { "path": "file:///c" },
                ],
                "content": [
                    { "type": "diff", "path": "/d", "newText": "x" },
                    { "type": "content", "path": "/e" },
                ],
            }),
        );
        assert_eq!(signs.of_update(&update), [touched("/a b"), touched("/d")]);
        assert_eq!(signs.of_update(&update), [Progress::Alive]);
    }

    #[test]
    fn files_have_their_limits() {
        let at =
            |path: String| call("tool_call_update", json!({ "locations": [{ "path": path }] }));
        let mut signs = Signs::default();
        let longest = format!("/{}", "x".repeat(PATH - 1));
        assert_eq!(signs.of_update(&at(format!("{longest}x"))), [Progress::Alive]);
        assert_eq!(signs.of_update(&at(longest.clone())), [touched(longest)]);
        for number in 1..FILES {
            let path = format!("/{number}");
            assert_eq!(signs.of_update(&at(path.clone())), [touched(path)]);
        }
        assert_eq!(signs.of_update(&at("/more".to_owned())), [Progress::Alive]);
    }

    #[test]
    fn calls_beyond_the_limit_are_told_and_not_remembered() {
        let mut signs = Signs::default();
        let named = |id: usize| json!({ "toolCallId": format!("{id}"), "title": "t" });
        for id in 0..=CALLS {
            assert_eq!(signs.of_call(&named(id)), [step("other: t")]);
        }
        assert_eq!(signs.calls.len(), CALLS);
        assert_eq!(signs.of_call(&named(0)), []);
        assert_eq!(signs.of_call(&named(CALLS)), [step("other: t")]);
        let long = json!({ "toolCallId": "x".repeat(300), "title": "t" });
        assert_eq!(signs.of_call(&long), signs.of_call(&long));
    }

    #[test]
    fn what_was_used_up_is_told_where_it_changes() {
        let mut signs = Signs::default();
        let update = json!({
            "sessionUpdate": "usage_update", "used": 5, "size": 10,
            "cost": { "amount": 0.5, "currency": "USD" },
        });
        let spent = Spent { tokens: None, micro_dollars: Some(500_000) };
        assert_eq!(signs.of_update(&update), [Progress::Spent(spent)]);
        assert_eq!(signs.of_update(&update), [Progress::Alive]);
        let end = json!({ "usage": { "inputTokens": 3, "outputTokens": 4 } });
        let tokens = Usage { input_tokens: 3, output_tokens: 4, cached_tokens: 0 };
        let spent = Spent { tokens: Some(tokens), ..spent };
        assert_eq!(signs.of_end(&end), Some(Progress::Spent(spent)));
    }
}
