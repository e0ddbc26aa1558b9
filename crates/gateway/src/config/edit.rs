//! Putting an agent on a list in the owner's own file, which stays as the owner wrote it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use hatchery_protocol::AgentId;
use jsonc_parser::cst::{CstArray, CstInputValue, CstNode, CstObject, CstObjectProp, CstRootNode};

use super::allowed::EVERY_AGENT;
use super::document::json5;
use super::files::read_text;

mod replace;

use replace::{make_directory, replace};

/// A list of agents that can be added to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowList {
    /// `acp.allowedAgents`.
    Acp,
    /// `agents.defaults.subagents.allowAgents`.
    Subagents,
}

/// What an edit did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// The agent was put on the list in this file.
    Added(PathBuf),
    /// The list in this file named it already, by itself or with `*`.
    AlreadyThere(PathBuf),
}

/// Why an edit did not happen. The file is then as it was.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The file cannot be read or written.
    #[error("cannot change {}: {source}. Check that you may write to it and its directory.", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not JSON5.
    #[error("{}:{line}:{column}: not valid JSON5: {reason}. Correct the file, then try again.", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1, in characters.
        column: usize,
        /// What the parser expected.
        reason: String,
    },
    /// Something else stands where the list should be.
    #[error("{}: `{key}` cannot be added to: it is not a list, or stands in something that is no object. Correct the file, then try again.", path.display())]
    NotAList {
        /// The file.
        path: PathBuf,
        /// The list's key.
        key: &'static str,
    },
}

impl AllowList {
    /// The list's key from the root.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Acp => "acp.allowedAgents",
            Self::Subagents => "agents.defaults.subagents.allowAgents",
        }
    }
}

/// Puts an agent on a list, in the file whose list is in force: `gateway.json` if it has the
/// list, else `hatchery.json`, which is created (readable by its owner only) where it is
/// missing. Comments and layout stay; the file is replaced in one step. Blocks on the disk.
///
/// # Errors
/// [`EditError`]; the file is then as it was.
pub fn allow_agent(
    hatchery_json: &Path,
    list: AllowList,
    agent: &AgentId,
) -> Result<Changed, EditError> {
    let directory = match hatchery_json.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Two edits at a time would lose one of them.
    let _one_at_a_time = make_directory(directory)
        .and_then(|()| lock(directory))
        .map_err(|source| EditError::Io { path: hatchery_json.to_owned(), source })?;
    let gateway_json = hatchery_json.with_file_name("gateway.json");
    let beside = Document::open(&gateway_json, list)?;
    if beside.find_list().is_some() {
        return beside.add(agent);
    }
    Document::open(hatchery_json, list)?.add(agent)
}

/// Holds until the file is dropped.
fn lock(directory: &Path) -> io::Result<File> {
    let directory = File::open(directory)?;
    directory.lock()?;
    Ok(directory)
}

/// A file as it was written, to the last blank.
struct Document {
    path: PathBuf,
    list: AllowList,
    root: CstRootNode,
}

impl Document {
    /// Reads the file; one that does not exist is empty.
    fn open(path: &Path, list: AllowList) -> Result<Self, EditError> {
        // The file behind a link is changed, not the link.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let text = match read_text(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(EditError::Io { path, source }),
        };
        match CstRootNode::parse(&text, &json5()) {
            Ok(root) => Ok(Self { path, list, root }),
            Err(error) => Err(EditError::Syntax {
                path,
                line: error.line_display(),
                column: error.column_display(),
                reason: error.kind().to_string(),
            }),
        }
    }

    fn sections(&self) -> (Vec<&'static str>, &'static str) {
        let mut names: Vec<_> = self.list.key().split('.').collect();
        let last = names.pop().unwrap_or_default();
        (names, last)
    }

    /// The property of the list, whatever its value.
    fn find_list(&self) -> Option<CstObjectProp> {
        let (sections, last) = self.sections();
        let root = self.root.object_value()?;
        let section = sections.iter().try_fold(root, |object, name| object.object_value(name))?;
        section.get(last)
    }

    fn list_or_new(&self) -> Option<CstArray> {
        let (sections, last) = self.sections();
        let root = self.root.object_value_or_create()?;
        let section: CstObject =
            sections.iter().try_fold(root, |object, name| object.object_value_or_create(name))?;
        section.array_value_or_create(last)
    }

    fn add(self, agent: &AgentId) -> Result<Changed, EditError> {
        let Some(list) = self.list_or_new() else {
            return Err(EditError::NotAList { path: self.path, key: self.list.key() });
        };
        if list.elements().iter().any(|element| names(element, agent)) {
            return Ok(Changed::AlreadyThere(self.path));
        }
        list.append(CstInputValue::String(agent.to_string()));
        let mut text = self.root.to_string();
        if !text.ends_with('\n') {
            text.push('\n');
        }
        match replace(&self.path, &text) {
            Ok(()) => Ok(Changed::Added(self.path)),
            Err(source) => Err(EditError::Io { path: self.path, source }),
        }
    }
}

/// Whether an element stands for the agent.
fn names(element: &CstNode, agent: &AgentId) -> bool {
    let word = element.as_string_lit().and_then(|literal| literal.decoded_value().ok());
    word.is_some_and(|word| {
        word.trim() == EVERY_AGENT || AgentId::new(&word).is_ok_and(|id| id == *agent)
    })
}
