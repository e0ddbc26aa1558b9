//! `/subagents`: starting, looking at and stopping the sub-agents of a session.

use hatchery_access::Refusal;
use hatchery_protocol::{RuntimeKind, SpawnParams, Task, WireError};
use hatchery_spawn::Asked;
use hatchery_store::{HistoryItem, SessionFilter, SessionView};

use super::Said;
use super::parse::SpawnWords;
use crate::methods::sessions::reading;
use crate::methods::{conversation, saying};
use crate::supervisor::Directories;

/// How many sub-agents of a session are looked at, the newest.
const MAX_LISTED: u32 = 100;

/// The most of a log that is shown, in bytes.
const MAX_LOG: usize = 16 * 1024;

impl Said<'_> {
    /// Starts a sub-agent by the caller's own authority. It belongs to the session, which is told
    /// its result.
    pub(super) async fn spawn(&self, words: SpawnWords) -> Result<String, WireError> {
        let task = Task::Text(words.task);
        saying::check(&task)?;
        let policy = self.shared.supervisor.settings.policy();
        let harness =
            words.agent.as_ref().and_then(|agent| policy.agents.get(agent)?.harness.as_ref());
        let runtime = if harness.is_some() { RuntimeKind::Acp } else { RuntimeKind::Local };
        let params = SpawnParams {
            agent_id: words.agent,
            runtime: Some(runtime),
            model: words.model,
            label: words.label,
            ..SpawnParams::new(task)
        };
        let directories =
            Directories { cwd: None, caller_cwd: conversation::workspace(self.shared)? };
        let asked = Asked { key: self.key.to_owned(), turn: false };
        let accepted = self
            .shared
            .supervisor
            .spawn_in(self.permit, params, directories, &self.session.session_id, asked)
            .await?;
        Ok(format!(
            "Started the sub-agent {} in {} (run {}). Its result will be told here.",
            accepted.agent_id, accepted.session_id, accepted.run_id
        ))
    }

    pub(super) async fn list(&self) -> Result<String, WireError> {
        let children = self.children().await?;
        if children.is_empty() {
            return Ok("This session has no sub-agents.".to_owned());
        }
        let lines =
            children.iter().enumerate().map(|(at, child)| format!("{}. {}", at + 1, line(child)));
        Ok(lines.collect::<Vec<_>>().join("\n"))
    }

    pub(super) async fn info(&self, target: &str) -> Result<String, WireError> {
        let child = self.child(target).await?;
        let Some(run) = &child.run else { return Ok(line(&child)) };
        let mut text = format!(
            "{}\nRun: {}\nKey: {}\nModel: {}\nWorkspace: {}\nDepth: {}",
            line(&child),
            run.run_id,
            child.key,
            run.model,
            run.workspace,
            run.depth
        );
        if let Some(outcome) = &run.outcome {
            let took = outcome.ended_at_ms.saturating_sub(run.accepted_at_ms);
            text += &format!("\nTook: {took} ms");
            text.extend(outcome.error.iter().map(|error| format!("\nError: {error}")));
        }
        Ok(text)
    }

    pub(super) async fn log(&self, target: &str, lines: usize) -> Result<String, WireError> {
        let child = self.child(target).await?;
        let items = reading(self.shared, move |store| store.history(&child)).await?;
        let said: Vec<u8> = items
            .into_iter()
            .filter_map(|item| match item {
                HistoryItem::Output(output) => Some(output.bytes),
                _ => None,
            })
            .flatten()
            .collect();
        let end = &said[said.len().saturating_sub(MAX_LOG)..];
        let text = String::from_utf8_lossy(end);
        let all: Vec<&str> = text.lines().collect();
        let shown = &all[all.len().saturating_sub(lines)..];
        Ok(if shown.is_empty() { "It has said nothing.".to_owned() } else { shown.join("\n") })
    }

    pub(super) async fn kill(&self, target: &str) -> Result<String, WireError> {
        let supervisor = &self.shared.supervisor;
        let is_live =
            |child: &SessionView| child.run.as_ref().is_some_and(|run| !run.status.is_final());
        if target != "all" {
            let child = self.child(target).await?;
            let stopped = supervisor.kill(self.permit, child.session_id).await?;
            return Ok(format!("Stopped: {}", names(stopped.iter())));
        }
        let mut stopped = Vec::new();
        for child in self.children().await?.into_iter().filter(is_live) {
            // One that ended by itself in the meantime, or with the one above it, is no fault.
            if let Ok(tree) = supervisor.kill(self.permit, child.session_id).await {
                stopped.extend(tree);
            }
        }
        Ok(match stopped.is_empty() {
            true => "There was nothing to stop.".to_owned(),
            false => format!("Stopped: {}", names(stopped.iter())),
        })
    }

    /// The sub-agents of this session and those below them, the newest first.
    async fn children(&self) -> Result<Vec<SessionView>, WireError> {
        let below = Some(self.session.session_id.clone());
        let filter = SessionFilter { limit: MAX_LISTED, below, include_archived: false };
        let tree = reading(self.shared, move |store| store.sessions(&filter)).await?;
        Ok(tree.into_iter().filter(|session| session.kind.is_of_a_run()).collect())
    }

    async fn child(&self, target: &str) -> Result<SessionView, Refusal> {
        let children =
            self.children().await.map_err(|error| no_child(target).with_log(error.message))?;
        chosen(children, target).ok_or_else(|| no_child(target))
    }
}

fn no_child(target: &str) -> Refusal {
    Refusal::forbidden(
        "NO_SUCH_SUBAGENT",
        "sub-agents of the session",
        format!("this session has no sub-agent '{}'", target.chars().take(64).collect::<String>()),
        hatchery_access::Remedy::Advice("see them: /subagents list".to_owned()),
    )
}

/// The one a person means: a place in the list, `last`, a label, or the beginning of an id.
fn chosen(mut children: Vec<SessionView>, target: &str) -> Option<SessionView> {
    if target == "last" {
        return (!children.is_empty()).then(|| children.remove(0));
    }
    if let Ok(place) = target.trim_start_matches('#').parse::<usize>()
        && place <= children.len()
    {
        return place.checked_sub(1).map(|place| children.remove(place));
    }
    let is_exact = |child: &SessionView| {
        child.label.as_deref() == Some(target) || child.key.as_str() == target.to_lowercase()
    };
    let begins_so = |child: &SessionView| {
        let run = child.run.as_ref().is_some_and(|run| run.run_id.as_str().starts_with(target));
        run || child.session_id.as_str().starts_with(target)
    };
    let at = children.iter().position(is_exact).or_else(|| {
        let mut found = children.iter().enumerate().filter(|(_, child)| begins_so(child));
        match (found.next(), found.next()) {
            (Some((at, _)), None) => Some(at),
            _ => None,
        }
    })?;
    Some(children.remove(at))
}

fn line(child: &SessionView) -> String {
    let status = child.run.as_ref().map_or("idle", |run| run.status.as_str());
    let label = child.label.as_ref().map_or_else(String::new, |label| format!(" '{label}'"));
    let task = child.title.as_deref().unwrap_or_default();
    format!("{}{label} ({}): {status}: {task}", child.session_id, child.agent_id)
}

fn names<'a>(sessions: impl Iterator<Item = &'a hatchery_protocol::SessionId>) -> String {
    sessions.map(|session| session.as_str()).collect::<Vec<_>>().join(", ")
}
