//! The sources laid over each other: for each key the value that wins, and its origin.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::document::{Node, Spot};
use super::error::refused;
use super::file::{self, Sections};
use super::kind::Kind;
use super::models::OPENAI;
use super::schema::{ANY, KEYS, Key, Named, VARIABLE_PREFIXES};
use super::{ConfigError, Origin, Place, Setting, Sources};

/// For each key that somebody set, the value that wins. Holds secrets in the clear, so it has no
/// `Debug` and does not outlive loading.
#[derive(Default)]
pub(crate) struct Layers {
    set: BTreeMap<String, (Value, Origin)>,
    /// The agents and providers that are configured, also those without a key of their own.
    names: BTreeSet<(Named, String)>,
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
        layers.add_openai(sources)?;
        layers.look_up_keys(sources)?;
        Ok(layers)
    }

    pub(crate) fn set(&mut self, path: String, value: Value, origin: Origin) {
        self.set.insert(path, (value, origin));
    }

    pub(crate) fn add_name(&mut self, named: Named, name: String) {
        self.names.insert((named, name));
    }

    pub(crate) fn names(&self, wanted: Named) -> impl Iterator<Item = &str> {
        let names = self.names.iter().filter(move |(named, _)| *named == wanted);
        names.map(|(_, name)| name.as_str())
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

    /// Sets a key from outside the files.
    fn set_text(
        &mut self,
        key: &Key,
        text: &str,
        place: Place,
        origin: Origin,
    ) -> Result<(), ConfigError> {
        let value = check_text(key.kind, text, place, key.path)?;
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

    /// The variables every tool for OpenAI knows make the provider `openai`, or fill in what a
    /// file leaves out of it.
    fn add_openai(&mut self, sources: &Sources<'_>) -> Result<(), ConfigError> {
        let own_only = |(mode, _): &(Value, Origin)| *mode == json!("replace");
        if self.set.get("models.mode").is_some_and(own_only) {
            return Ok(());
        }
        let variables = [("OPENAI_API_KEY", "apiKey"), ("OPENAI_BASE_URL", "baseUrl")];
        for (variable, name) in variables {
            let path = format!("{}.{OPENAI}.{name}", Named::Provider.section());
            let pattern = format!("{}.{ANY}.{name}", Named::Provider.section());
            let text = (sources.env)(variable).filter(|text| !text.trim().is_empty());
            let key = KEYS.iter().find(|key| key.path == pattern);
            if let (Some(text), Some(key), false) = (text, key, self.set.contains_key(&path)) {
                let place = Place::Environment(variable.to_owned());
                let value = check_text(key.kind, text.trim(), place, &path)?;
                self.set(path, value, Origin::Environment(variable.to_owned()));
                self.add_name(Named::Provider, OPENAI.to_owned());
            }
        }
        Ok(())
    }

    /// A provider's key that is written as `${NAME}` is the value of that variable.
    fn look_up_keys(&mut self, sources: &Sources<'_>) -> Result<(), ConfigError> {
        let paths: Vec<String> = self
            .names(Named::Provider)
            .map(|name| format!("{}.{name}.apiKey", Named::Provider.section()))
            .collect();
        for path in paths {
            let Some((Value::String(text), _)) = self.set.get(&path) else { continue };
            let variable = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
            let Some(variable) = variable.map(str::to_owned) else { continue };
            let value = (sources.env)(&variable).filter(|value| !value.trim().is_empty());
            let Some(value) = value else {
                return Err(ConfigError::NoSuchVariable { key: path, variable });
            };
            self.set(path, json!(value.trim()), Origin::Environment(variable));
        }
        Ok(())
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
        let shown = |InForce { path, kind, value, origin }: InForce| Setting {
            key: path,
            value: kind.shown(value),
            origin,
        };
        self.in_force().map(shown).collect()
    }

    /// The key's path, once for each name where it stands for any.
    fn paths(&self, key: &Key) -> Vec<String> {
        match Named::within(key.path) {
            Some(named) => self.names(named).map(|name| key.path.replace(ANY, name)).collect(),
            None => vec![key.path.to_owned()],
        }
    }
}

/// Checks a value from outside the files. None of these keys holds a path, so no home is needed.
fn check_text(kind: Kind, text: &str, place: Place, path: &str) -> Result<Value, ConfigError> {
    let at = Spot { line: 1, column: 1 };
    let node = Node { at, content: kind.content_of(text) };
    kind.check(&node, None).map_err(|fault| refused(place, path, fault))
}
