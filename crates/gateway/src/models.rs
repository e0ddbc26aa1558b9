//! From a model's name to all that is needed to ask it.

use std::collections::BTreeMap;

use hatchery_agent::{ChatModel, Model, ModelDeadlines, SHELL_MODEL};
use hatchery_protocol::RuntimeKind;
use hatchery_spawn::{ProviderModels, Run};

use crate::config::{Config, ModelsConfig};

/// A model that was there when the run was accepted and is not any more.
#[derive(Debug, thiserror::Error)]
#[error(
    "the model `{0}` is not configured any more; set models.providers again, or start the run with another --model"
)]
pub(crate) struct ModelGone(String);

/// The model a run asks, as it is configured now; none where a harness chooses its own.
pub(crate) fn model_of(config: &Config, run: &Run) -> Result<Option<Model>, ModelGone> {
    if run.harness.is_some() && run.runtime == RuntimeKind::Acp {
        return Ok(None);
    }
    if run.model == SHELL_MODEL {
        return Ok(Some(Model::Shell));
    }
    let model = chat_model(&config.models, &run.model);
    model.map(|model| Some(Model::Chat(Box::new(model)))).ok_or(ModelGone(run.model.clone()))
}

/// The model of a provider that `reference` (`provider/id`) names, if it can be asked.
pub(crate) fn chat_model(models: &ModelsConfig, reference: &str) -> Option<ChatModel> {
    let (name, id) = reference.split_once('/')?;
    let provider = models.providers.get(name)?;
    let entry = provider.models.iter().find(|entry| entry.id == id);
    if entry.is_none() && !provider.models.is_empty() {
        return None;
    }
    Some(ChatModel {
        provider: name.to_owned(),
        id: id.to_owned(),
        base_url: models.base_url(name)?.to_owned(),
        api_key: provider.api_key.clone(),
        headers: provider.headers.clone().into_iter().collect(),
        context_window: entry.and_then(|entry| entry.context_window),
        max_tokens: entry.and_then(|entry| entry.max_tokens),
        deadlines: ModelDeadlines::default(),
    })
}

/// What decisions need to know of the providers: their names, and which models each takes.
pub(crate) fn providers(models: &ModelsConfig) -> BTreeMap<String, ProviderModels> {
    let taken = |entries: &[crate::config::ModelEntry]| match entries {
        [] => ProviderModels::Any,
        listed => ProviderModels::Only(listed.iter().map(|entry| entry.id.clone()).collect()),
    };
    let providers = models.providers.iter();
    providers.map(|(name, provider)| (name.clone(), taken(&provider.models))).collect()
}
