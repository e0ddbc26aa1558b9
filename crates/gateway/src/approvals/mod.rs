//! Requests for approval: somebody wants to do something that a person has to allow.
//!
//! A request waits in memory for a decision and for no longer than it says. Whoever may approve is
//! told of it and may decide it once; a run never may, its own requests least of all. Nothing here
//! survives the gateway's end, which answers an open request with no decision: that is a no.

mod board;
mod broker;
mod request;
mod view;

pub(crate) use broker::{Approvals, Taken};
pub(crate) use request::{ExecParams, PluginParams};

use hatchery_protocol::event;
use serde::{Deserialize, Serialize};

/// What kind of thing is to be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// To run a command.
    Exec,
    /// To use a tool.
    Plugin,
    /// A change the system agent proposes; this gateway has none that does.
    SystemAgent,
}

impl Kind {
    /// The name logs have for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Exec => "exec",
            Self::Plugin => "plugin",
            Self::SystemAgent => "system-agent",
        }
    }

    /// The event that tells of a request; of the system agent's nobody is told, as there are none.
    fn requested(self) -> Option<&'static str> {
        match self {
            Self::Exec => Some(event::EXEC_APPROVAL_REQUESTED),
            Self::Plugin => Some(event::PLUGIN_APPROVAL_REQUESTED),
            Self::SystemAgent => None,
        }
    }

    /// The event that tells of a decision.
    fn resolved(self) -> Option<&'static str> {
        match self {
            Self::Exec => Some(event::EXEC_APPROVAL_RESOLVED),
            Self::Plugin => Some(event::PLUGIN_APPROVAL_RESOLVED),
            Self::SystemAgent => None,
        }
    }
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Decision {
    /// Yes, this time.
    AllowOnce,
    /// Yes, and the very same again without asking, for as long as the gateway lives.
    AllowAlways,
    /// No.
    Deny,
}

impl Decision {
    pub(crate) const ALL: [Self; 3] = [Self::AllowOnce, Self::AllowAlways, Self::Deny];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::AllowOnce => "allow-once",
            Self::AllowAlways => "allow-always",
            Self::Deny => "deny",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|decision| decision.as_str() == text)
    }
}
