//! Asking a model of a provider: one question, one streamed answer.
//!
//! Whatever can go wrong ends in a [`ModelFailure`]; what was said until then stays said. Nothing
//! here knows tools, and nothing keeps what was said.

mod answer;
mod events;
mod failure;
mod transport;
mod wire;
mod words;

use hatchery_protocol::Task;
use tokio::time::{Duration, sleep};

pub use failure::{ModelFailure, Stage};

use self::answer::{Attempt, attempt};
use crate::{Cancel, ChatModel, Conversation, Host, ModelReport, TurnEnd};

/// How often a provider is asked at most.
pub const MAX_ATTEMPTS: u32 = 3;

/// The longest wait a provider may ask for before a repetition; when it asks for more, the turn
/// fails and says so.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(30);

/// The most bytes an answer may have.
pub const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// Asks the model and hands its words to the host as they come. A cancel drops the request at
/// once, whatever it waits for.
pub(crate) async fn ask<H: Host>(
    host: &H,
    model: &ChatModel,
    earlier: &Conversation,
    task: &Task,
    cancel: &Cancel,
) -> TurnEnd {
    let prompt = prompt(task);
    tokio::select! {
        biased;
        () = cancel.cancelled() => TurnEnd::Cancelled,
        answer = persist(host, model, earlier, &prompt) => match answer {
            Ok(report) => TurnEnd::Answered { exit_code: None, report: Some(report) },
            Err(failure) => TurnEnd::Failed(failure.into()),
        },
    }
}

/// Asks again where that can help and nothing was said yet.
async fn persist<H: Host>(
    host: &H,
    model: &ChatModel,
    earlier: &Conversation,
    prompt: &str,
) -> Result<ModelReport, ModelFailure> {
    let mut attempts = 1;
    loop {
        let Attempt { result, began } = attempt(host, model, earlier, prompt).await;
        let failure = match result {
            Ok(report) => return Ok(ModelReport { attempts, ..report }),
            Err(failure) => failure,
        };
        let wait = if began { None } else { failure.worth_repeating(model, attempts) };
        let Some(wait) = wait.filter(|_| attempts < MAX_ATTEMPTS) else { return Err(failure) };
        tracing::info!(model = model.reference(), attempts, "asking the model again: {failure}");
        sleep(wait).await;
        attempts += 1;
    }
}

/// What a model is told of a task: the words of an argument vector are the words of a sentence.
#[must_use]
pub fn prompt(task: &Task) -> String {
    match task {
        Task::Text(text) => text.clone(),
        Task::Argv(words) => words.join(" "),
    }
}
