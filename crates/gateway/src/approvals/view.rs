//! A request as the wire shows it.

use serde_json::{Value, json};

use super::board::{Item, State};
use super::{Decision, Kind};

impl Item {
    /// As lists and events show it.
    pub(super) fn listed(&self) -> Value {
        json!({
            "id": self.id,
            "approvalKind": self.ask.kind,
            "request": self.ask.request,
            "createdAtMs": self.created_at_ms,
            "expiresAtMs": self.expires_at_ms,
        })
    }

    /// As `exec.approval.get` shows it.
    pub(super) fn command(&self) -> Value {
        let request = &self.ask.request;
        json!({
            "id": self.id,
            "commandText": request["command"],
            "commandPreview": request["commandPreview"],
            "allowedDecisions": self.ask.allowed,
            "host": request["host"],
            "nodeId": request["nodeId"],
            "agentId": request["agentId"],
            "expiresAtMs": self.expires_at_ms,
        })
    }

    /// The answer of whoever waits for the decision.
    pub(super) fn verdict(&self) -> Value {
        let mut verdict = json!({
            "id": self.id,
            "decision": self.decision(),
            "createdAtMs": self.created_at_ms,
            "expiresAtMs": self.expires_at_ms,
        });
        if self.state == State::Expired {
            verdict["terminalReason"] = json!("timeout");
        }
        verdict
    }

    /// The answer that comes first, of a request in two phases.
    pub(super) fn accepted(&self) -> Value {
        json!({
            "status": "accepted",
            "id": self.id,
            "createdAtMs": self.created_at_ms,
            "expiresAtMs": self.expires_at_ms,
        })
    }

    /// As `approval.get` shows it, whatever its kind.
    pub(super) fn snapshot(&self) -> Value {
        let mut snapshot = json!({
            "id": self.id,
            "urlPath": format!("/approve/{}", self.id),
            "createdAtMs": self.created_at_ms,
            "expiresAtMs": self.expires_at_ms,
            "presentation": self.presentation(),
        });
        let session = self.ask.request["sessionKey"].as_str().filter(|key| !key.is_empty());
        match &self.state {
            State::Waiting => {
                snapshot["status"] = json!("pending");
                if let Some(session) = session {
                    snapshot["sourceSessionKey"] = json!(session);
                }
                return snapshot;
            }
            State::Decided { decision, by, at_ms } => {
                let denied = *decision == Decision::Deny;
                snapshot["status"] = json!(if denied { "denied" } else { "allowed" });
                snapshot["decision"] = json!(decision);
                snapshot["reason"] = json!("user");
                snapshot["resolvedAtMs"] = json!(at_ms);
                snapshot["resolver"] = json!({"kind": "device", "id": by});
            }
            State::Expired => {
                snapshot["status"] = json!("expired");
                snapshot["reason"] = json!("timeout");
                snapshot["resolvedAtMs"] = json!(self.expires_at_ms);
            }
        }
        if let Some(session) = session {
            snapshot["source"] = json!({"sessionKey": session});
        }
        snapshot
    }

    /// The request in the words of the page on which it is decided. A field without a value is
    /// left out, since some may not be null.
    fn presentation(&self) -> Value {
        let names: &[(&str, &str)] = match self.ask.kind {
            Kind::Exec => &[
                ("command", "commandText"),
                ("commandPreview", "commandPreview"),
                ("warningText", "warningText"),
                ("host", "host"),
                ("nodeId", "nodeId"),
                ("agentId", "agentId"),
            ],
            Kind::Plugin | Kind::SystemAgent => &[
                ("title", "title"),
                ("description", "description"),
                ("detail", "detail"),
                ("severity", "severity"),
                ("pluginId", "pluginId"),
                ("toolName", "toolName"),
                ("agentId", "agentId"),
            ],
        };
        let mut presentation = json!({"kind": self.ask.kind, "allowedDecisions": self.ask.allowed});
        for (from, to) in names {
            let value = &self.ask.request[*from];
            if value.as_str().is_some_and(|text| !text.is_empty()) {
                presentation[*to] = value.clone();
            }
        }
        presentation
    }
}
