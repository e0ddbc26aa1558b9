//! Refusals: what was refused, by which rule, and what to do about it.

use hatchery_protocol::{ErrorCode, WireError};
use serde_json::json;

/// Why something was refused, in a form that a person can act on and a client can branch on.
///
/// Everything in it but `log_only` reaches the caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The wire's own class of error.
    pub class: ErrorCode,
    /// A stable name of this refusal, in capitals, for clients and exit codes.
    pub code: &'static str,
    /// The rule or setting that refused.
    pub rule: &'static str,
    /// One sentence that names the cause.
    pub message: String,
    /// What to do.
    pub remedy: Remedy,
    /// Particulars for the journal and the log that a caller must not see.
    pub log_only: Option<String>,
}

/// What to do about a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// A command that works when pasted.
    Command(String),
    /// A change that no single command makes.
    Advice(String),
}

impl Remedy {
    /// The remedy as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Command(text) | Self::Advice(text) => text,
        }
    }
}

impl Refusal {
    /// A refusal for lack of authority.
    pub fn forbidden(
        code: &'static str,
        rule: &'static str,
        message: impl Into<String>,
        remedy: Remedy,
    ) -> Self {
        Self {
            class: ErrorCode::Forbidden,
            code,
            rule,
            message: message.into(),
            remedy,
            log_only: None,
        }
    }

    /// The same refusal in another class.
    #[must_use]
    pub fn in_class(mut self, class: ErrorCode) -> Self {
        self.class = class;
        self
    }

    /// The same refusal with particulars that stay in the log.
    #[must_use]
    pub fn with_log(mut self, particulars: impl Into<String>) -> Self {
        self.log_only = Some(particulars.into());
        self
    }
}

/// The one place where a refusal becomes a wire error.
impl From<Refusal> for WireError {
    fn from(refusal: Refusal) -> Self {
        let mut details =
            json!({"code": refusal.code, "rule": refusal.rule, "remedy": refusal.remedy.as_str()});
        if let Remedy::Command(command) = &refusal.remedy {
            details["command"] = json!(command);
        }
        Self {
            code: refusal.class,
            message: refusal.message,
            details: Some(details),
            retryable: None,
            retry_after_ms: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use hatchery_protocol::WireError;

    use super::{Refusal, Remedy};

    #[test]
    fn what_is_for_the_log_never_reaches_the_wire() {
        let remedy = Remedy::Command("hatchery agents list".to_owned());
        let refusal = Refusal::forbidden("X", "some.rule", "no", remedy).with_log("secret-part");
        let wire = WireError::from(refusal);
        assert_eq!(wire.detail("command"), Some("hatchery agents list"));
        assert_eq!(wire.detail("rule"), Some("some.rule"));
        assert!(!format!("{wire:?}").contains("secret-part"));
    }
}
