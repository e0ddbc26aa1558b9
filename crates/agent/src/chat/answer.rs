//! One attempt: the request, and its answer piece by piece.

use bytes::Bytes;
use hatchery_protocol::OutputStream;
use hyper::body::Incoming;
use tokio::time::{Duration, timeout};

use super::MAX_ANSWER_BYTES;
use super::events::Events;
use super::failure::ModelFailure;
use super::transport::{beginning, broken, is_event_stream, next_piece, send};
use super::wire::{Chunk, DONE, Request};
use super::words::{message, shown};
use crate::{ChatModel, Conversation, Host, ModelReport};

/// The largest piece handed to the host.
const PIECE: usize = 64 * 1024;

/// How an attempt went.
pub(crate) struct Attempt {
    pub(crate) result: Result<ModelReport, ModelFailure>,
    /// Whether the provider had begun to answer: asking again would then be paid twice.
    pub(crate) began: bool,
}

/// Asks once.
pub(crate) async fn attempt<H: Host>(
    host: &H,
    model: &ChatModel,
    earlier: &Conversation,
    prompt: &str,
) -> Attempt {
    let before = |failure| Attempt { result: Err(failure), began: false };
    let request = match serde_json::to_vec(&Request::new(model, earlier, prompt)) {
        Ok(request) => request,
        Err(error) => return before(not_an_answer(model, &error.to_string())),
    };
    let response = match send(model, request).await {
        Ok(response) => response,
        Err(failure) => return before(failure),
    };
    host.alive().await;
    let result = if is_event_stream(&response) {
        Answer::new(host, model).take(response.into_body()).await
    } else {
        let body = beginning(model, response.into_body()).await;
        Err(not_an_answer(model, &format!("it is no event stream: {}", message(&body))))
    };
    Attempt { result, began: true }
}

/// An answer, as far as it has come.
struct Answer<'a, H> {
    host: &'a H,
    model: &'a ChatModel,
    report: ModelReport,
    bytes: usize,
    /// Whether there was anything but white space in it.
    has_words: bool,
    refusal: String,
    done: bool,
}

impl<'a, H: Host> Answer<'a, H> {
    fn new(host: &'a H, model: &'a ChatModel) -> Self {
        let report = ModelReport {
            provider: model.provider.clone(),
            asked: model.id.clone(),
            answered: None,
            usage: None,
            finish: None,
            attempts: 1,
        };
        let refusal = String::new();
        Self { host, model, report, bytes: 0, has_words: false, refusal, done: false }
    }

    async fn take(mut self, mut body: Incoming) -> Result<ModelReport, ModelFailure> {
        let mut events = Events::default();
        while !self.done
            && let Some(piece) = next_piece(self.model, &mut body).await?
        {
            let before = self.bytes;
            let complete = events
                .push(&piece)
                .map_err(|_| not_an_answer(self.model, "one of its events is too long"))?;
            for data in complete {
                self.event(&data).await?;
            }
            if self.bytes == before {
                self.host.alive().await;
            }
        }
        if self.done {
            // The end of the response is usually here already. Once it is taken, the connection
            // can serve the next request; nothing is waited for.
            drop(timeout(Duration::ZERO, next_piece(self.model, &mut body)).await);
        }
        self.verdict()
    }

    async fn event(&mut self, data: &[u8]) -> Result<(), ModelFailure> {
        if self.done || data.trim_ascii() == DONE {
            self.done = true;
            return Ok(());
        }
        let chunk: Chunk = serde_json::from_slice(data)
            .map_err(|error| not_an_answer(self.model, &error.to_string()))?;
        if let Some(error) = &chunk.error {
            let words = message(&serde_json::json!({ "error": error }).to_string());
            return Err(broken(self.model, &words));
        }
        if let Some(usage) = chunk.usage() {
            self.report.usage = Some(usage);
            self.host.used(usage).await;
        }
        for choice in chunk.choices.iter().take(1) {
            self.refusal.extend(choice.refusal().map(|words| words.get(..1024).unwrap_or(words)));
            self.say(&choice.text()).await?;
            if let Some(reason) = &choice.finish_reason {
                self.report.finish = Some(reason.chars().take(64).collect());
            }
        }
        if self.report.answered.is_none() {
            let name = chunk.model.filter(|name| !name.is_empty());
            self.report.answered = name.map(|name| shown(self.model, &name));
        }
        Ok(())
    }

    async fn say(&mut self, mut text: &str) -> Result<(), ModelFailure> {
        if self.bytes + text.len() > MAX_ANSWER_BYTES {
            return Err(ModelFailure::TooLarge { limit: MAX_ANSWER_BYTES });
        }
        self.bytes += text.len();
        self.has_words |= !text.trim().is_empty();
        while !text.is_empty() {
            let (piece, rest) = text.split_at(text.floor_char_boundary(PIECE));
            text = rest;
            let bytes = Bytes::copy_from_slice(piece.as_bytes());
            self.host.output(OutputStream::Stdout, bytes).await;
        }
        Ok(())
    }

    /// What has come, now that nothing more does. Some providers leave out the last event, so a
    /// reason to end is an end too.
    fn verdict(self) -> Result<ModelReport, ModelFailure> {
        let provider = self.model.provider.clone();
        match self.report.finish.as_deref() {
            None if !self.done => Err(broken(self.model, "the connection ended before the answer")),
            Some("length") => Err(ModelFailure::OutOfTokens { provider }),
            Some("content_filter") => {
                let message = shown(self.model, &self.refusal);
                Err(ModelFailure::Refused { provider, message })
            }
            _ if self.has_words => Ok(self.report),
            _ if !self.refusal.trim().is_empty() => {
                let message = shown(self.model, &self.refusal);
                Err(ModelFailure::Refused { provider, message })
            }
            _ => Err(ModelFailure::Empty { provider }),
        }
    }
}

fn not_an_answer(model: &ChatModel, reason: &str) -> ModelFailure {
    ModelFailure::NotAnAnswer { provider: model.provider.clone(), reason: shown(model, reason) }
}
