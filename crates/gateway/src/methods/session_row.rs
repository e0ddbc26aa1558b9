//! A session as lists show it: the wire's row, and what our own commands show besides.

use std::collections::BTreeMap;

use hatchery_protocol::{
    AgentId, RunId, RunStatus, RuntimeKind, SessionId, SessionKey, SessionKind, Task,
};
use hatchery_spawn::Policy;
use hatchery_store::{ListedSession, ReadError, RunView, SessionQuery, SessionView, Store};
use serde::Serialize;
use serde_json::Value;

/// How long a title made of a task is, in characters.
const TITLE_CHARACTERS: usize = 60;

/// Settings that a row tells in fields of its own.
const SAID_ABOVE: [&str; 3] = ["archived", "label", "model"];

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

/// A row. Its first part is the wire's (OpenClaw protocol §3.2), the rest our own.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SessionRow<'a> {
    key: &'a SessionKey,
    kind: &'static str,
    /// The name of its transcript: another one each time the session begins anew.
    session_id: String,
    agent_id: &'a AgentId,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    derived_title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_message_preview: Option<String>,
    is_main: bool,
    archived: bool,
    created_via: &'static str,
    created_at: u64,
    updated_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    spawned_by: Option<&'a SessionKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_session_key: Option<&'a SessionKey>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    child_sessions: &'a [SessionKey],
    #[serde(skip_serializing_if = "Option::is_none")]
    spawn_depth: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subagent_role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    has_active_run: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    active_run_ids: Option<[&'a str; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aborted_last_run: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    runtime_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_provider: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    tokens: Option<RowTokens>,
    /// What is set for it and says nothing else of what stands above.
    #[serde(flatten)]
    settings: BTreeMap<&'a str, &'a Value>,

    /// Its id, which stays the same however often it begins anew.
    id: &'a SessionId,
    /// What it is for, in our own words.
    #[serde(rename = "type")]
    purpose: SessionKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<&'a SessionId>,
    created_at_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<RowRun<'a>>,
}

/// The tokens of the last run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RowTokens {
    input_tokens: u64,
    output_tokens: u64,
    total_tokens: u64,
    total_tokens_fresh: bool,
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

impl<'a> SessionRow<'a> {
    pub(crate) fn of(listed: &'a ListedSession, policy: &'a Policy, extras: RowExtras) -> Self {
        let ListedSession { session, parent_key, children } = listed;
        let run = session.run.as_ref();
        let outcome = run.and_then(|run| run.outcome.as_ref());
        let ended_at = outcome.map(|outcome| outcome.ended_at_ms);
        let of_a_run = run.filter(|_| session.kind.is_of_a_run());
        let set = session.settings.get("model").and_then(Value::as_str);
        let own = || policy.agents.get(&session.agent_id).map(|agent| agent.model.as_str());
        let model = set.or(run.map(|run| run.model.as_str())).or_else(own);
        let (model_provider, model) = model.map(provider_and_name).unzip();
        let label = session.label.as_deref();
        Self {
            key: &session.key,
            kind: if session.kind == SessionKind::Group { "group" } else { "direct" },
            session_id: session.transcript_id(),
            agent_id: &session.agent_id,
            label,
            display_name: label,
            derived_title: extras.title.then(|| made_title(session)).flatten(),
            last_message_preview: extras.last_message.then(|| preview(session)).flatten(),
            is_main: session.kind == SessionKind::Main,
            archived: session.archived_at_ms.is_some()
                || session.settings.get("archived") == Some(&Value::Bool(true)),
            created_via: if of_a_run.is_some() { "spawn" } else { "operator" },
            created_at: session.created_at_ms,
            updated_at: session.updated_at_ms,
            spawned_by: parent_key.as_ref(),
            parent_session_key: parent_key.as_ref(),
            child_sessions: children,
            spawn_depth: of_a_run.map(|run| run.depth),
            subagent_role: of_a_run.map(|run| {
                if run.depth < policy.max_spawn_depth { "orchestrator" } else { "leaf" }
            }),
            status: run.map(|run| wire_status(run.status)),
            has_active_run: run.is_some_and(|run| !run.status.is_final()),
            active_run_ids: run.filter(|run| !run.status.is_final()).map(|run| [run.name.as_str()]),
            aborted_last_run: outcome.map(|outcome| outcome.status == RunStatus::Cancelled),
            started_at: run
                .filter(|run| run.status != RunStatus::Accepted)
                .map(|run| run.accepted_at_ms),
            ended_at,
            runtime_ms: run
                .zip(ended_at)
                .map(|(run, ended)| ended.saturating_sub(run.accepted_at_ms)),
            model_provider,
            model,
            tokens: outcome.and_then(|outcome| outcome.usage).map(|usage| RowTokens {
                input_tokens: usage.input_tokens,
                output_tokens: usage.output_tokens,
                total_tokens: usage.input_tokens + usage.output_tokens,
                total_tokens_fresh: true,
            }),
            settings: session
                .settings
                .iter()
                .filter(|(name, _)| !SAID_ABOVE.contains(&name.as_str()))
                .map(|(name, value)| (name.as_str(), value))
                .collect(),
            id: &session.session_id,
            purpose: session.kind,
            parent: session.parent.as_ref(),
            created_at_ms: session.created_at_ms,
            run: run.map(RowRun::of),
        }
    }
}

/// The row of one session, null where there is none.
pub(crate) fn row_of(store: &Store, policy: &Policy, key: &SessionKey) -> Result<Value, ReadError> {
    let named = Some(key.as_str().to_owned());
    let query = SessionQuery { limit: 1, named, ..SessionQuery::default() };
    let page = store.list_sessions(&query)?;
    let extras = RowExtras { title: true, last_message: true };
    let row = page.sessions.first().map(|listed| SessionRow::of(listed, policy, extras));
    Ok(serde_json::to_value(row)?)
}

/// A title made of what was said first.
fn made_title(session: &SessionView) -> Option<String> {
    let first = || session.run.as_ref().map(|run| title(&run.task));
    session.title.as_deref().map(|said| shortened(said, TITLE_CHARACTERS)).or_else(first)
}

fn preview(session: &SessionView) -> Option<String> {
    let outcome = || session.run.as_ref().and_then(|run| run.outcome.as_ref());
    let last = || last_words(&outcome()?.tail, PREVIEW_CHARACTERS);
    session.preview.clone().filter(|said| !said.is_empty()).or_else(last)
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

/// A run's state in the words of the wire.
pub(crate) fn wire_status(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Accepted => "queued",
        RunStatus::Starting | RunStatus::Running | RunStatus::Waiting => "running",
        RunStatus::Ok => "done",
        RunStatus::Failed | RunStatus::Interrupted => "failed",
        RunStatus::TimedOut => "timeout",
        RunStatus::Cancelled => "killed",
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
