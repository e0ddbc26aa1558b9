//! What a run prints, as the wire carries it.

use serde::{Deserialize, Serialize};

use crate::{RunId, SessionId};

/// Which of a run's two streams bytes came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputStream {
    /// The run's answer.
    Stdout,
    /// What the run says beside its answer.
    Stderr,
}

/// A piece of a run's output: the payload of the `run.output` event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputChunk {
    /// The run that printed it.
    pub run_id: RunId,
    /// The run's session.
    pub session_id: SessionId,
    /// The chunk's position in the run's output, from 1.
    pub seq: u64,
    /// The stream it was printed on.
    pub stream: OutputStream,
    /// The text; where the bytes are no UTF-8, a readable rendering of them.
    pub text: String,
    /// The exact bytes in base64, given only where `text` does not render them faithfully.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
}
