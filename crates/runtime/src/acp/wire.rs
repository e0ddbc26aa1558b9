//! The part of ACP version 1 that is used here, as types.

use std::path::PathBuf;

use hatchery_protocol::OutputStream;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::meta::{ChunkMeta, Meta};

/// The one version of the protocol that is spoken.
pub(crate) const VERSION: u64 = 1;

/// Methods an agent answers.
pub(crate) const INITIALIZE: &str = "initialize";
pub(crate) const AUTHENTICATE: &str = "authenticate";
pub(crate) const NEW_SESSION: &str = "session/new";
pub(crate) const RESUME_SESSION: &str = "session/resume";
pub(crate) const LOAD_SESSION: &str = "session/load";
pub(crate) const PROMPT: &str = "session/prompt";
/// Notifications to an agent.
pub(crate) const CANCEL: &str = "session/cancel";
pub(crate) const CANCEL_REQUEST: &str = "$/cancel_request";
/// A notification to a client.
pub(crate) const UPDATE: &str = "session/update";
/// A method a client answers.
pub(crate) const REQUEST_PERMISSION: &str = "session/request_permission";

/// What a client says of itself.
#[derive(Debug, Deserialize)]
pub(crate) struct InitializeParams {
    /// The newest version it speaks. Whatever it is, the answer is the one version spoken here.
    #[serde(rename = "protocolVersion")]
    pub(crate) _protocol_version: u64,
}

/// How somebody signs in.
#[derive(Debug, Deserialize)]
pub(crate) struct AuthenticateParams {
    /// One of the methods offered; none are.
    #[serde(rename = "methodId")]
    pub(crate) _method_id: String,
}

/// Where a session works.
#[derive(Debug, Deserialize)]
pub(crate) struct NewSessionParams {
    /// An absolute path.
    pub(crate) cwd: PathBuf,
    /// Required by the protocol. The built-in agent has no use for any.
    #[serde(rename = "mcpServers")]
    pub(crate) _mcp_servers: Vec<Value>,
}

/// A turn.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PromptParams {
    pub(crate) session_id: String,
    pub(crate) prompt: Vec<ContentBlock>,
    #[serde(rename = "_meta", default)]
    pub(crate) meta: Value,
}

/// A part of a prompt. Every agent must take the first two.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ContentBlock {
    Text {
        text: String,
    },
    ResourceLink {
        uri: String,
    },
    #[serde(other)]
    Other,
}

/// What a cancel is about.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CancelParams {
    pub(crate) session_id: String,
}

/// What a cancel of a single request is about.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CancelRequestParams {
    pub(crate) request_id: Value,
}

/// Something that happens during a turn.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SessionUpdate<'a> {
    pub(crate) session_id: &'a str,
    pub(crate) update: Update<'a>,
}

/// What happens during a turn, as the built-in agent tells it.
#[derive(Debug, Serialize)]
#[serde(tag = "sessionUpdate", rename_all_fields = "camelCase")]
pub(crate) enum Update<'a> {
    /// A piece of the answer.
    #[serde(rename = "agent_message_chunk")]
    Piece {
        content: TextContent<'a>,
        #[serde(rename = "_meta")]
        meta: Meta<ChunkMeta>,
    },
    /// A command begins.
    #[serde(rename = "tool_call")]
    CommandStarted {
        tool_call_id: &'a str,
        title: &'a str,
        kind: &'static str,
        status: &'static str,
        raw_input: Value,
    },
    /// A command has ended.
    #[serde(rename = "tool_call_update")]
    CommandEnded { tool_call_id: &'a str, status: &'static str, raw_output: Value },
}

/// A text, as content.
#[derive(Debug, Serialize)]
pub(crate) struct TextContent<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    text: &'a str,
}

impl<'a> Update<'a> {
    /// A piece of the answer.
    pub(crate) fn piece(stream: OutputStream, text: &'a str, base64: Option<String>) -> Self {
        Self::Piece {
            content: TextContent { kind: "text", text },
            meta: Meta { hatchery: ChunkMeta { stream, base64 } },
        }
    }
}
