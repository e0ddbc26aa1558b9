//! What two ends of ours tell each other beside the protocol, in `_meta` under `hatchery`.

use hatchery_protocol::OutputStream;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `_meta` with our part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta<T> {
    /// Our part.
    pub(crate) hatchery: T,
}

/// On a prompt: the argument vector behind the line of text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TaskMeta {
    /// The program and its arguments, never to be seen by a shell.
    pub(crate) argv: Vec<String>,
}

/// On a piece of the answer: where it came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChunkMeta {
    /// The stream it was printed on.
    pub(crate) stream: OutputStream,
    /// The exact bytes, where the text does not render them faithfully.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) base64: Option<String>,
}

/// On the end of a turn: how the command behind it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EndMeta {
    /// Its exit code.
    pub(crate) exit_code: i32,
}

/// Our part of the `_meta` of `object`; none where there is none, or it is not what we would say.
pub(crate) fn read<T: DeserializeOwned>(object: &Value) -> Option<T> {
    serde_json::from_value(object.get("_meta")?.get("hatchery")?.clone()).ok()
}
