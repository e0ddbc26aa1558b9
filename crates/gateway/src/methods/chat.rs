//! What a chat window offers: `commands.list` and `chat.metadata`.

use hatchery_access::{Permit, Read};
use serde_json::{Value, json};

use super::models;
use crate::chat_commands::{CHAT_COMMANDS, ChatArgument, ChatCommand};
use crate::gateway::Shared;

/// The commands a chat message can be.
pub(crate) fn commands(_permit: &Permit<Read>) -> Value {
    json!({"commands": entries()})
}

/// The models and commands a chat window offers.
pub(crate) fn metadata(shared: &Shared, permit: &Permit<Read>) -> Value {
    let mut metadata = models::list(shared, permit);
    metadata["commands"] = json!(entries());
    metadata
}

fn entries() -> Vec<Value> {
    CHAT_COMMANDS.iter().map(entry).collect()
}

fn entry(command: &ChatCommand) -> Value {
    let aliases: Vec<String> =
        [&command.name].into_iter().chain(command.aliases).map(|name| format!("/{name}")).collect();
    let args: Vec<Value> = command.args.iter().map(argument).collect();
    json!({
        "name": command.name,
        "nativeName": command.name,
        "textAliases": aliases,
        "description": command.description,
        "category": command.category,
        "source": "native",
        "scope": "both",
        "acceptsArgs": !args.is_empty(),
        "args": args,
    })
}

fn argument(argument: &ChatArgument) -> Value {
    let mut entry = json!({
        "name": argument.name,
        "description": argument.description,
        "type": "string",
        "required": argument.required,
    });
    if !argument.choices.is_empty() {
        let choices: Vec<Value> =
            argument.choices.iter().map(|word| json!({"value": word, "label": word})).collect();
        entry["choices"] = json!(choices);
    }
    entry
}
