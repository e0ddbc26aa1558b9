//! Errors as the wire carries them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The closed set of error codes clients branch on (OpenClaw protocol §1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorCode {
    /// The request itself is wrong: unknown method, bad parameters, a rule of the request broken.
    InvalidRequest,
    /// The gateway cannot do it now.
    Unavailable,
    /// The device is not paired, or not for what it asks.
    NotPaired,
    /// The caller lacks the authority.
    Forbidden,
}

/// An error as a response carries it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WireError {
    /// What kind of error it is.
    pub code: ErrorCode,
    /// One sentence for a person.
    pub message: String,
    /// Structured particulars; a refusal has `code`, `rule` and `remedy` here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
    /// Whether the same request may succeed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retryable: Option<bool>,
    /// After how many milliseconds a retry makes sense.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl WireError {
    /// An error with a code and a sentence, and nothing else.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: None, retryable: None, retry_after_ms: None }
    }

    /// The machine-readable name in `details.code`, where there is one.
    #[must_use]
    pub fn detail_code(&self) -> Option<&str> {
        self.detail("code")
    }

    /// A text field of `details`.
    #[must_use]
    pub fn detail(&self, name: &str) -> Option<&str> {
        self.details.as_ref()?.get(name)?.as_str()
    }
}
