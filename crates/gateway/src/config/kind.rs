//! What a key's value may be.
//!
//! A [`Node`] enters; a checked value leaves in the one spelling the rest of the program sees:
//! ids in lower case, `~` expanded, a command as a list of words.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use hatchery_access::AllowedOrigin;
use hatchery_protocol::AgentId;
use serde_json::{Value, json};

use super::allowed::EVERY_AGENT;
use super::bind::{BIND_WORDS, Bind};
use super::document::{Content, Node, Spot};
use super::{AddressRange, REDACTED, model_kinds};

/// What a key's value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    /// A whole number, both ends included.
    Whole {
        min: i64,
        max: i64,
    },
    /// A text that is not empty.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A text nobody may see.
    Secret,
    /// A word or address to listen on.
    Bind,
    /// An IP address.
    Address,
    /// A list of IP addresses and ranges.
    AddressRanges,
    /// A list of origins of pages, and `*`.
    Origins,
    /// A list of texts.
    Texts,
    /// An agent's name.
    Agent,
    /// A list of agents' names and `*`.
    Agents,
    /// An absolute directory, possibly written with `~`.
    Directory,
    /// An absolute file, possibly written with `~`.
    File,
    /// A program and its arguments, as a list or one shell-quoted text.
    Command,
    /// A model by name, or one with others to stand in for it.
    Model,
    /// An address to send requests to.
    Url,
    /// Headers, whose values nobody may see.
    Headers,
    /// A provider's models.
    ModelList,
}

/// Why a value will not do.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) at: Spot,
    pub(crate) problem: Problem,
}

/// The kinds of [`Fault`].
#[derive(Debug)]
pub(crate) enum Problem {
    WrongType { expected: String, found: &'static str },
    OutOfRange { found: i64, min: i64, max: i64 },
    Invalid(String),
}

impl Kind {
    /// What it has to be, to complete "has to be …".
    pub(crate) fn expected(self) -> String {
        match self {
            Self::Bool => "true or false".into(),
            Self::Whole { min, max } => format!("a whole number from {min} to {max}"),
            Self::Text | Self::Secret => "a text".into(),
            Self::Word(words) => one_of(words),
            Self::Bind => format!("{} or an IP address", BIND_WORDS.join(", ")),
            Self::Address => "an IP address in quotes".into(),
            Self::AddressRanges => "a list of IP addresses or ranges in quotes".into(),
            Self::Origins => "a list of origins in quotes, such as https://chat.example.org".into(),
            Self::Texts => "a list of texts in quotes".into(),
            Self::Agent => "the name of an agent in quotes".into(),
            Self::Agents => "a list of agents' names in quotes, or [\"*\"]".into(),
            Self::Directory => "a directory in quotes".into(),
            Self::File => "a file in quotes".into(),
            Self::Command => "a command line in quotes, or a list of its words".into(),
            Self::Model => "\"provider/model\", or { primary: \"provider/model\" }".into(),
            Self::Url => "an address in quotes, such as \"https://api.example.com/v1\"".into(),
            Self::Headers => "an object of headers and their values in quotes".into(),
            Self::ModelList => "a list of models, such as [{ id: \"gpt-5\" }]".into(),
        }
    }

    /// Reads a variable or a flag, which are text whatever they mean.
    pub(crate) fn content_of(self, text: &str) -> Content {
        let word = text.to_ascii_lowercase();
        match self {
            Self::Bool if ["true", "1", "yes", "on"].contains(&word.as_str()) => {
                Content::Bool(true)
            }
            Self::Bool if ["false", "0", "no", "off"].contains(&word.as_str()) => {
                Content::Bool(false)
            }
            Self::Whole { .. } => {
                text.parse().map_or_else(|_| Content::Text(text.to_owned()), Content::Whole)
            }
            _ => Content::Text(text.to_owned()),
        }
    }

    /// The value as it may be shown.
    pub(crate) fn shown(self, value: Value) -> Value {
        match (self, value) {
            (Self::Secret, Value::String(_)) => json!(REDACTED),
            (Self::Headers, Value::Object(headers)) => {
                headers.into_iter().map(|(name, _)| (name, json!(REDACTED))).collect()
            }
            (_, value) => value,
        }
    }

