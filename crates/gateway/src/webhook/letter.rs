//! What a webhook is told of a run.

use hatchery_protocol::RunId;
use hatchery_store::SessionView;
use serde_json::{Value, json};

/// A result as it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    run: RunId,
    body: Value,
}

impl Letter {
    /// The result of a session's run; none where that is not over.
    pub(crate) fn of(session: &SessionView) -> Option<Self> {
        let run = session.run.as_ref()?;
        let outcome = run.outcome.as_ref()?;
        let mut body = json!({
            "event": "run.finished",
            "runId": run.run_id,
            "sessionId": session.session_id,
            "sessionKey": session.key,
            "agentId": session.agent_id,
            "label": session.label,
            "status": outcome.status,
            "exitCode": outcome.exit_code,
            "error": outcome.error,
            "result": outcome.tail,
            "outputBytes": outcome.output_bytes,
            "filesTouched": outcome.files_touched,
            "lastStep": outcome.last_step,
            "acceptedAtMs": run.accepted_at_ms,
            "endedAtMs": outcome.ended_at_ms,
        });
        if let Some(usage) = outcome.usage {
            body["usage"] = json!(usage);
        }
        if let Some(micros) = outcome.cost_micros {
            body["costUsd"] = json!(micros as f64 / 1e6);
        }
        // What is not known is left out.
        if let Value::Object(fields) = &mut body {
            fields.retain(|_, value| !value.is_null());
        }
        Some(Self { run: run.run_id.clone(), body })
    }

    #[cfg(test)]
    pub(crate) fn empty(run: &str) -> Self {
        Self { run: RunId::new(run.to_owned()), body: Value::Null }
    }

    pub(crate) fn run(&self) -> &RunId {
        &self.run
    }

    pub(crate) fn to_json(&self) -> String {
        self.body.to_string()
    }
}
