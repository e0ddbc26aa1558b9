//! Refusals: what was refused, by which rule, and what to do about it.

use hatchery_protocol::{ErrorCode, WireError};
use serde_json::{Map, Value, json};

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
    pub log_only: Option<Box<str>>,
    /// What clients read besides, where there is any. Boxed, since most refusals have none.
    more: Option<Box<More>>,
}

/// What some refusals tell clients besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct More {
    details: Map<String, Value>,
    retry_after_ms: Option<u64>,
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
            more: None,
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
        self.log_only = Some(particulars.into().into_boxed_str());
        self
    }

    /// The same refusal with one more field in its details. The fields every refusal has (`code`,
    /// `rule`, `remedy`, `command`) cannot be replaced this way.
    #[must_use]
    pub fn with_detail(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.get_or_insert_default().details.insert(name.to_owned(), value.into());
        self
    }

    /// The same refusal, saying that another try makes sense after so many milliseconds.
    #[must_use]
    pub fn with_retry_after(mut self, ms: u64) -> Self {
        self.more.get_or_insert_default().retry_after_ms = Some(ms);
        self
    }

    /// A field that [`with_detail`](Self::with_detail) added.
    #[must_use]
    pub fn detail(&self, name: &str) -> Option<&Value> {
        self.more.as_ref()?.details.get(name)
    }

    /// After how many milliseconds another try makes sense, where that is known.
    #[must_use]
    pub fn retry_after_ms(&self) -> Option<u64> {
        self.more.as_ref()?.retry_after_ms
    }
}

/// The one place where a refusal becomes a wire error.
impl From<Refusal> for WireError {
    fn from(refusal: Refusal) -> Self {
        let More { mut details, retry_after_ms } =
            refusal.more.map(|more| *more).unwrap_or_default();
        details.insert("code".to_owned(), json!(refusal.code));
        details.insert("rule".to_owned(), json!(refusal.rule));
        details.insert("remedy".to_owned(), json!(refusal.remedy.as_str()));
        if let Remedy::Command(command) = &refusal.remedy {
            details.insert("command".to_owned(), json!(command));
        }
        Self {
            code: refusal.class,
            message: refusal.message,
            details: Some(Value::Object(details)),
            retryable: retry_after_ms.map(|_| true),
            retry_after_ms,
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

    #[test]
    fn further_details_reach_the_wire_and_replace_none_of_the_own() {
        let remedy = Remedy::Advice("wait".to_owned());
        let refusal = Refusal::forbidden("X", "some.rule", "no", remedy)
            .with_detail("reason", "because")
            .with_detail("code", "Y")
            .with_retry_after(500);
        assert_eq!(refusal.detail("reason"), Some(&"because".into()));
        let wire = WireError::from(refusal);
        assert_eq!(wire.detail("reason"), Some("because"));
        assert_eq!(wire.detail_code(), Some("X"));
        assert_eq!((wire.retryable, wire.retry_after_ms), (Some(true), Some(500)));
    }
}
