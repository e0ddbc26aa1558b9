//! The keys of sessions, and the grammar they follow (OpenClaw protocol §6.1).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{AgentId, InvalidAgentId, SessionKind};

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

/// The longest session key, in characters (OpenClaw protocol §6.1).
pub const MAX_SESSION_KEY: usize = 512;

/// Why a text is no session key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSessionKey {
    /// There is nothing, or nothing between two colons.
    #[error("a session key has no empty part: `main`, or `agent:<id>:<rest>`")]
    Empty,
    /// It is over the limit.
    #[error("a session key has at most {MAX_SESSION_KEY} characters")]
    TooLong,
    /// It holds something that cannot be seen.
    #[error("a session key has no spaces and no control characters")]
    Unprintable,
    /// The part behind `agent:` names no agent.
    #[error(transparent)]
    Agent(#[from] InvalidAgentId),
}

impl SessionKey {
    /// Reads a key as clients write it: upper and lower case are the same, and what does not
    /// begin with `agent:` is a session of the default agent.
    ///
    /// # Errors
    /// [`InvalidSessionKey`].
    pub fn parse(text: &str, default_agent: &AgentId) -> Result<Self, InvalidSessionKey> {
        let text = text.trim();
        if text.chars().count() > MAX_SESSION_KEY {
            return Err(InvalidSessionKey::TooLong);
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(InvalidSessionKey::Unprintable);
        }
        let text = text.to_lowercase();
        let (agent, rest) = match text.strip_prefix("agent:") {
            None => (default_agent.clone(), text.as_str()),
            Some(named) => {
                let (agent, rest) = named.split_once(':').ok_or(InvalidSessionKey::Empty)?;
                (AgentId::new(agent)?, rest)
            }
        };
        if rest.split(':').any(str::is_empty) {
            return Err(InvalidSessionKey::Empty);
        }
        let key = format!("agent:{agent}:{rest}");
        if key.chars().count() > MAX_SESSION_KEY {
            return Err(InvalidSessionKey::TooLong);
        }
        Ok(Self(key))
    }

    /// The key of a new session that is opened from a dashboard: `agent:<id>:dashboard:<unique>`.
    #[must_use]
    pub fn dashboard(agent: &AgentId, unique: &str) -> Self {
        Self(format!("agent:{agent}:{}:{unique}", SessionKind::Dashboard))
    }

    /// The agent whose session it is; the default agent for a key without one.
    #[must_use]
    pub fn agent(&self) -> AgentId {
        let named = self.0.strip_prefix("agent:").and_then(|rest| rest.split(':').next());
        named.and_then(|name| AgentId::new(name).ok()).unwrap_or_else(AgentId::main)
    }

    /// The part behind the agent.
    #[must_use]
    pub fn rest(&self) -> &str {
        let rest = self.0.strip_prefix("agent:").and_then(|rest| rest.split_once(':'));
        rest.map_or(&self.0, |(_, rest)| rest)
    }

    /// What a session of this key is for.
    #[must_use]
    pub fn kind(&self) -> SessionKind {
        let parts: Vec<&str> = self.rest().split(':').collect();
        match parts.as_slice() {
            ["main", ..] => SessionKind::Main,
            ["subagent", ..] => SessionKind::Subagent,
            ["acp", ..] => SessionKind::Acp,
            ["acp-bridge", ..] => SessionKind::AcpBridge,
            ["dashboard", ..] => SessionKind::Dashboard,
            ["cron", ..] => SessionKind::Cron,
            ["hook", ..] => SessionKind::Hook,
            ["explicit", ..] => SessionKind::Explicit,
            [node, ..] if node.starts_with("node-") => SessionKind::Node,
            parts if parts.contains(&"direct") => SessionKind::Direct,
            parts if parts.contains(&"group") || parts.contains(&"channel") => SessionKind::Group,
            _ => SessionKind::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{InvalidSessionKey, MAX_SESSION_KEY, SessionKey};
    use crate::{AgentId, SessionKind};

    fn parse(text: &str) -> Result<String, InvalidSessionKey> {
        SessionKey::parse(text, &AgentId::main()).map(|key| key.to_string())
    }

    #[test]
    fn keys_are_folded_and_bare_ones_belong_to_the_default_agent() {
        for (text, key) in [
            ("main", "agent:main:main"),
            (" MAIN ", "agent:main:main"),
            ("Agent:Ops:Main", "agent:ops:main"),
            ("dashboard:ABC", "agent:main:dashboard:abc"),
            ("agent:main:telegram:direct:42", "agent:main:telegram:direct:42"),
        ] {
            assert_eq!(parse(text).unwrap(), key);
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in [
            "",
            ":",
            "agent:",
            "agent:main",
            "agent::main",
            "agent:a b:main",
            "a b",
            "agent:main:x::y",
            "agent:../x:main",
            "main:",
            "a\u{7}b",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_length_limit_holds_at_its_edge() {
        let prefix = "agent:main:";
        let longest = format!("{prefix}{}", "x".repeat(MAX_SESSION_KEY - prefix.len()));
        assert_eq!(parse(&longest).unwrap(), longest);
        assert_eq!(parse(&format!("{longest}x")), Err(InvalidSessionKey::TooLong));
        // The limit holds for what is kept, not only for what was written.
        assert_eq!(parse(&"x".repeat(MAX_SESSION_KEY)), Err(InvalidSessionKey::TooLong));
    }

    #[test]
    fn the_kind_follows_from_the_key() {
        for (rest, kind) in [
            ("main", SessionKind::Main),
            ("main:thread:7", SessionKind::Main),
            ("subagent:1", SessionKind::Subagent),
            ("acp:1", SessionKind::Acp),
            ("acp-bridge:1", SessionKind::AcpBridge),
            ("dashboard:1", SessionKind::Dashboard),
            ("direct:mum", SessionKind::Direct),
            ("telegram:direct:mum", SessionKind::Direct),
            ("slack:channel:c1", SessionKind::Group),
            ("node-7", SessionKind::Node),
            ("whatever", SessionKind::Other),
        ] {
            let key = SessionKey::parse(rest, &AgentId::main()).unwrap();
            assert_eq!(key.kind(), kind, "{rest}");
            assert_eq!(key.agent(), AgentId::main());
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
