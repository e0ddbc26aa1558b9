//! One file held against the table of known keys.

use std::collections::BTreeSet;
use std::path::Path;

use hatchery_protocol::AgentId;

use super::document::{self, Content, Node, Property, Spot};
use super::error::refused;
use super::layers::Layers;
use super::schema::{ANY_AGENT, ENTRIES, Found, GATEWAY_JSON_SECTIONS, Key, children, find, join};
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
            let (step, name) = match pattern {
                ENTRIES => (ANY_AGENT, String::from(self.agent(path, property)?)),
                _ => (property.name.as_str(), property.name.clone()),
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

    /// Reads a name that is an agent's.
    fn agent(&mut self, path: &str, property: &Property) -> Result<AgentId, ConfigError> {
        let id = AgentId::new(&property.name).map_err(|error| ConfigError::Invalid {
            at: self.place(property.at),
            key: path.to_owned(),
            reason: error.to_string(),
        })?;
        self.layers.add_agent(id.clone());
        Ok(id)
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
