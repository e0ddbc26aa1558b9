//! A turn of the built-in agent, told in updates.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use hatchery_agent::{
    Cancel, Conversation, Host, StartingCommand, TurnEnd, Usage, Workplace, run_turn,
};
use hatchery_protocol::{OutputStream, Task};
use serde_json::{Value, json};

use super::AgentSide;
use crate::acp::meta::{self, EndMeta, Meta, TaskMeta};
use crate::acp::peer::Peer;
use crate::acp::rpc::{INTERNAL_ERROR, INVALID_PARAMS, RpcError};
use crate::acp::wire::{ContentBlock, SessionUpdate, UPDATE, Update};
use crate::text::{Piece, TextPieces};

/// A turn that is to run.
pub(crate) struct Turn {
    pub(crate) peer: Peer,
    pub(crate) config: Arc<AgentSide>,
    pub(crate) session: String,
    pub(crate) cwd: PathBuf,
    pub(crate) task: Task,
    /// The id of its one command, which no other in the session has.
    pub(crate) call: String,
}

/// The client, as the agent sees it.
struct Client<'a> {
    peer: &'a Peer,
    session: &'a str,
    call: &'a str,
    started: AtomicBool,
    stdout: Mutex<TextPieces>,
    stderr: Mutex<TextPieces>,
}

/// The task in a prompt: an argument vector where one of our clients gives one, otherwise the
/// text of it.
///
/// # Errors
/// What the client is answered where there is no task in it.
pub(crate) fn task(prompt: &[ContentBlock], meta: &Value) -> Result<Task, RpcError> {
    let refuse = |why: String| RpcError::new(INVALID_PARAMS, why);
    let meta = json!({ "_meta": meta });
    let task = match meta::read(&meta) {
        Some(TaskMeta { argv }) => Task::Argv(argv),
        None => {
            let mut text = String::new();
            for block in prompt {
                match block {
                    ContentBlock::Text { text: more } => text.push_str(more),
                    ContentBlock::ResourceLink { uri } => text.push_str(uri),
                    ContentBlock::Other => {
                        return Err(refuse("a prompt here is text and links to resources".into()));
                    }
                }
            }
            Task::Text(text)
        }
    };
    task.check().map_err(|error| refuse(error.to_string()))?;
    Ok(task)
}

impl Turn {
    /// Runs the turn; the result is what its prompt is answered with.
    pub(crate) async fn run(self, cancel: Cancel) -> Result<Value, RpcError> {
        let config = &self.config;
        let workplace = Workplace {
            keeper: config.keeper.clone(),
            cwd: self.cwd,
            env: config.env.clone(),
            ticket: config.ticket.clone(),
            network: config.network,
        };
        let client = Client {
            peer: &self.peer,
            session: &self.session,
            call: &self.call,
            started: AtomicBool::new(false),
            stdout: Mutex::default(),
            stderr: Mutex::default(),
        };
        let earlier = Conversation::default();
        let end = run_turn(&client, &workplace, &config.model, &earlier, &self.task, cancel).await;
        client.command_ended(&end).await;
        match end {
            TurnEnd::Answered { exit_code: Some(exit_code), .. } => Ok(json!({
                "stopReason": "end_turn",
                "_meta": Meta { hatchery: EndMeta { exit_code } },
            })),
            TurnEnd::Answered { exit_code: None, .. } => Ok(json!({ "stopReason": "end_turn" })),
            TurnEnd::Cancelled => Ok(json!({ "stopReason": "cancelled" })),
            TurnEnd::Failed(failure) => Err(RpcError::new(INTERNAL_ERROR, failure.to_string())),
        }
    }
}

impl Client<'_> {
    /// Tells what is left of the output, and that the command has ended.
    async fn command_ended(&self, end: &TurnEnd) {
        for stream in [OutputStream::Stdout, OutputStream::Stderr] {
            let rest = self.pieces(stream, TextPieces::finish);
            self.chunk(stream, rest).await;
        }
        if !self.started.load(Ordering::Relaxed) {
            return;
        }
        let (status, raw_output) = match end {
            TurnEnd::Answered { exit_code: None | Some(0), .. } => {
                ("completed", json!({ "exitCode": 0 }))
            }
            TurnEnd::Answered { exit_code: Some(exit_code), .. } => {
                ("failed", json!({ "exitCode": exit_code }))
            }
            TurnEnd::Cancelled => ("failed", json!({ "cancelled": true })),
            TurnEnd::Failed(failure) => ("failed", json!({ "error": failure.to_string() })),
        };
        self.update(Update::CommandEnded { tool_call_id: self.call, status, raw_output }).await;
    }

    async fn chunk(&self, stream: OutputStream, piece: Option<Piece>) {
        if let Some(Piece { text, exact }) = piece {
            let base64 = exact.map(|bytes| BASE64_STANDARD.encode(bytes));
            self.update(Update::piece(stream, &text, base64)).await;
        }
    }

    async fn update(&self, update: Update<'_>) {
        let update = SessionUpdate { session_id: self.session, update };
        self.peer.notify(UPDATE, &update).await;
    }

    fn pieces<T>(&self, stream: OutputStream, take: impl FnOnce(&mut TextPieces) -> T) -> T {
        let pieces = match stream {
            OutputStream::Stdout => &self.stdout,
            OutputStream::Stderr => &self.stderr,
        };
        take(&mut pieces.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Host for Client<'_> {
    async fn command_starting(&self, command: &StartingCommand) {
        self.started.store(true, Ordering::Relaxed);
        self.update(Update::CommandStarted {
            tool_call_id: self.call,
            title: &command.line,
            kind: "execute",
            status: "in_progress",
            raw_input: json!({ "argv": command.argv }),
        })
        .await;
    }

    async fn output(&self, stream: OutputStream, bytes: Bytes) {
        let piece = self.pieces(stream, |pieces| pieces.push(bytes));
        self.chunk(stream, piece).await;
    }

    // Only a model of a provider tells these, and none is asked from a process of its own.
    async fn alive(&self) {}

    async fn used(&self, _: Usage) {}
}
