//! What a model says of its own answer.

/// What a model says of its own answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelReport {
    /// The provider's name in the configuration.
    pub provider: String,
    /// The id of the model that was asked for.
    pub asked: String,
    /// The id of the model that answered, in the provider's words.
    pub answered: Option<String>,
    /// What it cost in tokens, where the provider says so.
    pub usage: Option<Usage>,
    /// Why the answer ends where it ends, in the provider's words.
    pub finish: Option<String>,
    /// How often the provider was asked until it answered, the last time included.
    pub attempts: u32,
}

/// Tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Those of the question and everything before it.
    pub input_tokens: u64,
    /// Those of the answer, thinking included.
    pub output_tokens: u64,
    /// How many of the input came from the provider's cache.
    pub cached_tokens: u64,
}
