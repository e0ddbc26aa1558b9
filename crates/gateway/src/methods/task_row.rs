//! A run of a sub-agent as the wire's tasks show it.

use hatchery_protocol::{RunStatus, SessionKind};
use hatchery_spawn::Outcome;
use hatchery_store::{Delivery, DeliveryState, ListedSession, ReadError, RunView, Store};
use serde_json::{Value, json};

use super::session_row::{last_words, shortened, title};
use crate::webhook;

/// How long the end of a task's answer is in a list, in characters.
const SUMMARY_CHARACTERS: usize = 200;

/// What is known of a task.
#[derive(Clone, Debug)]
pub(super) struct TaskRow {
    listed: ListedSession,
    delivery: Option<Delivery>,
}

impl TaskRow {
    /// A session and what became of its result.
    pub(super) fn read(store: &Store, listed: ListedSession) -> Result<Self, ReadError> {
        let over = listed.session.run.as_ref().filter(|run| run.outcome.is_some());
        let delivery = over.map(|run| store.delivery(&run.run_id)).transpose()?.flatten();
        Ok(Self { listed, delivery })
    }

    /// The task in a list. A conversation is none: its turns answer somebody who is there.
    pub(super) fn short(&self) -> Option<Value> {
        let run = self.run()?;
        let mut task = self.heading(run);
        if let Some(outcome) = &run.outcome {
            if let Some(summary) = last_words(&outcome.tail, SUMMARY_CHARACTERS) {
                task["terminalSummary"] = json!(summary);
            }
            if let Some(error) = &outcome.error {
                task["error"] = json!(shortened(error, SUMMARY_CHARACTERS));
            }
        }
        Some(task)
    }

    /// The task on its own, with all there is of its result.
    pub(super) fn full(&self) -> Option<Value> {
        let run = self.run()?;
        let mut task = self.heading(run);
        task["task"] = json!(run.task);
        if let Some(outcome) = &run.outcome {
            task["outcome"] = json!(outcome);
        }
        Some(task)
    }

    fn run(&self) -> Option<&RunView> {
        let session = &self.listed.session;
        session.run.as_ref().filter(|_| session.kind.is_of_a_run())
    }

    fn heading(&self, run: &RunView) -> Value {
        let session = &self.listed.session;
        let kind = if session.kind == SessionKind::Acp { "acp" } else { "subagent" };
        let named = session.label.clone().unwrap_or_else(|| title(&run.task));
        let mut task = json!({
            "id": run.run_id,
            "taskId": run.run_id,
            "runId": run.run_id,
            "sessionId": session.session_id,
            "kind": kind,
            "runtime": kind,
            "status": status(run.status),
            "title": named,
            "agentId": session.agent_id,
            "childSessionKey": session.key,
            "createdAt": session.created_at_ms,
            "updatedAt": session.created_at_ms,
        });
        if let Some(parent) = &self.listed.parent_key {
            task["sessionKey"] = json!(parent);
            task["ownerKey"] = json!(parent);
        }
        if let Some(outcome) = &run.outcome {
            self.ended(&mut task, outcome);
        }
        task
    }

    /// The result stands in an inbox from the commit of the end on; only a route takes longer.
    fn ended(&self, task: &mut Value, outcome: &Outcome) {
        task["updatedAt"] = json!(outcome.ended_at_ms);
        task["endedAt"] = json!(outcome.ended_at_ms);
        let Some(delivery) = &self.delivery else {
            task["deliveryStatus"] = json!(DeliveryState::Delivered.as_str());
            return;
        };
        task["deliveryStatus"] = json!(delivery.state.as_str());
        task["delivery"] = json!({
            "channel": delivery.route.channel,
            "to": webhook::shown(&delivery.route.to),
            "attempts": delivery.attempts,
            "since": delivery.at_ms,
        });
        if let Some(reason) = &delivery.reason {
            task["delivery"]["reason"] = json!(reason);
        }
    }
}

/// A run's state in the words of the wire's tasks.
fn status(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Accepted => "queued",
        RunStatus::Starting | RunStatus::Running | RunStatus::Waiting => "running",
        RunStatus::Ok => "completed",
        RunStatus::Failed | RunStatus::Interrupted => "failed",
        RunStatus::TimedOut => "timed_out",
        RunStatus::Cancelled => "cancelled",
    }
}