    /// Checks a value and brings it into the program's spelling.
    pub(crate) fn check(self, node: &Node, home: Option<&Path>) -> Result<Value, Fault> {
        match (self, &node.content) {
            (Self::Bool, Content::Bool(value)) => Ok(json!(value)),
            (Self::Whole { min, max }, Content::Whole(value)) => {
                let found = *value;
                if (min..=max).contains(&found) {
                    Ok(json!(found))
                } else {
                    Err(fault(node, Problem::OutOfRange { found, min, max }))
                }
            }
            (
                Self::AddressRanges | Self::Agents | Self::Origins | Self::Texts,
                Content::List(items),
            ) => items.iter().map(|item| self.item(item)).collect(),
            (Self::Command, Content::List(words)) => command(node, words),
            (Self::Model, Content::Object(properties)) => model_kinds::choice(node, properties),
            (Self::Headers, Content::Object(properties)) => model_kinds::headers(properties),
            (Self::ModelList, Content::List(items)) => model_kinds::models(items),
            (
                Self::Agents
                | Self::AddressRanges
                | Self::Origins
                | Self::Texts
                | Self::Bool
                | Self::Whole { .. }
                | Self::Headers
                | Self::ModelList,
                _,
            ) => Err(self.wrong_type(node)),
            (_, Content::Text(text)) => {
                self.text(text, home).map_err(|reason| fault(node, Problem::Invalid(reason.0)))
            }
            _ => Err(self.wrong_type(node)),
        }
    }

    fn wrong_type(self, node: &Node) -> Fault {
        let problem = Problem::WrongType { expected: self.expected(), found: node.content.noun() };
        fault(node, problem)
    }

    /// One element of a list.
    fn item(self, node: &Node) -> Result<Value, Fault> {
        let Content::Text(text) = &node.content else { return Err(self.wrong_type(node)) };
        let read = match self {
            Self::Agents if text.trim() == EVERY_AGENT => Ok(json!(EVERY_AGENT)),
            Self::Agents => agent(text),
            Self::Origins => {
                text.trim().parse::<AllowedOrigin>().map(|_| json!(text.trim())).map_err(reason)
            }
            Self::Texts if text.trim().is_empty() => Err(Reason("it is empty. Remove it".into())),
            Self::Texts => Ok(json!(text.trim())),
            _ => text.trim().parse::<AddressRange>().map(|_| json!(text.trim())).map_err(reason),
        };
        read.map_err(|reason| fault(node, Problem::Invalid(reason.0)))
    }

    /// Everything that is written as one text.
    fn text(self, text: &str, home: Option<&Path>) -> Result<Value, Reason> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(Reason("it is empty. Set it, or remove the key".into()));
        }
        match self {
            Self::Secret if text == REDACTED => Err(Reason(
                "this is the mark that hides a secret, not the secret. Put the secret here, or remove the key".into(),
            )),
            Self::Word(words) if words.contains(&trimmed) => Ok(json!(trimmed)),
            Self::Word(words) => Err(Reason(format!("`{trimmed}` is not {}", one_of(words)))),
            Self::Bind if trimmed == "custom" => Ok(json!(trimmed)),
            Self::Bind => trimmed.parse::<Bind>().map(|_| json!(trimmed)).map_err(reason),
            Self::Address => match trimmed.parse::<IpAddr>() {
                Ok(_) => Ok(json!(trimmed)),
                Err(_) => Err(Reason(format!("`{trimmed}` is not an IP address"))),
            },
            Self::Agent => agent(trimmed),
            Self::Url => model_kinds::url(trimmed).map_err(Reason),
            Self::Model => Ok(json!(trimmed)),
            Self::Directory | Self::File => directory(trimmed, home),
            Self::Command => match shlex::split(trimmed) {
                Some(words) if !words.is_empty() => Ok(json!(words)),
                _ => Err(Reason("its quotes do not match. Write it as a list of words".into())),
            },
            _ => Ok(json!(text)),
        }
    }
}

/// Why a text will not do, and what to write instead.
struct Reason(String);

fn reason(error: impl std::error::Error) -> Reason {
    Reason(error.to_string())
}

pub(crate) fn fault(node: &Node, problem: Problem) -> Fault {
    Fault { at: node.at, problem }
}

fn one_of(words: &[&str]) -> String {
    words.join(" or ")
}

fn agent(text: &str) -> Result<Value, Reason> {
    AgentId::new(text).map(|id| json!(id)).map_err(reason)
}

/// A relative directory would depend on where the gateway happened to be started.
fn directory(text: &str, home: Option<&Path>) -> Result<Value, Reason> {
    let path = match text.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => {
            let home = home.ok_or_else(|| {
                Reason("no home directory is known for `~`. Write the whole path".into())
            })?;
            home.join(rest.trim_start_matches('/'))
        }
        _ => PathBuf::from(text),
    };
    match path.to_str() {
        Some(text) if path.is_absolute() => Ok(json!(text)),
        _ => Err(Reason(format!("`{text}` is not absolute. Start it with `/` or `~/`"))),
    }
}

fn command(node: &Node, words: &[Node]) -> Result<Value, Fault> {
    let word = |word: &Node| match &word.content {
        Content::Text(text) => Ok(json!(text)),
        _ => Err(Kind::Command.wrong_type(word)),
    };
    let words = words.iter().map(word).collect::<Result<Vec<_>, _>>()?;
    match words.first().and_then(Value::as_str) {
        Some(program) if !program.is_empty() => Ok(Value::Array(words)),
        _ => Err(fault(node, Problem::Invalid("it names no program".into()))),
    }
}
