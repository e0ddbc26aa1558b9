//! Which model a turn asks.

use std::fmt;

use hatchery_protocol::Secret;
use tokio::time::Duration;

/// The name of the model that is no language model.
pub const SHELL_MODEL: &str = "builtin/shell";

/// A model the built-in agent can ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Model {
    /// `builtin/shell`: no language model at all. The task is the command, and what the command
    /// prints is the answer. For the owner's own trees only; whoever starts a turn sees to that.
    #[default]
    Shell,
    /// A model of a provider that speaks OpenAI's chat completions.
    Chat(Box<ChatModel>),
}

/// A model of a provider, and all that is needed to ask it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatModel {
    /// The provider's name in the configuration.
    pub provider: String,
    /// The model's id, as the provider knows it.
    pub id: String,
    /// Where the provider is: `https://api.openai.com/v1`.
    pub base_url: String,
    /// The key; none where the provider wants none.
    pub api_key: Option<Secret>,
    /// Further headers of every request.
    pub headers: Vec<(String, Secret)>,
    /// How many tokens the model can take in at a time, where that is known.
    pub context_window: Option<u64>,
    /// The most tokens an answer may have, where that is limited.
    pub max_tokens: Option<u64>,
    /// How long it is waited for.
    pub deadlines: ModelDeadlines,
}

/// How long a model is waited for. The turn itself has no deadline here: that is for whoever
/// started it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelDeadlines {
    /// From the request to the first byte of the response. A local model reads a long conversation
    /// for minutes before it says anything.
    pub first_byte: Duration,
    /// Between two pieces of a response.
    pub idle: Duration,
    /// Before the first repetition of a request that may be repeated; doubled with each.
    pub back_off: Duration,
}

/// For the first byte of a response.
pub const FIRST_BYTE_DEADLINE: Duration = Duration::from_secs(300);

/// Between two pieces of a response.
pub const IDLE_DEADLINE: Duration = Duration::from_secs(120);

/// Before the first repetition of a request.
pub const BACK_OFF: Duration = Duration::from_millis(500);

impl Default for ModelDeadlines {
    fn default() -> Self {
        Self { first_byte: FIRST_BYTE_DEADLINE, idle: IDLE_DEADLINE, back_off: BACK_OFF }
    }
}

impl Model {
    /// The model's name, as it is configured: `builtin/shell` or `provider/id`.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Shell => SHELL_MODEL.to_owned(),
            Self::Chat(model) => model.reference(),
        }
    }
}

impl ChatModel {
    /// The model's name, as it is configured: `provider/id`.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("{}/{}", self.provider, self.id)
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}
