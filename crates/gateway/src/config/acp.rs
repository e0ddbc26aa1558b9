//! The section `acp`.

use std::num::NonZeroU32;

use hatchery_protocol::AgentId;
use serde::Deserialize;

use super::Allowed;

/// Which agents may be run over ACP.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AcpConfig {
    /// Whether ACP runs are taken at all. Default: true.
    pub enabled: bool,
    /// The agents the list names. Default: an empty list; what that means is not decided here.
    pub allowed_agents: Allowed,
    /// The agent an ACP run uses when it names none. Default: none.
    pub default_agent: Option<AgentId>,
    /// The most ACP sessions at a time, at least 1. Default: none, which is no limit.
    pub max_concurrent_sessions: Option<NonZeroU32>,
}
