//! What is said to an agent, and what it says.

use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use hatchery_agent::{Cancel, command_line};
use hatchery_protocol::{OutputStream, Task};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Duration, timeout};

use super::permission::refuse;
use super::stop::Phase;
use crate::acp::meta::{self, ChunkMeta, EndMeta};
use crate::acp::peer::{CallError, Peer, Sent};
use crate::acp::rpc::{Incoming, METHOD_NOT_FOUND, RpcError};
use crate::acp::wire::{INITIALIZE, NEW_SESSION, PROMPT, REQUEST_PERMISSION, UPDATE, VERSION};
use crate::{AcpDeadlines, Observer, Step};

/// How a turn ended, in the agent's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TurnResult {
    /// Why it ended.
    pub(crate) stop_reason: String,
    /// How the command behind the answer ended, where there is one.
    pub(crate) exit_code: Option<i32>,
}

/// Why there was no turn, or it has no end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Somebody cancelled.
    Cancelled,
    /// The agent was gone before it had answered.
    Closed(Step),
    /// It did not answer in time.
    Deadline(Step, Duration),
    /// It answered with an error.
    Rpc(Step, RpcError),
    /// It speaks another version.
    WrongVersion(u64),
    /// Its answer lacks this field.
    BadAnswer(Step, &'static str),
}

/// A conversation with an agent.
pub(crate) struct Conversation<'a, O> {
    peer: &'a Peer,
    incoming: &'a mut mpsc::Receiver<Incoming>,
    observer: &'a O,
    phase: &'a Phase,
    cancel: &'a Cancel,
    /// The session whose updates are the answer: only what comes after the prompt is.
    session: Option<String>,
    said_something: bool,
}

impl<'a, O: Observer> Conversation<'a, O> {
    pub(crate) fn new(
        peer: &'a Peer,
        incoming: &'a mut mpsc::Receiver<Incoming>,
        observer: &'a O,
        phase: &'a Phase,
        cancel: &'a Cancel,
    ) -> Self {
        Self { peer, incoming, observer, phase, cancel, session: None, said_something: false }
    }

    /// The whole conversation, up to the end of the one turn.
    pub(crate) async fn hold(
        &mut self,
        cwd: &Path,
        task: &Task,
        deadlines: &AcpDeadlines,
    ) -> Result<TurnResult, Trouble> {
        let limit = deadlines.initialize;
        timeout(limit, self.initialize())
            .await
            .unwrap_or(Err(Trouble::Deadline(Step::Initialize, limit)))?;
        let limit = deadlines.new_session;
        let session = timeout(limit, self.new_session(cwd))
            .await
            .unwrap_or(Err(Trouble::Deadline(Step::NewSession, limit)))?;
        if self.cancel.is_cancelled() {
            return Err(Trouble::Cancelled);
        }
        self.prompt(session, task).await
    }

    /// Takes what the agent still has to say, until it is gone.
    pub(crate) async fn linger(&mut self) {
        while let Some(incoming) = self.incoming.recv().await {
            self.take(incoming).await;
        }
    }

    /// Whether there was any answer at all.
    pub(crate) fn said_something(&self) -> bool {
        self.said_something
    }

