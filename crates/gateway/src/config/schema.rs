//! Every key there is: one line each.
//!
//! The check for unknown keys, the check of values, the defaults, the environment and
//! `config show` all read this table. The types in `gateway`, `security`, `acp`, `agents` and
//! `models` are filled from it and refuse a key they do not know, so a line without a field does not load.

use serde_json::{Value, json};

use super::Flags;
use super::kind::Kind;

/// One known key.
pub(crate) struct Key {
    /// The key from the root. `*` stands for a name people give: an agent's or a provider's.
    pub(crate) path: &'static str,
    pub(crate) kind: Kind,
    pub(crate) fallback: Fallback,
    /// The variable that sets it, without `HATCHERY_` or `OPENCLAW_` in front.
    pub(crate) variable: Option<&'static str>,
    /// The flag that sets it, and how to get at its value.
    pub(crate) flag: Option<(&'static str, FlagValue)>,
}

/// The value of one flag, as text.
pub(crate) type FlagValue = fn(&Flags) -> Option<String>;

/// What holds when nobody sets the key.
#[derive(Clone, Copy)]
pub(crate) enum Fallback {
    Unset,
    Bool(bool),
    Number(i64),
    Word(&'static str),
    EmptyList,
}

impl Fallback {
    pub(crate) fn value(self) -> Value {
        match self {
            Self::Unset => Value::Null,
            Self::Bool(value) => json!(value),
            Self::Number(value) => json!(value),
            Self::Word(value) => json!(value),
            Self::EmptyList => json!([]),
        }
    }
}

/// The stand-in for a name people give, in a path.
pub(crate) const ANY: &str = "*";

/// What people give names to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Named {
    Agent,
    Provider,
}

impl Named {
    pub(crate) const ALL: [Self; 2] = [Self::Agent, Self::Provider];

    /// The object whose names they are.
    pub(crate) fn section(self) -> &'static str {
        match self {
            Self::Agent => "agents.entries",
            Self::Provider => "models.providers",
        }
    }

    /// What stands for such a name where none is meant in particular.
    pub(crate) fn placeholder(self) -> &'static str {
        match self {
            Self::Agent => "<agent>",
            Self::Provider => "<provider>",
        }
    }

    /// The kind of name a path has in it.
    pub(crate) fn within(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|named| path.starts_with(named.section()))
    }
}

/// The sections `gateway.json` may have.
pub(crate) const GATEWAY_JSON_SECTIONS: [&str; 3] = ["gateway", "security", "acp"];

/// The names of both families of variables, ours first.
pub(crate) const VARIABLE_PREFIXES: [&str; 2] = ["HATCHERY_", "OPENCLAW_"];

const fn key(path: &'static str, kind: Kind, fallback: Fallback) -> Key {
    Key { path, kind, fallback, variable: None, flag: None }
}

impl Key {
    const fn env(mut self, variable: &'static str) -> Self {
        self.variable = Some(variable);
        self
    }

    const fn flag(mut self, name: &'static str, value: FlagValue) -> Self {
        self.flag = Some((name, value));
        self
    }
}

fn port(flags: &Flags) -> Option<String> {
    flags.port.map(|port| port.to_string())
}

fn bind(flags: &Flags) -> Option<String> {
    flags.bind.clone()
}

const AUTH_MODES: &[&str] = &["token", "password", "none", "trusted-proxy"];
const SECONDS: Kind = Kind::Whole { min: 0, max: u32::MAX as i64 };
const MILLISECONDS: Kind = Kind::Whole { min: 1_000, max: 7 * 24 * 60 * 60 * 1_000 };
const AT_LEAST_ONE_OF_MANY: Kind = Kind::Whole { min: 1, max: 1 << 53 };
const AT_LEAST_ONE: Kind = Kind::Whole { min: 1, max: u32::MAX as i64 };

