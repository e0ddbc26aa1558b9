//! The clocks of a run. Each is kept by the supervisor and none of them by a runtime.

use serde::{Deserialize, Serialize};

use crate::StopReason;

/// How long a run may take over things, in milliseconds; `None` is for ever. The whole time it
/// may take is [`Run::timeout_ms`](crate::Run::timeout_ms).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Deadlines {
    /// To get a slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_ms: Option<u64>,
    /// To get to work once it has a slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_ms: Option<u64>,
    /// Between two signs of life while it is at work and waits for nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_ms: Option<u64>,
}

/// A clock that has run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// It waited for a slot.
    Queue,
    /// It was being started.
    Start,
    /// It gave no sign of life.
    Idle,
    /// It took too long altogether.
    Wall,
    /// Its tree took too long altogether.
    Tree,
}

impl Clock {
    /// Why a run is stopped by it.
    #[must_use]
    pub fn reason(self) -> StopReason {
        match self {
            Self::Queue => StopReason::QueueTimeout,
            Self::Start => StopReason::StartTimeout,
            Self::Idle => StopReason::IdleTimeout,
            Self::Wall => StopReason::TimedOut,
            Self::Tree => StopReason::TreeTimeout,
        }
    }
}
