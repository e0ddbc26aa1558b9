//! How a conversation with an agent opens: the protocol is agreed on, and a session is begun, or
//! taken up where an earlier life of the run left it.
//!
//! A session that was to be taken up is never begun anew: its turn would be done twice.

use std::path::Path;

use serde_json::{Value, json};

use super::conversation::{Conversation, Trouble};
use crate::acp::wire::{INITIALIZE, LOAD_SESSION, NEW_SESSION, RESUME_SESSION, VERSION};
use crate::{Observer, Step};

/// The longest name of a session that can be taken up again, in bytes.
pub(crate) const SESSION_NAME: usize = 512;

/// What an agent says it can do with a session of an earlier process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TakesUp {
    /// Nothing.
    No,
    /// It goes on with it (`session/resume`).
    Resuming,
    /// It goes on with it, and tells all that was said in it first (`session/load`).
    Loading,
}

impl TakesUp {
    /// Reads what an agent answered `initialize` with. Where it can do both, telling what was
    /// said is of no use here.
    fn of(introduction: &Value) -> Self {
        let can = |place: &str| introduction.pointer(place);
        // An object says yes, however empty.
        match can("/agentCapabilities/sessionCapabilities/resume") {
            Some(Value::Object(_) | Value::Bool(true)) => Self::Resuming,
            _ if can("/agentCapabilities/loadSession") == Some(&Value::Bool(true)) => Self::Loading,
            _ => Self::No,
        }
    }
}

impl<O: Observer> Conversation<'_, O> {
    /// Agrees on the protocol.
    pub(super) async fn initialize(&mut self) -> Result<TakesUp, Trouble> {
        let params = json!({
            "protocolVersion": VERSION,
            "clientCapabilities": {
                "fs": { "readTextFile": false, "writeTextFile": false },
                "terminal": false,
            },
            "clientInfo": { "name": "hatchery", "version": env!("CARGO_PKG_VERSION") },
        });
        let answer = self.call(Step::Initialize, INITIALIZE, &params).await?;
        match answer.get("protocolVersion").and_then(Value::as_u64) {
            Some(VERSION) => Ok(TakesUp::of(&answer)),
            Some(version) => Err(Trouble::WrongVersion(version)),
            None => Err(Trouble::BadAnswer(Step::Initialize, "protocolVersion")),
        }
    }

    /// Begins a session and gives its name.
    pub(super) async fn new_session(&mut self, cwd: &Path) -> Result<String, Trouble> {
        // Without the empty list nearly every agent refuses.
        let params = json!({ "cwd": cwd.to_string_lossy(), "mcpServers": [] });
        let answer = self.call(Step::NewSession, NEW_SESSION, &params).await?;
        match answer.get("sessionId").and_then(Value::as_str) {
            Some(id) if !id.is_empty() => Ok(id.to_owned()),
            _ => Err(Trouble::BadAnswer(Step::NewSession, "sessionId")),
        }
    }

    /// Takes up the session of this name. What the agent tells of its history is no output.
    pub(super) async fn take_up(
        &mut self,
        cwd: &Path,
        session: &str,
        takes_up: TakesUp,
    ) -> Result<(), Trouble> {
        let params =
            json!({ "sessionId": session, "cwd": cwd.to_string_lossy(), "mcpServers": [] });
        let cannot = |why: &str| Err(Trouble::CannotResume(why.to_owned()));
        match takes_up {
            TakesUp::No => return cannot("its agent takes up no session of an earlier process"),
            TakesUp::Resuming => {
                let answer = self.call(Step::ResumeSession, RESUME_SESSION, &params).await?;
                let opened = answer.get("sessionId").and_then(Value::as_str);
                if opened.is_some_and(|opened| opened != session) {
                    return cannot("its agent has opened another session instead");
                }
            }
            TakesUp::Loading => {
                self.hearing.expect_history(session);
                self.call(Step::LoadSession, LOAD_SESSION, &params).await?;
                // Some agents answer as if all were well where they know no such session.
                if !self.hearing.heard_history() {
                    return cannot("its agent knows nothing of what was said in the session");
                }
            }
        }
        Ok(())
    }
}

/// Whether an update tells something of what was said or done in a session.
pub(super) fn is_history(update: &Value) -> bool {
    let kind = update.get("sessionUpdate").and_then(Value::as_str);
    matches!(
        kind,
        Some(
            "user_message_chunk"
                | "agent_message_chunk"
                | "agent_thought_chunk"
                | "tool_call"
                | "tool_call_update"
                | "plan"
        )
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::TakesUp;

    #[test]
    fn an_agent_takes_up_what_it_says_it_does() {
        let can = |capabilities: Value| TakesUp::of(&json!({ "agentCapabilities": capabilities }));
        for (capabilities, takes_up) in [
            (json!({ "loadSession": true }), TakesUp::Loading),
            (json!({ "sessionCapabilities": { "resume": {} } }), TakesUp::Resuming),
            (
                json!({ "loadSession": true, "sessionCapabilities": { "resume": {}, "list": {} } }),
                TakesUp::Resuming,
            ),
            (
                json!({ "loadSession": true, "sessionCapabilities": { "resume": null } }),
                TakesUp::Loading,
            ),
            (json!({ "loadSession": false, "sessionCapabilities": { "list": {} } }), TakesUp::No),
            (json!({ "loadSession": "yes" }), TakesUp::No),
            (Value::Null, TakesUp::No),
        ] {
            assert_eq!(can(capabilities.clone()), takes_up, "{capabilities}");
        }
    }
}
