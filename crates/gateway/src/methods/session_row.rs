//! A session as lists show it: the wire's row, and what our own commands show besides.

use hatchery_protocol::{
    AgentId, RunId, RunStatus, RuntimeKind, SessionId, SessionKey, SessionKind, Task,
};
use hatchery_spawn::Policy;
use hatchery_store::{ListedSession, RunView};
use serde::Serialize;

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

/// A row. Its first part is the wire's (OpenClaw protocol §3.2), the rest our own.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SessionRow<'a> {
    key: &'a SessionKey,
    kind: &'static str,
    session_id: &'a SessionId,
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
    started_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    runtime_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_provider: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,

    /// What it is for, in our own words.
    #[serde(rename = "type")]
    purpose: SessionKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<&'a SessionId>,
    created_at_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<RowRun<'a>>,
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
        let model = match (run, policy.agents.get(&session.agent_id)) {
            (Some(run), _) => Some(run.model.as_str()),
            (None, agent) => agent.map(|agent| agent.model.as_str()),
        };
        let (model_provider, model) = model.map(provider_and_name).unzip();
        let label = session.label.as_deref();
        Self {
            key: &session.key,
            kind: "direct",
            session_id: &session.session_id,
            agent_id: &session.agent_id,
            label,
            display_name: label,
            derived_title: run.filter(|_| extras.title).map(|run| title(&run.task)),
            last_message_preview: outcome
                .filter(|_| extras.last_message)
                .and_then(|outcome| last_words(&outcome.tail, PREVIEW_CHARACTERS)),
            is_main: session.kind == SessionKind::Main,
            archived: false,
            created_via: if run.is_some() { "spawn" } else { "operator" },
            created_at: session.created_at_ms,
            updated_at: ended_at.unwrap_or(session.created_at_ms),
            spawned_by: parent_key.as_ref(),
            parent_session_key: parent_key.as_ref(),
            child_sessions: children,
            spawn_depth: run.map(|run| run.depth),
            subagent_role: run.map(|run| {
                if run.depth < policy.max_spawn_depth { "orchestrator" } else { "leaf" }
            }),
            status: run.map(|run| wire_status(run.status)),
            has_active_run: run.is_some_and(|run| !run.status.is_final()),
            started_at: run
                .filter(|run| run.status != RunStatus::Accepted)
                .map(|_| session.created_at_ms),
            ended_at,
            runtime_ms: ended_at.map(|ended| ended.saturating_sub(session.created_at_ms)),
            model_provider,
            model,
            purpose: session.kind,
            parent: session.parent.as_ref(),
            created_at_ms: session.created_at_ms,
            run: run.map(RowRun::of),
        }
    }
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
        RunStatus::Starting | RunStatus::Running => "running",
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
