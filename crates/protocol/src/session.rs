//! Sessions: the id people type, and what a session is for.

use std::fmt;

use serde::{Deserialize, Serialize};

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

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionKind {
    /// An agent's own session, where its person talks to it.
    Main,
    /// A sub-agent of ours.
    Subagent,
    /// An agent over ACP.
    Acp,
    /// An editor that talks ACP to us.
    AcpBridge,
    /// A conversation opened from a dashboard.
    Dashboard,
    /// A conversation with one peer on a channel.
    Direct,
    /// A conversation with several people on a channel.
    Group,
    /// The runs of a schedule.
    Cron,
    /// The runs of a hook.
    Hook,
    /// A node's session.
    Node,
    /// A session somebody gave a name of their own.
    Explicit,
    /// Anything else that is a key.
    Other,
}

impl SessionKind {
    /// The kind's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Subagent => "subagent",
            Self::Acp => "acp",
            Self::AcpBridge => "acp-bridge",
            Self::Dashboard => "dashboard",
            Self::Direct => "direct",
            Self::Group => "group",
            Self::Cron => "cron",
            Self::Hook => "hook",
            Self::Node => "node",
            Self::Explicit => "explicit",
            Self::Other => "other",
        }
    }

    /// Whether such sessions are opened for a run, by the supervisor alone.
    #[must_use]
    pub fn is_of_a_run(self) -> bool {
        matches!(self, Self::Subagent | Self::Acp)
    }
}

impl fmt::Display for SessionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
