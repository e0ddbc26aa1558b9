//! Why a model gave no answer. Every way has a name, a sentence, and what to do about it.

use tokio::time::Duration;

use super::MAX_RETRY_AFTER;
use crate::ChatModel;

/// What a model was being waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The first byte of the response.
    FirstByte,
    /// The next piece of the response.
    NextPiece,
}

/// Why a model gave no answer. No message holds a key; `message` is the provider's own words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelFailure {
    /// The provider does not take the key.
    #[error(
        "the provider `{provider}` refused the key ({status}): {message}; set models.providers.{provider}.apiKey to a valid key"
    )]
    Authentication {
        /// The provider.
        provider: String,
        /// The HTTP status.
        status: u16,
        /// Its words.
        message: String,
    },
    /// The account has nothing left.
    #[error(
        "the provider `{provider}` wants to be paid first: {message}; see to the account, or choose another model in agents.defaults.model"
    )]
    Billing {
        /// The provider.
        provider: String,
        /// Its words.
        message: String,
    },
    /// Too many requests.
    #[error(
        "the provider `{provider}` takes no more requests just now: {message}; {}",
        try_again(*retry_after)
    )]
    RateLimited {
        /// The provider.
        provider: String,
        /// Its words.
        message: String,
        /// When it may be asked again, in its words.
        retry_after: Option<Duration>,
    },
    /// The provider has no such model.
    #[error(
        "the provider `{provider}` has no model `{model}`: {message}; correct the model's id in models.providers.{provider}.models"
    )]
    UnknownModel {
        /// The provider.
        provider: String,
        /// The model's id.
        model: String,
        /// Its words.
        message: String,
    },
    /// The provider does not take the request.
    #[error(
        "the provider `{provider}` does not take the request ({status}): {message}; check models.providers.{provider}, or start a new conversation where it has become too long"
    )]
    BadRequest {
        /// The provider.
        provider: String,
        /// The HTTP status.
        status: u16,
        /// Its words.
        message: String,
    },
    /// The provider has a fault.
    #[error("the provider `{provider}` has a fault ({status}): {message}; try again later")]
    Server {
        /// The provider.
        provider: String,
        /// The HTTP status.
        status: u16,
        /// Its words.
        message: String,
    },
    /// There is no connection to the provider.
    #[error(
        "the provider `{provider}` cannot be reached at {place}: {reason}; check models.providers.{provider}.baseUrl and that it is running"
    )]
    Unreachable {
        /// The provider.
        provider: String,
        /// Where it was looked for.
        place: String,
        /// What the system said.
        reason: String,
    },
    /// The provider was silent for too long.
    #[error("the provider `{provider}` {} within {} s; try again later", silence(*stage), limit.as_secs_f64())]
    Deadline {
        /// The provider.
        provider: String,
        /// What was waited for.
        stage: Stage,
        /// For how long.
        limit: Duration,
    },
    /// The response ended in the middle.
    #[error(
        "the answer of the provider `{provider}` broke off: {reason}; what came until then stands"
    )]
    Broken {
        /// The provider.
        provider: String,
        /// What is known about it.
        reason: String,
    },
    /// What came is no answer in the provider's own format.
    #[error(
        "the provider `{provider}` answered something that is no chat completion: {reason}; check models.providers.{provider}.baseUrl and .api"
    )]
    NotAnAnswer {
        /// The provider.
        provider: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The answer has no text.
    #[error("the provider `{provider}` ended its answer without a word; ask again")]
    Empty {
        /// The provider.
        provider: String,
    },
    /// The answer is too long.
    #[error(
        "the answer is over {limit} bytes; what came until then stands; ask for less at a time"
    )]
    TooLarge {
        /// The most there may be.
        limit: usize,
    },
    /// The model ran out of tokens in the middle of its answer.
    #[error(
        "the model reached its token limit before it had finished; ask for less at a time, or raise maxTokens in models.providers.{provider}.models"
    )]
    OutOfTokens {
        /// The provider.
        provider: String,
    },
    /// The provider holds the answer back.
    #[error("the provider `{provider}` held the answer back because of its content: {message}")]
    Refused {
        /// The provider.
        provider: String,
        /// Its words.
        message: String,
    },
}

impl ModelFailure {
    /// The failure's stable name, for machines.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Authentication { .. } => "authentication",
            Self::Billing { .. } => "billing",
            Self::RateLimited { .. } => "rate_limit",
            Self::UnknownModel { .. } => "unknown_model",
            Self::BadRequest { .. } => "bad_request",
            Self::Server { .. } => "server_error",
            Self::Unreachable { .. } => "unreachable",
            Self::Deadline { .. } => "timeout",
            Self::Broken { .. } => "broken",
            Self::NotAnAnswer { .. } => "not_an_answer",
            Self::Empty { .. } => "empty",
            Self::TooLarge { .. } => "too_large",
            Self::OutOfTokens { .. } => "out_of_tokens",
            Self::Refused { .. } => "refused",
        }
    }

    /// How long to wait before the same request is sent again; none where that would not help.
    pub(crate) fn worth_repeating(&self, model: &ChatModel, attempts: u32) -> Option<Duration> {
        let back_off = model.deadlines.back_off.saturating_mul(1 << (attempts - 1).min(8));
        match self {
            Self::Server { .. } | Self::Unreachable { .. } | Self::Broken { .. } => Some(back_off),
            Self::RateLimited { retry_after, .. } => match retry_after {
                Some(asked) => (*asked <= MAX_RETRY_AFTER).then(|| back_off.max(*asked)),
                None => Some(back_off),
            },
            // A model that is slow may be at work on the answer, and that is paid for.
            Self::Deadline { .. }
            | Self::Authentication { .. }
            | Self::Billing { .. }
            | Self::UnknownModel { .. }
            | Self::BadRequest { .. }
            | Self::NotAnAnswer { .. }
            | Self::Empty { .. }
            | Self::TooLarge { .. }
            | Self::OutOfTokens { .. }
            | Self::Refused { .. } => None,
        }
    }
}

fn try_again(after: Option<Duration>) -> String {
    match after {
        Some(after) => format!("try again in {} s", after.as_secs()),
        None => "try again in a minute".to_owned(),
    }
}

fn silence(stage: Stage) -> &'static str {
    match stage {
        Stage::FirstByte => "did not begin to answer",
        Stage::NextPiece => "fell silent in its answer: nothing came",
    }
}