/// The table.
#[rustfmt::skip]
pub(crate) static KEYS: &[Key] = &{
    use Fallback::{Bool, EmptyList, Number, Unset, Word};
    [
        key("gateway.port", Kind::Whole { min: 0, max: u16::MAX as i64 }, Number(18789)).env("GATEWAY_PORT").flag("--port", port),
        key("gateway.bind", Kind::Bind, Word("loopback")).env("GATEWAY_BIND").flag("--bind", bind),
        key("gateway.customBindHost", Kind::Address, Unset),
        key("gateway.mode", Kind::Word(&["local"]), Word("local")),
        key("gateway.auth.mode", Kind::Word(AUTH_MODES), Word("token")),
        key("gateway.auth.token", Kind::Secret, Unset).env("GATEWAY_TOKEN"),
        key("gateway.auth.password", Kind::Secret, Unset).env("GATEWAY_PASSWORD"),
        key("gateway.auth.rateLimit.maxAttempts", Kind::Whole { min: 1, max: 1_000 }, Number(10)),
        key("gateway.auth.rateLimit.windowMs", MILLISECONDS, Number(60_000)),
        key("gateway.auth.rateLimit.lockoutMs", MILLISECONDS, Number(300_000)),
        key("gateway.auth.trustedProxy.userHeader", Kind::Text, Unset),
        key("gateway.auth.trustedProxy.requiredHeaders", Kind::Texts, EmptyList),
        key("gateway.auth.trustedProxy.allowUsers", Kind::Texts, EmptyList),
        key("gateway.trustedProxies", Kind::AddressRanges, EmptyList),
        key("gateway.handshakeTimeoutMs", Kind::Whole { min: 100, max: 60_000 }, Number(15_000)).env("HANDSHAKE_TIMEOUT_MS"),
        key("gateway.tls.enabled", Kind::Bool, Bool(false)),
        key("gateway.tls.autoGenerate", Kind::Bool, Bool(true)),
        key("gateway.tls.certPath", Kind::File, Unset),
        key("gateway.tls.keyPath", Kind::File, Unset),
        key("gateway.controlUi.enabled", Kind::Bool, Bool(true)),
        key("gateway.controlUi.basePath", Kind::Text, Unset),
        key("gateway.controlUi.root", Kind::Directory, Unset),
        key("gateway.controlUi.allowedOrigins", Kind::Origins, EmptyList),
        key("gateway.controlUi.allowInsecureAuth", Kind::Bool, Bool(false)),
        key("gateway.controlUi.dangerouslyDisableDeviceAuth", Kind::Bool, Bool(false)),
        key("gateway.nodes.pairing.autoApproveLocal", Kind::Bool, Bool(true)),
        key("gateway.pairing.loopbackExempt", Kind::Bool, Bool(false)),
        key("gateway.pairing.internalSpawnBypass", Kind::Bool, Bool(true)).env("INTERNAL_SPAWN_BYPASS"),

        key("security.enforcePairing", Kind::Bool, Bool(true)),
        key("security.allowExemptionsBeyondLoopback", Kind::Bool, Bool(false)),
        key("security.devicePairing.requireForExternal", Kind::Bool, Bool(true)),
        key("security.devicePairing.skipForLoopback", Kind::Bool, Bool(false)),

        key("acp.enabled", Kind::Bool, Bool(true)),
        key("acp.allowedAgents", Kind::Agents, EmptyList),
        key("acp.defaultAgent", Kind::Agent, Unset),
        key("acp.maxConcurrentSessions", AT_LEAST_ONE, Unset),

        key("agents.defaults.model", Kind::Model, Unset),
        key("agents.defaults.workspace", Kind::Directory, Unset),
        key("agents.defaults.subagents.maxSpawnDepth", Kind::Whole { min: 1, max: 5 }, Number(1)),
        key("agents.defaults.subagents.maxChildrenPerAgent", Kind::Whole { min: 1, max: 20 }, Number(5)),
        key("agents.defaults.subagents.maxConcurrent", AT_LEAST_ONE, Number(8)),
        key("agents.defaults.subagents.allowAgents", Kind::Agents, EmptyList),
        key("agents.defaults.subagents.requireAgentId", Kind::Bool, Bool(false)),
        key("agents.defaults.subagents.runTimeoutSeconds", SECONDS, Number(0)),
        key("agents.defaults.subagents.queueTimeoutSeconds", SECONDS, Number(0)),
        key("agents.defaults.subagents.startTimeoutSeconds", SECONDS, Number(300)),
        key("agents.defaults.subagents.idleTimeoutSeconds", SECONDS, Number(1_800)),
        key("agents.defaults.subagents.archiveAfterMinutes", SECONDS, Number(60)),
        key("agents.defaults.subagents.budget.tokens", AT_LEAST_ONE_OF_MANY, Unset),
        key("agents.defaults.subagents.budget.costUsdCents", AT_LEAST_ONE_OF_MANY, Unset),
        key("agents.defaults.subagents.budget.wallSeconds", AT_LEAST_ONE, Unset),
        key("agents.defaults.subagents.budget.descendants", AT_LEAST_ONE, Unset),
        key("agents.defaults.subagents.budget.concurrency", AT_LEAST_ONE, Unset),

        key("agents.entries.*.model", Kind::Model, Unset),
        key("agents.entries.*.workspace", Kind::Directory, Unset),
        key("agents.entries.*.runtime.type", Kind::Word(&["acp"]), Unset),
        key("agents.entries.*.runtime.acp.command", Kind::Command, Unset),
        key("agents.entries.*.subagents.allowAgents", Kind::Agents, Unset),
        key("agents.entries.*.subagents.requireAgentId", Kind::Bool, Unset),
        key("agents.entries.*.subagents.model", Kind::Model, Unset),

        key("models.mode", Kind::Word(&["merge", "replace"]), Word("merge")),
        key("models.providers.*.baseUrl", Kind::Url, Unset),
        key("models.providers.*.apiKey", Kind::Secret, Unset),
        key("models.providers.*.api", Kind::Word(&["openai-completions"]), Unset),
        key("models.providers.*.headers", Kind::Headers, Unset),
        key("models.providers.*.models", Kind::ModelList, Unset),
    ]
};

/// What a path leads to.
pub(crate) enum Found {
    Leaf(&'static Key),
    Section,
}

/// Looks up a path in the table's own spelling, which has to be one that [`children`] gave.
pub(crate) fn find(path: &str) -> Found {
    KEYS.iter().find(|key| key.path == path).map_or(Found::Section, Found::Leaf)
}

/// The names known directly below a section, in the table's order.
pub(crate) fn children(section: &str) -> Vec<&'static str> {
    let below = |path: &'static str| match section {
        "" => Some(path),
        _ => path.strip_prefix(section)?.strip_prefix('.'),
    };
    let mut names = Vec::new();
    for name in KEYS.iter().filter_map(|key| below(key.path)?.split('.').next()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// `path` one level further down.
pub(crate) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
