//! Sessions: the id people type and the key machines use.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::AgentId;

/// The id of a session as people type it: `sess_` and a short unique rest. Any unambiguous
/// prefix is accepted where a session is asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(String);

impl SessionId {
    /// Takes an id that was made elsewhere: drawn at random, or read from the journal.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The default agent's main session, there from the start.
    #[must_use]
    pub fn main() -> Self {
        Self("sess_main".to_owned())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The key of a session as machines use it, in OpenClaw's grammar (protocol §6.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionKey(String);

impl SessionKey {
    /// Takes a key that was made elsewhere, as the journal's are.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The main session of an agent: `agent:<id>:main`.
    #[must_use]
    pub fn main(agent: &AgentId) -> Self {
        Self(format!("agent:{agent}:main"))
    }

    /// The session of a sub-agent: `agent:<id>:subagent:<unique>`, or `…:acp:<unique>`.
    #[must_use]
    pub fn child(agent: &AgentId, kind: SessionKind, unique: &str) -> Self {
        Self(format!("agent:{agent}:{kind}:{unique}"))
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionKind {
    /// An agent's own session, where its person talks to it.
    Main,
    /// A sub-agent of ours.
    Subagent,
    /// An agent over ACP.
    Acp,
}

impl SessionKind {
    /// The kind's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Subagent => "subagent",
            Self::Acp => "acp",
        }
    }
}

impl fmt::Display for SessionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
