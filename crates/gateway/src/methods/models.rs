//! `models.*`: what agents can think with.

use std::collections::BTreeSet;

use hatchery_access::{Permit, Read};
use serde_json::{Value, json};

use super::session_row::provider_and_name;
use crate::clock::now_ms;
use crate::gateway::Shared;

/// The provider that needs no network and no key: the task is run as a command.
const BUILT_IN: &str = "builtin";

/// The models that agents are set to.
pub(crate) fn list(shared: &Shared, permit: &Permit<Read>) -> Value {
    let policy = shared.supervisor.settings.policy();
    let mut names = BTreeSet::new();
    for agent in policy.agents.values() {
        names.insert(agent.model.as_str());
        names.extend(agent.subagent_model.as_deref());
    }
    let models: Vec<Value> = names
        .into_iter()
        .map(|full| {
            let (provider, name) = provider_and_name(full);
            // Running commands is for the owner and what the owner starts.
            let available = provider != BUILT_IN || permit.caller().is_of_the_owner();
            json!({"id": name, "name": name, "provider": provider, "input": ["text"],
                "available": available})
        })
        .collect();
    json!({"models": models})
}

/// Which providers have their credentials: what needs none is not listed.
pub(crate) fn auth_status(_permit: &Permit<Read>) -> Value {
    json!({"ts": now_ms(), "providers": []})
}
