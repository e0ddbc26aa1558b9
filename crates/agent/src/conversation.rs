//! What was said before a turn.

/// Who said something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// Whoever set the agent up.
    System,
    /// Whoever talks to the agent.
    User,
    /// The agent.
    Assistant,
}

/// One thing that was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who said it.
    pub speaker: Speaker,
    /// What was said.
    pub text: String,
}

/// What was said before a turn. The turn's own task is not part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conversation {
    /// What the agent was told about itself.
    pub system: Option<String>,
    /// The messages, the oldest first.
    pub messages: Vec<Message>,
}

impl Message {
    /// Something the user said.
    #[must_use]
    pub fn user(text: impl Into<String>) -> Self {
        Self { speaker: Speaker::User, text: text.into() }
    }

    /// Something the agent said.
    #[must_use]
    pub fn assistant(text: impl Into<String>) -> Self {
        Self { speaker: Speaker::Assistant, text: text.into() }
    }
}
