//! The sources laid over each other: for each key the value that wins, and its origin.

use std::collections::{BTreeMap, BTreeSet};

use hatchery_protocol::AgentId;
use serde_json::{Value, json};

use super::document::{Node, Spot};
use super::error::refused;
use super::file::{self, Sections};
use super::kind::Kind;
use super::schema::{ANY_AGENT, KEYS, Key, VARIABLE_PREFIXES};
use super::{ConfigError, Origin, Place, REDACTED, Setting, Sources};

/// For each key that somebody set, the value that wins. Holds secrets in the clear, so it has no
/// `Debug` and does not outlive loading.
#[derive(Default)]
pub(crate) struct Layers {
    set: BTreeMap<String, (Value, Origin)>,
    /// The agents that are configured, also those without a key of their own.
    agents: BTreeSet<AgentId>,
}

/// A known key with the value in force, secrets in the clear.
pub(crate) struct InForce {
    pub(crate) path: String,
    pub(crate) kind: Kind,
    pub(crate) value: Value,
    origin: Origin,
}

impl Layers {
    /// Reads every source, the weakest first.
    pub(crate) fn read(sources: &Sources<'_>) -> Result<Self, ConfigError> {
        let mut layers = Self::default();
        let home = sources.home.as_deref();
        file::read(&sources.hatchery_json, Sections::All, home, &mut layers)?;
        file::read(&sources.gateway_json(), Sections::Gateway, home, &mut layers)?;
        layers.read_environment(sources)?;
        layers.read_flags(sources)?;
        layers.infer_auth_mode();
        Ok(layers)
    }

    pub(crate) fn set(&mut self, path: String, value: Value, origin: Origin) {
        self.set.insert(path, (value, origin));
    }

    pub(crate) fn add_agent(&mut self, agent: AgentId) {
        self.agents.insert(agent);
    }

    pub(crate) fn agents(&self) -> impl Iterator<Item = &AgentId> {
        self.agents.iter()
    }

    fn read_environment(&mut self, sources: &Sources<'_>) -> Result<(), ConfigError> {
        for key in KEYS {
            let Some(name) = key.variable else { continue };
            let variables = VARIABLE_PREFIXES.map(|prefix| format!("{prefix}{name}"));
            let set = variables.into_iter().find_map(|variable| {
                let text = (sources.env)(&variable)?;
                (!text.trim().is_empty()).then(|| (variable, text.trim().to_owned()))
            });
            if let Some((variable, text)) = set {
                let place = Place::Environment(variable.clone());
                self.set_text(key, &text, place, Origin::Environment(variable))?;
            }
        }
        Ok(())
    }

    fn read_flags(&mut self, sources: &Sources<'_>) -> Result<(), ConfigError> {
        for key in KEYS {
            let Some((flag, value)) = key.flag else { continue };
            if let Some(text) = value(&sources.flags) {
                self.set_text(key, &text, Place::Flag(flag), Origin::Flag(flag))?;
            }
        }
        Ok(())
    }

    /// Sets a key from outside the files. None of these keys holds a path, so no home is needed.
    fn set_text(
        &mut self,
        key: &Key,
        text: &str,
        place: Place,
        origin: Origin,
    ) -> Result<(), ConfigError> {
        let at = Spot { line: 1, column: 1 };
        let node = Node { at, content: key.kind.content_of(text) };
        let value = key.kind.check(&node, None);
        let value = value.map_err(|fault| refused(place, key.path, fault))?;
        self.set(key.path.to_owned(), value, origin);
        Ok(())
    }

    /// Somebody who sets a password and no token wants the password asked for.
    fn infer_auth_mode(&mut self) {
        let (mode, token) = ("gateway.auth.mode", "gateway.auth.token");
        if self.set.contains_key(mode) || self.set.contains_key(token) {
            return;
        }
        if let Some((_, origin)) = self.set.get("gateway.auth.password") {
            let origin = origin.clone();
            self.set(mode.to_owned(), json!("password"), origin);
        }
    }

    /// Every known key, in the table's order.
    pub(crate) fn in_force(&self) -> impl Iterator<Item = InForce> {
        KEYS.iter().flat_map(|key| {
            self.paths(key).into_iter().map(|path| {
                let set = self.set.get(&path).cloned();
                let (value, origin) = set.unwrap_or((key.fallback.value(), Origin::Default));
                InForce { path, kind: key.kind, value, origin }
            })
        })
    }

    /// Every known key, secrets redacted.
    pub(crate) fn settings(&self) -> Vec<Setting> {
        let redacted = |InForce { path, kind, value, origin }| {
            let hide = kind == Kind::Secret && !value.is_null();
            Setting { key: path, value: if hide { json!(REDACTED) } else { value }, origin }
        };
        self.in_force().map(redacted).collect()
    }

    /// The key's path, once for each agent where it stands for any agent.
    fn paths(&self, key: &Key) -> Vec<String> {
        if !key.path.split('.').any(|name| name == ANY_AGENT) {
            return vec![key.path.to_owned()];
        }
        self.agents.iter().map(|agent| key.path.replace(ANY_AGENT, agent.as_str())).collect()
    }
}
