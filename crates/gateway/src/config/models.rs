//! The section `models`, and how an agent names a model.

use std::collections::BTreeMap;

use hatchery_protocol::Secret;
use serde::Deserialize;

/// The provider that exists as soon as the environment has its key.
pub(crate) const OPENAI: &str = "openai";

/// Where that provider is, unless somebody says otherwise.
const OPENAI_URL: &str = "https://api.openai.com/v1";

/// The longest name of a provider, in characters.
const MAX_NAME: usize = 64;

/// The name nobody can take: it stands for the models that need no provider.
const BUILT_IN: &str = "builtin";

/// The providers of models.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelsConfig {
    /// Whether the providers here stand beside those that are built in. Default: merge.
    pub mode: ModelsMode,
    /// The providers, by name.
    pub providers: BTreeMap<String, ProviderConfig>,
}

/// Whether the providers in the configuration stand beside those that are built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelsMode {
    /// Beside them.
    Merge,
    /// In their place: `openai` from the environment is then not there.
    Replace,
}

/// One provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ProviderConfig {
    /// Where it is. Only `openai` has a default.
    pub base_url: Option<String>,
    /// Its key. Default: none, for a provider that wants none.
    pub api_key: Option<Secret>,
    /// What it speaks. Default: openai-completions.
    pub api: ModelApi,
    /// Further headers of every request. Default: none.
    pub headers: BTreeMap<String, Secret>,
    /// Its models. Default: none listed, which takes every id and leaves it to the provider.
    pub models: Vec<ModelEntry>,
}

/// What a provider speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum ModelApi {
    /// OpenAI's chat completions.
    #[default]
    #[serde(rename = "openai-completions")]
    OpenAiCompletions,
}

/// One model of a provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ModelEntry {
    /// Its id, as the provider knows it.
    pub id: String,
    /// Its name, for people. Default: its id.
    pub name: Option<String>,
    /// How many tokens it can take in. Default: not known.
    pub context_window: Option<u64>,
    /// The most tokens of an answer. Default: the provider's own limit.
    pub max_tokens: Option<u64>,
    /// Whether it thinks before it answers. Default: not known.
    pub reasoning: Option<bool>,
    /// What it takes in: `text`, `image`. Default: not known.
    pub input: Option<Vec<String>>,
}

/// The model of an agent, and those that may stand in for it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "Written")]
pub struct ModelChoice {
    /// `provider/id`, or `builtin/shell`.
    pub primary: String,
    /// What may be asked when the first cannot be. Kept, and not used yet.
    pub fallbacks: Vec<String>,
}

/// A choice as people write it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Name(String),
    Choice {
        primary: String,
        #[serde(default)]
        fallbacks: Vec<String>,
    },
}

impl From<Written> for ModelChoice {
    fn from(written: Written) -> Self {
        match written {
            Written::Name(primary) => Self { primary, fallbacks: Vec::new() },
            Written::Choice { primary, fallbacks } => Self { primary, fallbacks },
        }
    }
}

impl ModelsConfig {
    /// Where a provider is.
    #[must_use]
    pub fn base_url(&self, provider: &str) -> Option<&str> {
        let base_url = self.providers.get(provider)?.base_url.as_deref();
        base_url.or((provider == OPENAI).then_some(OPENAI_URL))
    }
}

/// Whether a text can name a provider: it is part of a model's name and of a key.
pub(crate) fn is_provider_name(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    !name.is_empty() && name.len() <= MAX_NAME && name != BUILT_IN && name.chars().all(letter)
}

#[cfg(test)]
mod tests {
    use super::is_provider_name;

    #[test]
    fn a_providers_name_can_stand_in_a_key_and_in_a_models_name() {
        for name in ["openai", "lm-studio", "vLLM_2", &"x".repeat(64)] {
            assert!(is_provider_name(name), "{name}");
        }
        for name in ["", "a.b", "a/b", "a b", "builtin", "ü", &"x".repeat(65)] {
            assert!(!is_provider_name(name), "{name}");
        }
    }
}
