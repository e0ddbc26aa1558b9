//! What happened: the entries of the journal.

use hatchery_protocol::{AgentId, RunId, SessionId, SessionKey, SessionKind};
use serde::{Deserialize, Serialize};

use crate::{Outcome, ProcessMark, Run, StopReason};

/// Something that happened. Each is one entry of the journal, and the state of the gateway is
/// what they add up to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum Event {
    /// A run was taken on, and its session opened with it.
    RunAccepted {
        /// The run.
        run: Box<Run>,
    },
    /// It got a slot and is being started.
    RunStarting {
        /// The run.
        run: RunId,
    },
    /// It is at work.
    RunRunning {
        /// The run.
        run: RunId,
        /// Its process, where it has one of its own.
        process: Option<ProcessMark>,
    },
    /// It was told to stop.
    RunStopping {
        /// The run.
        run: RunId,
        /// Why.
        reason: StopReason,
    },
    /// It is over and its processes are gone.
    RunFinished {
        /// The run.
        run: RunId,
        /// How it ended.
        outcome: Outcome,
    },
    /// Its result stands in the inbox of a session. Always in one commit with `RunFinished`.
    RunAnnounced {
        /// The run.
        run: RunId,
        /// The session that has the result now.
        to: SessionId,
        /// Whether that is a conversation, whose transcript then has the result as a message.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        in_conversation: bool,
    },
    /// A session was opened for a conversation.
    SessionOpened {
        /// The session.
        session: SessionId,
        /// Its key.
        key: SessionKey,
        /// What it is for.
        session_kind: SessionKind,
        /// Its agent.
        agent: AgentId,
        /// The session it was opened from.
        parent: Option<SessionId>,
        /// What is set for it from the start.
        settings: SessionSettings,
    },
    /// Some of a session's settings were changed; `null` takes one away.
    SessionPatched {
        /// The session.
        session: SessionId,
        /// The settings that changed, by name.
        settings: SessionSettings,
    },
    /// A session's transcript begins anew; what was said before is kept aside.
    SessionReset {
        /// The session.
        session: SessionId,
    },
    /// A session is gone. Its key is free again.
    SessionDeleted {
        /// The session.
        session: SessionId,
        /// The key it had.
        key: SessionKey,
        /// Whether what was said in it is gone too.
        with_transcript: bool,
    },
    /// A session is out of the usual lists: its run is over for long enough. Nothing of it is gone.
    SessionArchived {
        /// The session.
        session: SessionId,
    },
    /// An archived session is in use again.
    SessionReopened {
        /// The session.
        session: SessionId,
    },
    /// A message was put into a transcript that no turn wrote.
    MessageAdded {
        /// The session.
        session: SessionId,
        /// The message.
        message: AddedMessage,
    },
    /// Somebody was refused.
    Refused {
        /// Who asked, as the door saw it.
        caller: String,
        /// The refusal's stable name.
        code: String,
        /// The rule that refused.
        rule: String,
        /// What it was about.
        subject: String,
    },
}

/// Settings of a session by name, as clients set them.
pub type SessionSettings = serde_json::Map<String, serde_json::Value>;

/// A message that no turn wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AddedMessage {
    /// Its name, unique for ever.
    pub id: String,
    /// Who says it.
    pub speaker: Speaker,
    /// What.
    pub text: String,
    /// The client's own name for the message it is, or answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// Who says something in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Speaker {
    /// A person, or a client for one.
    User,
    /// The agent, or the gateway in its place.
    Assistant,
}

impl Event {
    /// The run it is about, if it is about one.
    #[must_use]
    pub fn run(&self) -> Option<&RunId> {
        match self {
            Self::RunAccepted { run } => Some(&run.id),
            Self::RunStarting { run }
            | Self::RunRunning { run, .. }
            | Self::RunStopping { run, .. }
            | Self::RunFinished { run, .. }
            | Self::RunAnnounced { run, .. } => Some(run),
            Self::Refused { .. }
            | Self::SessionOpened { .. }
            | Self::SessionPatched { .. }
            | Self::SessionReset { .. }
            | Self::SessionDeleted { .. }
            | Self::SessionArchived { .. }
            | Self::SessionReopened { .. }
            | Self::MessageAdded { .. } => None,
        }
    }

    /// The entry's kind, as the journal names it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::RunAccepted { .. } => "run_accepted",
            Self::RunStarting { .. } => "run_starting",
            Self::RunRunning { .. } => "run_running",
            Self::RunStopping { .. } => "run_stopping",
            Self::RunFinished { .. } => "run_finished",
            Self::RunAnnounced { .. } => "run_announced",
            Self::SessionOpened { .. } => "session_opened",
            Self::SessionPatched { .. } => "session_patched",
            Self::SessionReset { .. } => "session_reset",
            Self::SessionDeleted { .. } => "session_deleted",
            Self::SessionArchived { .. } => "session_archived",
            Self::SessionReopened { .. } => "session_reopened",
            Self::MessageAdded { .. } => "message_added",
            Self::Refused { .. } => "refused",
        }
    }
}
