//! From values by key to the types.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::layers::Layers;
use super::schema::Named;
use super::{AcpConfig, AgentsConfig, ConfigError, GatewayConfig, ModelsConfig, SecurityConfig};

/// The sections of a configuration.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Typed {
    pub(crate) gateway: GatewayConfig,
    pub(crate) security: SecurityConfig,
    pub(crate) acp: AcpConfig,
    pub(crate) agents: AgentsConfig,
    pub(crate) models: ModelsConfig,
}

impl Layers {
    /// Fills the types. Every value was checked before, so the types refuse one only where the
    /// table promises what they do not keep.
    pub(crate) fn typed(&self) -> Result<Typed, ConfigError> {
        let mut root = Map::new();
        for named in Named::ALL {
            section(&mut root, named.section());
            for name in self.names(named) {
                section(&mut root, &format!("{}.{name}", named.section()));
            }
        }
        for key in self.in_force().filter(|key| !key.value.is_null()) {
            let (parent, name) = key.path.rsplit_once('.').unwrap_or(("", &key.path));
            if let Some(parent) = section(&mut root, parent) {
                parent.insert(name.to_owned(), key.value);
            }
        }
        resolve_bind(&mut root)?;
        let typed: Typed = serde_json::from_value(Value::Object(root))?;
        let providers = &typed.models;
        match providers.providers.keys().find(|name| providers.base_url(name).is_none()) {
            Some(name) => Err(ConfigError::NoBaseUrl { provider: name.clone() }),
            None => Ok(typed),
        }
    }
}

/// The object at a path, made where it is missing. None only where a value is in the way.
fn section<'a>(root: &'a mut Map<String, Value>, path: &str) -> Option<&'a mut Map<String, Value>> {
    path.split('.').filter(|name| !name.is_empty()).try_fold(root, |object, name| {
        let below = object.entry(name).or_insert_with(|| Value::Object(Map::new()));
        below.as_object_mut()
    })
}

/// `custom` is a pointer to another key; the type holds the address itself.
fn resolve_bind(root: &mut Map<String, Value>) -> Result<(), ConfigError> {
    let Some(gateway) = section(root, "gateway") else { return Ok(()) };
    let host = gateway.remove("customBindHost");
    if gateway.get("bind").and_then(Value::as_str) == Some("custom") {
        gateway.insert("bind".to_owned(), host.ok_or(ConfigError::NoCustomHost)?);
    }
    Ok(())
}