    async fn initialize(&mut self) -> Result<(), Trouble> {
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
            Some(VERSION) => Ok(()),
            Some(version) => Err(Trouble::WrongVersion(version)),
            None => Err(Trouble::BadAnswer(Step::Initialize, "protocolVersion")),
        }
    }

    async fn new_session(&mut self, cwd: &Path) -> Result<String, Trouble> {
        // Without the empty list nearly every agent refuses.
        let params = json!({ "cwd": cwd.to_string_lossy(), "mcpServers": [] });
        let answer = self.call(Step::NewSession, NEW_SESSION, &params).await?;
        match answer.get("sessionId").and_then(Value::as_str) {
            Some(id) if !id.is_empty() => Ok(id.to_owned()),
            _ => Err(Trouble::BadAnswer(Step::NewSession, "sessionId")),
        }
    }

    async fn prompt(&mut self, session: String, task: &Task) -> Result<TurnResult, Trouble> {
        let mut params = json!({
            "sessionId": session,
            "prompt": [{ "type": "text", "text": command_line(task) }],
        });
        if let Task::Argv(argv) = task {
            params["_meta"] = json!({ "hatchery": { "argv": argv } });
        }
        let sent = self.peer.request(PROMPT, &params).await;
        let sent = sent.map_err(|error| trouble(Step::Prompt, error))?;
        // From here on a cancel is sent behind the prompt, never before it.
        self.phase.prompting(&session);
        self.session = Some(session);
        let answer = self.answer(Step::Prompt, sent).await;
        if self.cancel.is_cancelled() {
            // Some agents answer a cancel with an error or as if they had finished.
            return Err(Trouble::Cancelled);
        }
        let answer = answer?;
        let Some(stop_reason) = answer.get("stopReason").and_then(Value::as_str) else {
            return Err(Trouble::BadAnswer(Step::Prompt, "stopReason"));
        };
        let exit_code = meta::read(&answer).map(|EndMeta { exit_code }| exit_code);
        Ok(TurnResult { stop_reason: stop_reason.to_owned(), exit_code })
    }

    async fn call(&mut self, step: Step, method: &str, params: &Value) -> Result<Value, Trouble> {
        let sent = self.peer.request(method, params).await;
        self.answer(step, sent.map_err(|error| trouble(step, error))?).await
    }

    /// Waits for an answer, and takes what the agent says meanwhile.
    async fn answer(&mut self, step: Step, sent: Sent) -> Result<Value, Trouble> {
        let mut answer = std::pin::pin!(sent.answer());
        let answer = loop {
            tokio::select! {
                Some(incoming) = self.incoming.recv() => self.take(incoming).await,
                answer = &mut answer => break answer,
            }
        };
        // What was said before the answer may still be queued.
        for _ in 0..self.incoming.len() {
            if let Ok(incoming) = self.incoming.try_recv() {
                self.take(incoming).await;
            }
        }
        answer.map_err(|error| trouble(step, error))
    }

    async fn take(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Notification { method, params } if method == UPDATE => {
                self.take_update(&params).await;
            }
            // Agents announce many things of their own; none of them is needed.
            Incoming::Notification { .. } => {}
            Incoming::Request { id, method, params } => {
                let answer = match method.as_str() {
                    REQUEST_PERMISSION => Ok(refuse(&params)),
                    _ => Err(RpcError::new(METHOD_NOT_FOUND, format!("no method `{method}` here"))),
                };
                self.peer.answer(id, answer).await;
            }
        }
    }

    async fn take_update(&mut self, params: &Value) {
        let session = params.get("sessionId").and_then(Value::as_str);
        if session.is_none() || session != self.session.as_deref() {
            return;
        }
        let Some((stream, bytes)) = params.get("update").and_then(piece_of_answer) else { return };
        if !bytes.is_empty() {
            self.said_something = true;
            self.observer.output(stream, bytes).await;
        }
    }
}

fn trouble(step: Step, error: CallError) -> Trouble {
    match error {
        CallError::Closed => Trouble::Closed(step),
        CallError::Rpc(error) => Trouble::Rpc(step, error),
    }
}

/// The output in an update: text of the answer, with its stream and exact bytes where the agent
/// is one of ours.
fn piece_of_answer(update: &Value) -> Option<(OutputStream, Bytes)> {
    if update.get("sessionUpdate")? != "agent_message_chunk" {
        return None;
    }
    let content = update.get("content")?;
    let text = content.get("text").and_then(Value::as_str)?;
    let Some(ChunkMeta { stream, base64 }) = meta::read(update) else {
        return Some((OutputStream::Stdout, Bytes::copy_from_slice(text.as_bytes())));
    };
    let exact = base64.and_then(|exact| BASE64_STANDARD.decode(exact).ok());
    Some((stream, exact.map_or_else(|| Bytes::copy_from_slice(text.as_bytes()), Bytes::from)))
}
