//! OpenAI's chat completions: what is sent, and the pieces that come back.
//!
//! Read leniently: what other providers add is passed by, and what they leave out is empty.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ChatModel, Conversation, Message, Speaker, Usage};

/// The data of the event that ends an answer.
pub(crate) const DONE: &[u8] = b"[DONE]";

/// What is sent.
#[derive(Serialize)]
pub(crate) struct Request<'a> {
    model: &'a str,
    messages: Vec<Said<'a>>,
    stream: bool,
    stream_options: StreamOptions,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u64>,
}

#[derive(Serialize)]
struct Said<'a> {
    role: &'static str,
    content: &'a str,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

/// One piece of an answer.
#[derive(Deserialize)]
pub(crate) struct Chunk {
    /// The model that answers.
    pub(crate) model: Option<String>,
    #[serde(default)]
    pub(crate) choices: Vec<Choice>,
    usage: Option<WireUsage>,
    /// An error in the middle of an answer.
    pub(crate) error: Option<Value>,
}

/// A piece of one of the answers; there is only ever one, since one is asked for.
#[derive(Deserialize)]
pub(crate) struct Choice {
    #[serde(default)]
    delta: Option<Delta>,
    /// Why the answer ends here.
    pub(crate) finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    content: Option<Content>,
    refusal: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    #[serde(default)]
    text: String,
}

#[derive(Deserialize)]
struct WireUsage {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
    #[serde(default)]
    prompt_tokens_details: Option<PromptDetails>,
}

#[derive(Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Option<u64>,
}

impl<'a> Request<'a> {
    /// The request that asks `prompt` after `earlier`.
    pub(crate) fn new(model: &'a ChatModel, earlier: &'a Conversation, prompt: &'a str) -> Self {
        let mut messages = Vec::with_capacity(earlier.messages.len() + 2);
        if let Some(system) = &earlier.system {
            messages.push(Said { role: "system", content: system });
        }
        messages.extend(earlier.messages.iter().map(said));
        messages.push(Said { role: "user", content: prompt });
        // OpenAI's newer models refuse the older name, and many others know only that.
        let newer_name = model.base_url.contains("://api.openai.com");
        Self {
            model: &model.id,
            messages,
            stream: true,
            stream_options: StreamOptions { include_usage: true },
            max_tokens: model.max_tokens.filter(|_| !newer_name),
            max_completion_tokens: model.max_tokens.filter(|_| newer_name),
        }
    }
}

fn said(message: &Message) -> Said<'_> {
    let role = match message.speaker {
        Speaker::System => "system",
        Speaker::User => "user",
        Speaker::Assistant => "assistant",
    };
    Said { role, content: &message.text }
}

impl Chunk {
    /// The tokens, where this piece tells them.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let usage = self.usage.as_ref()?;
        let cached = usage.prompt_tokens_details.as_ref().and_then(|details| details.cached_tokens);
        Some(Usage {
            input_tokens: usage.prompt_tokens?,
            output_tokens: usage.completion_tokens.unwrap_or(0),
            cached_tokens: cached.unwrap_or(0),
        })
    }
}

impl Choice {
    /// The words of this piece.
    pub(crate) fn text(&self) -> String {
        match self.delta.as_ref().and_then(|delta| delta.content.as_ref()) {
            Some(Content::Text(text)) => text.clone(),
            Some(Content::Parts(parts)) => parts.iter().map(|part| part.text.as_str()).collect(),
            None => String::new(),
        }
    }

    /// The words with which the model declines, where it does.
    pub(crate) fn refusal(&self) -> Option<&str> {
        self.delta.as_ref()?.refusal.as_deref()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::{Chunk, Request};
    use crate::{ChatModel, Conversation, Message};

    fn model(base_url: &str) -> ChatModel {
        ChatModel {
            provider: "p".to_owned(),
            id: "m".to_owned(),
            base_url: base_url.to_owned(),
            api_key: None,
            headers: Vec::new(),
            context_window: None,
            max_tokens: Some(7),
            deadlines: crate::ModelDeadlines::default(),
        }
    }

    #[test]
    fn a_request_is_the_whole_conversation_in_order() {
        let earlier = Conversation {
            system: Some("be brief".to_owned()),
            messages: vec![Message::user("hi"), Message::assistant("hello")],
        };
        let model = model("http://127.0.0.1:1/v1");
        assert_eq!(
            serde_json::to_value(Request::new(&model, &earlier, "go on")).unwrap(),
            json!({
                "model": "m",
                "messages": [
                    { "role": "system", "content": "be brief" },
                    { "role": "user", "content": "hi" },
                    { "role": "assistant", "content": "hello" },
                    { "role": "user", "content": "go on" },
                ],
                "stream": true,
                "stream_options": { "include_usage": true },
                "max_tokens": 7,
            })
        );
    }

    #[test]
    fn the_limit_has_another_name_at_openai() {
        let model = model("https://api.openai.com/v1");
        let request = serde_json::to_value(Request::new(&model, &Conversation::default(), "go"));
        let request = request.unwrap();
        assert_eq!(
            (&request["max_completion_tokens"], request.get("max_tokens")),
            (&json!(7), None)
        );
    }

    #[test]
    fn pieces_of_every_provider_are_read() {
        let cases = [
            (json!({ "choices": [{ "delta": { "content": "a" } }] }), "a"),
            (
                json!({ "choices": [{ "delta": { "content": [{ "type": "text", "text": "a" }, { "type": "thinking" }] } }] }),
                "a",
            ),
            (json!({ "choices": [{ "delta": { "role": "assistant", "content": null } }] }), ""),
            (json!({ "choices": [{ "delta": null, "finish_reason": "stop" }] }), ""),
            (json!({ "choices": [{ "index": 0, "finish_reason": "stop" }] }), ""),
        ];
        for (json, text) in cases {
            let chunk: Chunk = serde_json::from_value(json).unwrap();
            assert_eq!(chunk.choices[0].text(), text);
        }
        let chunk: Chunk =
            serde_json::from_value(json!({ "usage": { "prompt_tokens": 3 }, "model": "m-2" }))
                .unwrap();
        assert_eq!(chunk.usage().unwrap().input_tokens, 3);
    }
}
