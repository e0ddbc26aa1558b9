//! What a model is told of a conversation before it answers.

use std::collections::BTreeMap;

use hatchery_agent::{Conversation, Message};
use hatchery_protocol::SessionId;
use hatchery_spawn::{AddedMessage, Speaker};
use hatchery_store::{Page, ReadError, Said, Store, StoredMessage};

use super::message::text_of;

/// The most messages a model is told.
const MAX_MESSAGES: u32 = 200;

/// The most text a model is told, in bytes. Older messages beyond it are left out.
const MAX_BYTES: usize = 256 * 1024;

/// What was said in a session, for the model that answers next.
pub(crate) fn conversation(store: &Store, session: &SessionId) -> Result<Conversation, ReadError> {
    let Some(view) = store.session_by_id(session)? else { return Ok(Conversation::default()) };
    let page = Page { limit: MAX_MESSAGES, offset: 0 };
    let transcript = store.transcript(&view, page)?;
    Ok(Conversation { system: None, messages: pairs(&transcript.messages) })
}

/// Each question with its answer, in the order of the answers: what is not answered yet is not
/// part of it, and what gateway and person said to each other in commands concerns no model.
fn pairs(transcript: &[StoredMessage]) -> Vec<Message> {
    let mut asked: BTreeMap<&str, &str> = BTreeMap::new();
    let mut messages = Vec::new();
    for message in transcript {
        match &message.said {
            Said::Task { run, text } => {
                asked.insert(run, text);
            }
            Said::Answer { run, outcome, .. } if !outcome.tail.trim().is_empty() => {
                if let Some(question) = asked.remove(run.as_str()) {
                    messages.push(Message::user(question));
                    messages.push(Message::assistant(outcome.tail.as_str()));
                }
            }
            Said::Announce { .. } => messages.push(Message::user(text_of(&message.said))),
            Said::Added(AddedMessage { speaker: Speaker::Assistant, key: None, text, .. }) => {
                messages.push(Message::assistant(text.as_str()));
            }
            Said::Answer { .. } | Said::Added(_) => {}
        }
    }
    let mut room = MAX_BYTES;
    let fits = |message: &&Message| {
        let size = message.text.len();
        let fits = size <= room;
        room = room.saturating_sub(size);
        fits
    };
    let fitting = messages.iter().rev().take_while(fits).count();
    let left_out = messages.len() - fitting;
    messages.drain(..left_out);
    messages
}

#[cfg(test)]
mod tests {
    use hatchery_agent::Message;
    use hatchery_protocol::RunStatus;
    use hatchery_spawn::Outcome;
    use hatchery_store::{Said, StoredMessage};

    use super::{MAX_BYTES, pairs};

    fn message(said: Said) -> StoredMessage {
        StoredMessage { id: String::new(), seq: 0, at_ms: 0, said }
    }

    fn task(run: &str, text: &str) -> StoredMessage {
        message(Said::Task { run: run.to_owned(), text: text.to_owned() })
    }

    fn answer(run: &str, text: &str) -> StoredMessage {
        let outcome = Outcome {
            status: RunStatus::Ok,
            exit_code: None,
            error: None,
            tail: text.to_owned(),
            output_bytes: 0,
            ended_at_ms: 0,
            usage: None,
            cost_micros: None,
            last_step: None,
            files_touched: Vec::new(),
        };
        message(Said::Answer { run: run.to_owned(), model: String::new(), outcome })
    }

    #[test]
    fn questions_stand_before_their_answers_and_the_open_one_is_left_out() {
        let transcript =
            [task("1", "a"), task("2", "b"), answer("1", "A"), answer("2", "B"), task("3", "c")];
        let expected = [
            Message::user("a"),
            Message::assistant("A"),
            Message::user("b"),
            Message::assistant("B"),
        ];
        assert_eq!(pairs(&transcript), expected);
    }

    #[test]
    fn of_too_much_the_newest_is_told() {
        let long = "x".repeat(MAX_BYTES / 2);
        let transcript = [task("1", &long), answer("1", &long), task("2", "b"), answer("2", "B")];
        assert_eq!(pairs(&transcript).len(), 3);
    }
}
