//! `models.*`: what agents can think with.

use std::collections::BTreeMap;

use hatchery_access::{Permit, Read};
use serde_json::{Value, json};

use super::session_row::provider_and_name;
use crate::clock::now_ms;
use crate::config::ModelEntry;
use crate::gateway::Shared;

/// The provider that needs no network and no key: the task is run as a command.
const BUILT_IN: &str = "builtin";

/// The models that providers list and those that agents are set to, by name.
pub(crate) fn list(shared: &Shared, permit: &Permit<Read>) -> Value {
    let settings = &shared.supervisor.settings;
    let (config, policy) = (settings.config(), settings.policy());
    let mut models: BTreeMap<(&str, &str), Option<&ModelEntry>> = BTreeMap::new();
    for agent in policy.agents.values() {
        for model in [Some(agent.model.as_str()), agent.subagent_model.as_deref()] {
            models.extend(model.map(|model| (provider_and_name(model), None)));
        }
    }
    for (provider, settings) in &config.models.providers {
        for model in &settings.models {
            models.insert((provider, &model.id), Some(model));
        }
    }
    let of_the_owner = permit.caller().is_of_the_owner();
    let models: Vec<Value> = models
        .into_iter()
        .map(|((provider, id), entry)| {
            // Running commands is for the owner and what the owner starts.
            let available = match provider {
                BUILT_IN => of_the_owner,
                _ => policy.models.contains_key(provider),
            };
            choice(provider, id, entry, available)
        })
        .collect();
    json!({"models": models})
}

fn choice(provider: &str, id: &str, entry: Option<&ModelEntry>, available: bool) -> Value {
    let name = entry.and_then(|entry| entry.name.as_deref()).unwrap_or(id);
    let mut choice = json!({"id": id, "name": name, "provider": provider, "available": available});
    if let Some(entry) = entry {
        if let Some(window) = entry.context_window.filter(|window| *window > 0) {
            choice["contextWindow"] = json!(window);
        }
        if let Some(reasoning) = entry.reasoning {
            choice["reasoning"] = json!(reasoning);
        }
        if let Some(input) = &entry.input {
            choice["input"] = json!(input);
        }
    }
    choice
}

/// Which providers have their credentials. Whether a key is right only the provider knows.
pub(crate) fn auth_status(shared: &Shared, _permit: &Permit<Read>) -> Value {
    let config = shared.supervisor.settings.config();
    let providers: Vec<Value> = config
        .models
        .providers
        .iter()
        .map(|(name, settings)| {
            let status = if settings.api_key.is_some() { "static" } else { "missing" };
            json!({"provider": name, "displayName": name, "status": status, "profiles": []})
        })
        .collect();
    json!({"ts": now_ms(), "providers": providers})
}
