//! What can be read.

use hatchery_protocol::{
    AgentId, OutputStream, RunId, RunStatus, RuntimeKind, SessionId, SessionKey, SessionKind, Task,
};
use hatchery_spawn::{Outcome, SessionSettings};
use serde::Serialize;

/// A session as lists and details show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionView {
    /// Its id, for people.
    pub session_id: SessionId,
    /// Its key, for machines.
    pub key: SessionKey,
    /// What it is for.
    pub kind: SessionKind,
    /// Its agent.
    pub agent_id: AgentId,
    /// The session it was started from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<SessionId>,
    /// Its name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// When it was opened, in milliseconds since 1970.
    pub created_at_ms: u64,
    /// When it was used last, in milliseconds since 1970.
    pub updated_at_ms: u64,
    /// How often its transcript began anew.
    #[serde(skip)]
    pub epoch: u32,
    /// What is set for it, by the names clients use.
    #[serde(skip_serializing_if = "SessionSettings::is_empty")]
    pub settings: SessionSettings,
    /// Its first message, on one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The last message, on one line.
    #[serde(skip)]
    pub preview: Option<String>,
    /// When it was archived, in milliseconds since 1970, where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archived_at_ms: Option<u64>,
    /// The key of the session it was started from.
    #[serde(skip)]
    pub spawned_by: Option<SessionKey>,
    /// Its run, where it was opened for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunView>,
}

impl SessionView {
    /// The name of what was said in it since it last began anew.
    #[must_use]
    pub fn transcript_id(&self) -> String {
        match self.epoch {
            0 => self.session_id.to_string(),
            epoch => format!("{}-{epoch}", self.session_id),
        }
    }
}

/// A run as lists and details show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunView {
    /// Its name.
    pub run_id: RunId,
    /// Where it is in its life.
    pub status: RunStatus,
    /// Where it runs.
    pub runtime: RuntimeKind,
    /// Its model.
    pub model: String,
    /// What it was asked to do.
    pub task: Task,
    /// The directory it works in.
    pub workspace: String,
    /// How deep it stands.
    pub depth: u32,
    /// Its name for clients.
    #[serde(skip)]
    pub name: String,
    /// When it was accepted, in milliseconds since 1970.
    #[serde(skip)]
    pub accepted_at_ms: u64,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

/// Which sessions to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionFilter {
    /// At most so many, the newest.
    pub limit: u32,
    /// Only this session and those below it.
    pub below: Option<SessionId>,
    /// Archived ones too.
    pub include_archived: bool,
}

/// What an id or a prefix of one leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// One session.
    One(Box<SessionView>),
    /// No session.
    None,
    /// More than one; the first few are named.
    Several(Vec<SessionId>),
}

/// One piece of what was said in a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryItem {
    /// The task the session's run was given.
    Task(Task),
    /// A piece of what the run said.
    Output(StoredOutput),
    /// How the run ended.
    Outcome(Outcome),
    /// A result another run announced to this session.
    Announced {
        /// The session whose result it is.
        from: SessionId,
        /// The result.
        outcome: Outcome,
    },
}

/// A kept piece of output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredOutput {
    /// Its position in the run's output, from 1.
    pub seq: u64,
    /// The stream it was said on.
    pub stream: OutputStream,
    /// The bytes as they were.
    pub bytes: Vec<u8>,
}

/// Why reading failed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// SQLite could not read.
    #[error("the journal cannot be read: {0}")]
    Database(#[from] rusqlite::Error),
    /// A stored entry makes no sense; the file was changed by something else.
    #[error("an entry of the journal cannot be understood: {0}")]
    Entry(#[from] serde_json::Error),
    /// A reader has panicked before.
    #[error("reading the journal failed before; restart the gateway")]
    Poisoned,
}
