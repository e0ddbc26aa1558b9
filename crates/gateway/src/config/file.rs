//! One file held against the table of known keys.

use std::collections::BTreeSet;
use std::path::Path;

use hatchery_protocol::AgentId;

use super::document::{self, Content, Node, Property, Spot};
use super::error::refused;
use super::layers::Layers;
use super::models::is_provider_name;
use super::schema::{ANY, Found, GATEWAY_JSON_SECTIONS, Key, Named, children, find, join};
use super::{ConfigError, Origin, Place, files, unknown};

/// The sections a file may have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sections {
    All,
    /// Those of `gateway.json`.
    Gateway,
}

/// Lays what a file sets over what was set before. A file that does not exist sets nothing.
pub(crate) fn read(
    path: &Path,
    sections: Sections,
    home: Option<&Path>,
    layers: &mut Layers,
) -> Result<(), ConfigError> {
    let Some(text) = files::read(path)? else { return Ok(()) };
    let mut reader = Reader { path, home, layers };
    let root = document::parse(&text).map_err(|fault| ConfigError::Syntax {
        at: reader.place(fault.at),
        reason: fault.reason,
    })?;
    if let (Sections::Gateway, Content::Object(properties)) = (sections, &root.content) {
        reader.refuse_other_sections(properties)?;
    }
    reader.section("", "", &root)
}

struct Reader<'a> {
    path: &'a Path,
    home: Option<&'a Path>,
    layers: &'a mut Layers,
}

impl Reader<'_> {
    fn place(&self, at: Spot) -> Place {
        Place::File { path: self.path.to_owned(), line: at.line, column: at.column }
    }

    fn refuse_other_sections(&self, properties: &[Property]) -> Result<(), ConfigError> {
        let known = children("");
        let misplaced = properties.iter().find(|property| {
            let name = property.name.as_str();
            known.contains(&name) && !GATEWAY_JSON_SECTIONS.contains(&name)
        });
        let Some(property) = misplaced else { return Ok(()) };
        Err(ConfigError::WrongFile { at: self.place(property.at), key: property.name.clone() })
    }

    /// Reads an object. `pattern` is its path in the table's spelling, `path` the real one.
    fn section(&mut self, pattern: &str, path: &str, node: &Node) -> Result<(), ConfigError> {
        let Content::Object(properties) = &node.content else {
            return Err(ConfigError::WrongType {
                at: self.place(node.at),
                key: if path.is_empty() { "the file".into() } else { path.to_owned() },
                expected: "an object in braces".into(),
                found: node.content.noun(),
            });
        };
        let mut seen = BTreeSet::new();
        for property in properties {
            let named = Named::ALL.into_iter().find(|named| named.section() == pattern);
            let (step, name) = match named {
                Some(named) => (ANY, self.name(named, path, property)?),
                None => (property.name.as_str(), property.name.clone()),
            };
            if !children(pattern).contains(&step) {
                return Err(self.unknown(pattern, path, property));
            }
            let (pattern, path) = (join(pattern, step), join(path, &name));
            if !seen.insert(name) {
                return Err(ConfigError::Duplicate { at: self.place(property.at), key: path });
            }
            match find(&pattern) {
                Found::Leaf(key) => self.leaf(key, path, &property.value)?,
                Found::Section => self.section(&pattern, &path, &property.value)?,
            }
        }
        Ok(())
    }

    /// Reads a name that people give.
    fn name(
        &mut self,
        named: Named,
        path: &str,
        property: &Property,
    ) -> Result<String, ConfigError> {
        let name = match named {
            Named::Agent => {
                AgentId::new(&property.name).map(String::from).map_err(|error| error.to_string())
            }
            Named::Provider if is_provider_name(&property.name) => Ok(property.name.clone()),
            Named::Provider => Err(format!(
                "`{}` cannot name a provider: take up to 64 letters, digits, `-` and `_`, and not `builtin`",
                property.name
            )),
        };
        let name = name.map_err(|reason| ConfigError::Invalid {
            at: self.place(property.at),
            key: path.to_owned(),
            reason,
        })?;
        self.layers.add_name(named, name.clone());
        Ok(name)
    }

    fn leaf(&mut self, key: &Key, path: String, node: &Node) -> Result<(), ConfigError> {
        let value = key.kind.check(node, self.home);
        let value = value.map_err(|fault| refused(self.place(fault.at), &path, fault))?;
        let origin = Origin::File { path: self.path.to_owned(), line: node.at.line };
        self.layers.set(path, value, origin);
        Ok(())
    }

    fn unknown(&self, pattern: &str, path: &str, property: &Property) -> ConfigError {
        ConfigError::UnknownKey {
            at: self.place(property.at),
            key: join(path, &property.name),
            nearest: unknown::nearest(pattern, path, &property.name),
            known: children(pattern).join(", "),
        }
    }
}
