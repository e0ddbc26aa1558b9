//! A session as lists show it: the wire's row, and what our own commands show besides.

use hatchery_protocol::{RunId, RunStatus, RuntimeKind, Task};
use hatchery_spawn::Policy;
use hatchery_store::{ListedSession, RunView};
use serde::Serialize;
use serde_json::{Value, json};

use crate::session_row::{Activity, session_row};

/// How long a title made of a task is, in characters.
const TITLE_CHARACTERS: usize = 60;

/// How long the last message in a row is, in characters.
const PREVIEW_CHARACTERS: usize = 160;

/// What a row may show that costs something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct RowExtras {
    /// A title made of the task, for sessions without a label.
    pub(crate) title: bool,
    /// The last of what was said.
    pub(crate) last_message: bool,
}

/// The row of a session in a list: the wire's, and what our own commands show besides.
pub(crate) fn listed_row(
    listed: &ListedSession,
    activity: &Activity,
    policy: &Policy,
    extras: RowExtras,
) -> Value {
    let session = &listed.session;
    let run = session.run.as_ref();
    let of_a_run = session.kind.is_of_a_run();
    let mut row = session_row(session, activity);
    row["archived"] = json!(false);
    row["createdVia"] = json!(if of_a_run { "spawn" } else { "operator" });
    if !listed.children.is_empty() {
        row["childSessions"] = json!(listed.children);
    }
    if let Some(run) = run.filter(|_| of_a_run) {
        let leaf = run.depth >= policy.max_spawn_depth;
        row["subagentRole"] = json!(if leaf { "leaf" } else { "orchestrator" });
    }
    if row["model"].is_null()
        && let Some(agent) = policy.agents.get(&session.agent_id)
    {
        let (provider, model) = provider_and_name(&agent.model);
        row["modelProvider"] = json!(provider);
        row["model"] = json!(model);
    }
    let task = || run.map(|run| title(&run.task));
    let said = || run.and_then(|run| last_words(&run.outcome.as_ref()?.tail, PREVIEW_CHARACTERS));
    for (name, wanted, text) in [
        ("derivedTitle", extras.title, session.title.clone().or_else(task)),
        ("lastMessagePreview", extras.last_message, session.preview.clone().or_else(said)),
    ] {
        match text.filter(|text| wanted && !text.is_empty()) {
            Some(text) => row[name] = json!(shortened(&text, PREVIEW_CHARACTERS)),
            None => {
                row.as_object_mut().map(|row| row.remove(name));
            }
        }
    }
    for (name, value) in [
        ("id", json!(session.session_id)),
        ("type", json!(session.kind)),
        ("createdAtMs", json!(session.created_at_ms)),
        ("parent", json!(session.parent)),
        ("run", json!(run.map(RowRun::of))),
    ] {
        if !value.is_null() {
            row[name] = value;
        }
    }
    row
}

/// The run of a row: what it was asked and what it said are left to the details, so that a list
/// stays small whatever they are.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RowRun<'a> {
    run_id: &'a RunId,
    status: RunStatus,
    runtime: RuntimeKind,
    model: &'a str,
    workspace: &'a str,
    depth: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<RowOutcome<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RowOutcome<'a> {
    status: RunStatus,
    exit_code: Option<i32>,
    error: Option<&'a str>,
    output_bytes: u64,
    ended_at_ms: u64,
}

impl<'a> RowRun<'a> {
    fn of(run: &'a RunView) -> Self {
        Self {
            run_id: &run.run_id,
            status: run.status,
            runtime: run.runtime,
            model: &run.model,
            workspace: &run.workspace,
            depth: run.depth,
            outcome: run.outcome.as_ref().map(|outcome| RowOutcome {
                status: outcome.status,
                exit_code: outcome.exit_code,
                error: outcome.error.as_deref(),
                output_bytes: outcome.output_bytes,
                ended_at_ms: outcome.ended_at_ms,
            }),
        }
    }
}

/// The two parts of a model's name; a model without a provider is its own.
pub(crate) fn provider_and_name(model: &str) -> (&str, &str) {
    model.split_once('/').unwrap_or((model, model))
}

/// A short name made of a task: the beginning of its first line.
pub(crate) fn title(task: &Task) -> String {
    let text = hatchery_agent::command_line(task);
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
    shortened(line, TITLE_CHARACTERS)
}

/// The end of what was said, in one line; none where nothing was.
pub(crate) fn last_words(text: &str, characters: usize) -> Option<String> {
    let line = text.lines().rev().find(|line| !line.trim().is_empty())?.trim();
    Some(shortened(line, characters))
}

/// A text of at most so many characters; what was cut off shows as an ellipsis.
pub(crate) fn shortened(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        None => text.to_owned(),
        Some(_) => {
            let kept: String = text.chars().take(characters.saturating_sub(1)).collect();
            format!("{}…", kept.trim_end())
        }
    }
}

#[cfg(test)]
mod tests {
    use hatchery_protocol::Task;

    use super::{last_words, provider_and_name, shortened, title};

    #[test]
    fn a_text_is_cut_at_its_limit_and_not_before() {
        assert_eq!(shortened("abcd", 4), "abcd");
        assert_eq!(shortened("abcde", 4), "abc…");
        assert_eq!(shortened("äöüßé", 4), "äöü…");
    }

    #[test]
    fn a_title_is_the_first_line_that_says_something() {
        assert_eq!(title(&Task::Text("\n  do it\nnow".to_owned())), "do it");
        assert_eq!(title(&Task::Text(String::new())), "");
        assert_eq!(title(&Task::Text("x".repeat(100))).chars().count(), 60);
    }

    #[test]
    fn the_last_words_are_the_last_line_that_says_something() {
        assert_eq!(last_words("a\nb\n\n", 10).as_deref(), Some("b"));
        assert_eq!(last_words(" \n", 10), None);
    }

    #[test]
    fn a_model_has_a_provider() {
        assert_eq!(provider_and_name("openai/gpt/5"), ("openai", "gpt/5"));
        assert_eq!(provider_and_name("shell"), ("shell", "shell"));
    }
}
