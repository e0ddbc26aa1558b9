//! What an agent says without having been asked, and who hears of it.
//!
//! Only the answer of the one turn is output. Whatever else it says shows that it lives, and some
//! of it what it is at.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use hatchery_protocol::OutputStream;
use serde_json::Value;

use super::opening::is_history;
use super::permission::refuse;
use super::signs::Signs;
use crate::acp::meta::{self, ChunkMeta};
use crate::{Observer, Progress};

/// What the updates of a session are.
#[derive(Debug)]
enum Heard {
    /// Nothing to us: there is no session yet.
    Nothing,
    /// The history of this session, of which something was told or not yet.
    History(String, bool),
    /// The answer, in this session.
    Answer(String),
}

/// Hears an agent on behalf of an observer.
pub(crate) struct Hearing<'a, O> {
    observer: &'a O,
    heard: Heard,
    signs: Signs,
    has_words: bool,
}

impl<'a, O: Observer> Hearing<'a, O> {
    pub(crate) fn new(observer: &'a O) -> Self {
        Self { observer, heard: Heard::Nothing, signs: Signs::default(), has_words: false }
    }

    /// What is told of this session from now on is its history.
    pub(crate) fn expect_history(&mut self, session: &str) {
        self.heard = Heard::History(session.to_owned(), false);
    }

    /// Whether anything was told of it.
    pub(crate) fn heard_history(&self) -> bool {
        matches!(self.heard, Heard::History(_, true))
    }

    /// What is told of this session from now on is the answer.
    pub(crate) fn expect_answer(&mut self, session: String) {
        self.heard = Heard::Answer(session);
    }

    /// Whether there was anything but white space in the answer.
    pub(crate) fn has_words(&self) -> bool {
        self.has_words
    }

    /// The agent has shown that it lives.
    pub(crate) async fn life(&self) {
        self.observer.progress(Progress::Alive).await;
    }

    /// The session can be taken up again by this name.
    pub(crate) async fn resumable(&self, session: &str) {
        self.observer.resumable(session).await;
    }

    /// Hears an update.
    pub(crate) async fn update(&mut self, params: &Value) {
        let session = params.get("sessionId").and_then(Value::as_str);
        let update = params.get("update").unwrap_or(&Value::Null);
        let is_of = |ours: &str| session == Some(ours);
        let answers = match &mut self.heard {
            Heard::Answer(ours) => is_of(ours),
            Heard::History(ours, told) => {
                *told |= is_of(ours) && is_history(update);
                false
            }
            Heard::Nothing => false,
        };
        if !answers {
            return self.life().await;
        }
        let piece = piece_of_answer(update).filter(|(_, bytes)| !bytes.is_empty());
        let signs = self.signs.of_update(update);
        if let Some((stream, bytes)) = piece {
            self.has_words |= !bytes.trim_ascii().is_empty();
            self.observer.output(stream, bytes).await;
            // Output is a sign of life by itself.
            if signs == [Progress::Alive] {
                return;
            }
        }
        for sign in signs {
            self.observer.progress(sign).await;
        }
    }

    /// Hears what leave is asked for, and gives what is answered.
    pub(crate) async fn permission(&mut self, params: &Value) -> Value {
        let call = params.get("toolCall").unwrap_or(&Value::Null);
        for sign in self.signs.of_call(call) {
            self.observer.progress(sign).await;
        }
        self.observer.progress(Progress::Waiting(true)).await;
        let answer = refuse(params);
        // Before it is sent: an agent that does not read it is not waiting for anybody.
        self.observer.progress(Progress::Waiting(false)).await;
        answer
    }

    /// Hears the answer that ends the turn.
    pub(crate) async fn end(&mut self, answer: &Value) {
        if let Some(spent) = self.signs.of_end(answer) {
            self.observer.progress(spent).await;
        }
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
