//! Which model a run asks, and whether its caller may.

use hatchery_access::Caller;
use hatchery_protocol::RuntimeKind;

use crate::{AgentPolicy, Policy, ProviderModels, SpawnRefusal, SpawnRequest};

/// The model of an agent that has no provider: it runs the task as a command.
pub(crate) const SHELL_MODEL: &str = "builtin/shell";

/// The most names a refusal lists.
const LISTED: usize = 10;

/// The model the request names, else the one for the requester's sub-agents, else the agent's. One
/// that is chosen and cannot be used refuses the spawn; nothing is asked in its place.
pub(crate) fn choose_model(
    policy: &Policy,
    request: &SpawnRequest,
    settings: &AgentPolicy,
    has_harness: bool,
) -> Result<String, SpawnRefusal> {
    if has_harness {
        return match &request.model {
            Some(model) => refuse(
                model,
                "the agent's own command chooses its model".to_owned(),
                "leave --model out".to_owned(),
            ),
            None => Ok("harness".to_owned()),
        };
    }
    let requester = request.caller.grant().and_then(|grant| policy.agents.get(grant.agent()));
    let given = requester.and_then(|requester| requester.subagent_model.as_ref());
    let model = request.model.as_ref().or(given).unwrap_or(&settings.model);
    usable(policy, &request.caller, model, request.runtime).map(|()| model.clone())
}

/// Whether a caller may have the built-in agent ask a model, and can.
///
/// # Errors
/// [`SpawnRefusal`], with what to do about it.
pub fn check_model(policy: &Policy, caller: &Caller, model: &str) -> Result<(), SpawnRefusal> {
    usable(policy, caller, model, RuntimeKind::Local)
}

fn refuse<T>(model: &str, cause: String, advice: String) -> Result<T, SpawnRefusal> {
    Err(SpawnRefusal::ModelUnusable { model: model.to_owned(), cause, advice })
}

/// Whether a caller may ask a model in a runtime, and can.
pub(crate) fn usable(
    policy: &Policy,
    caller: &Caller,
    model: &str,
    runtime: RuntimeKind,
) -> Result<(), SpawnRefusal> {
    if model == SHELL_MODEL {
        return match caller.is_of_the_owner() {
            true => Ok(()),
            false => Err(SpawnRefusal::ModelOfTheOwner { model: model.to_owned() }),
        };
    }
    let known = list(policy.models.keys());
    let Some((provider, id)) = model.split_once('/').filter(|(_, id)| !id.is_empty()) else {
        return refuse(
            model,
            "a model is named as provider/model".to_owned(),
            format!("name it so; {known}, and {SHELL_MODEL} runs the task as a command"),
        );
    };
    let Some(models) = policy.models.get(provider) else {
        return refuse(
            model,
            format!("there is no provider '{provider}'; {known}"),
            format!(
                "set models.providers.{provider}, or choose another model in agents.defaults.model"
            ),
        );
    };
    match models {
        ProviderModels::Only(ids) if !ids.contains(id) => {
            return refuse(
                model,
                format!("the provider '{provider}' has no model '{id}'; {}", list(ids)),
                format!("add it to models.providers.{provider}.models, or choose one of those"),
            );
        }
        ProviderModels::Only(_) | ProviderModels::Any => {}
    }
    match runtime {
        RuntimeKind::Local => Ok(()),
        runtime @ (RuntimeKind::Isolated | RuntimeKind::Acp) => refuse(
            model,
            format!("the runtime '{runtime}' cannot reach a provider yet"),
            "use --runtime local".to_owned(),
        ),
    }
}

/// `known: a, b`.
fn list<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    let mut names: Vec<&str> = names.into_iter().map(String::as_str).collect();
    if names.is_empty() {
        return "none is configured".to_owned();
    }
    let more = names.len().saturating_sub(LISTED);
    names.truncate(LISTED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("known: {}{more}", names.join(", "))
}
