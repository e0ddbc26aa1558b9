//! Lists of agents.

use std::collections::BTreeSet;

use hatchery_protocol::{AgentId, InvalidAgentId};
use serde::Deserialize;

/// The word that stands for every agent.
pub(crate) const EVERY_AGENT: &str = "*";

/// The agents a list names.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub enum Allowed {
    /// The list holds `*`.
    Any,
    /// These and no others; possibly none.
    Only(BTreeSet<AgentId>),
}

impl Allowed {
    /// Whether the list names this agent, by itself or with `*`.
    #[must_use]
    pub fn names(&self, agent: &AgentId) -> bool {
        match self {
            Self::Any => true,
            Self::Only(agents) => agents.contains(agent),
        }
    }

    /// Whether nobody was put on the list.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Only(agents) if agents.is_empty())
    }
}

impl TryFrom<Vec<String>> for Allowed {
    type Error = InvalidAgentId;

    fn try_from(words: Vec<String>) -> Result<Self, Self::Error> {
        if words.iter().any(|word| word == EVERY_AGENT) {
            return Ok(Self::Any);
        }
        words.iter().map(|word| AgentId::new(word)).collect::<Result<_, _>>().map(Self::Only)
    }
}
