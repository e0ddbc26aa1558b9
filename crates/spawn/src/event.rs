//! What happened: the entries of the journal.

use hatchery_protocol::{AgentId, RunId, SessionId, SessionKey, SessionKind};
use serde::{Deserialize, Serialize};

use crate::{Notice, Outcome, ProcessMark, Run, Spend, StopReason, Wait};

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
    /// Its agent keeps its session under this name, and can be asked to go on with it.
    RunResumable {
        /// The run.
        run: RunId,
        /// The agent's own name for its session.
        session: String,
    },
    /// It waits.
    RunWaiting {
        /// The run.
        run: RunId,
        /// For what.
        on: Wait,
    },
    /// It goes on, or did not have to wait, and has these results now.
    RunResumed {
        /// The run.
        run: RunId,
        /// The runs whose results it took from its inbox.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        results: Vec<RunId>,
    },
    /// It is started again after the gateway's last life ended while it ran, to go on from where
    /// it was.
    RunRestarting {
        /// The run.
        run: RunId,
    },
    /// What a model call may take was set aside.
    BudgetReserved {
        /// The run.
        run: RunId,
        /// The run's own number for the call.
        call: u32,
        /// The most it may take.
        spend: Spend,
    },
    /// What was used, and what was set aside for it is free again.
    BudgetSettled {
        /// The run.
        run: RunId,
        /// The call that is over, where something was set aside for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        call: Option<u32>,
        /// What it took.
        spend: Spend,
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
        /// Whether the run above was told on a connection of its own besides, and so need not
        /// look.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        heard: bool,
    },
    /// A result that the run it was told has not taken moved up, as that run is over.
    AnnounceMoved {
        /// The run whose result it is.
        run: RunId,
        /// The session that has the result now.
        to: SessionId,
        /// Whether that is a conversation.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        in_conversation: bool,
    },
    /// A result is to be told on a route, for the first time or again.
    NoticeDue {
        /// The run whose result it is.
        run: RunId,
        /// Where to, and when.
        notice: Box<Notice>,
    },
    /// It was told.
    NoticeDelivered {
        /// The run.
        run: RunId,
    },
    /// It could not be told, and is not tried any more until somebody says so.
    NoticeBlocked {
        /// The run.
        run: RunId,
        /// Why.
        reason: String,
    },
    /// It is not to be told any more.
    NoticeDismissed {
        /// The run.
        run: RunId,
        /// On whose word.
        by: String,
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
            | Self::RunResumable { run, .. }
            | Self::RunWaiting { run, .. }
            | Self::RunResumed { run, .. }
            | Self::RunRestarting { run }
            | Self::BudgetReserved { run, .. }
            | Self::BudgetSettled { run, .. }
            | Self::RunStopping { run, .. }
            | Self::RunFinished { run, .. }
            | Self::RunAnnounced { run, .. }
            | Self::AnnounceMoved { run, .. }
            | Self::NoticeDue { run, .. }
            | Self::NoticeDelivered { run }
            | Self::NoticeBlocked { run, .. }
            | Self::NoticeDismissed { run, .. } => Some(run),
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
            Self::RunResumable { .. } => "run_resumable",
            Self::RunWaiting { .. } => "run_waiting",
            Self::RunResumed { .. } => "run_resumed",
            Self::RunRestarting { .. } => "run_restarting",
            Self::BudgetReserved { .. } => "budget_reserved",
            Self::BudgetSettled { .. } => "budget_settled",
            Self::RunStopping { .. } => "run_stopping",
            Self::RunFinished { .. } => "run_finished",
            Self::RunAnnounced { .. } => "run_announced",
            Self::AnnounceMoved { .. } => "announce_moved",
            Self::NoticeDue { .. } => "notice_due",
            Self::NoticeDelivered { .. } => "notice_delivered",
            Self::NoticeBlocked { .. } => "notice_blocked",
            Self::NoticeDismissed { .. } => "notice_dismissed",
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
