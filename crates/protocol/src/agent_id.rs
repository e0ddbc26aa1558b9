//! Names of agents.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest agent id, in characters.
const MAX_LENGTH: usize = 64;

/// The name an agent is configured and addressed by: lower-case letters, digits, `_` and `-`,
/// starting with a letter or digit, at most 64 characters (OpenClaw protocol §6.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AgentId(String);

/// Why a text is no agent id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an agent id: use 1 to 64 letters, digits, `_` or `-`, starting with a letter or digit"
)]
pub struct InvalidAgentId(String);

impl AgentId {
    /// Reads an agent id; upper case is folded to lower, as OpenClaw does.
    ///
    /// # Errors
    /// [`InvalidAgentId`] when the text is empty, too long or has other characters.
    pub fn new(text: &str) -> Result<Self, InvalidAgentId> {
        let id = text.trim().to_ascii_lowercase();
        let mut characters = id.chars();
        let starts_well = characters.next().is_some_and(|c| c.is_ascii_alphanumeric());
        let goes_on_well = characters.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        if starts_well && goes_on_well && id.len() <= MAX_LENGTH {
            Ok(Self(id))
        } else {
            Err(InvalidAgentId(text.chars().take(MAX_LENGTH).collect()))
        }
    }

    /// The agent that answers when none is named: `main`.
    #[must_use]
    pub fn main() -> Self {
        Self("main".to_owned())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for AgentId {
    type Error = InvalidAgentId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(&text)
    }
}

impl From<AgentId> for String {
    fn from(id: AgentId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::AgentId;

    #[test]
    fn ids_are_folded_to_lower_case() {
        assert_eq!(AgentId::new(" My-Agent ").map(String::from), Ok("my-agent".to_owned()));
    }

    #[test]
    fn odd_ids_are_refused() {
        for text in ["", "-a", "a b", "a/b", "../x", "ä", &"a".repeat(65)] {
            assert!(AgentId::new(text).is_err(), "{text:?} was accepted");
        }
        assert!(AgentId::new(&"a".repeat(64)).is_ok());
    }
}
