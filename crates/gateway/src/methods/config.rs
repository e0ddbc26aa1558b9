//! `config.get`.

use hatchery_access::{Admin, Permit, Read, Refusal, authorize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::not_for_runs;
use crate::config::{Origin, REDACTED, Setting};
use crate::gateway::Shared;

/// The settings in force: as the tree the wire knows, and as our own list with the origin of each.
/// Secrets are never shown; a command line, which may hold one, only to whoever may change it.
pub(crate) fn get(shared: &Shared, permit: &Permit<Read>) -> Result<Value, Refusal> {
    not_for_runs(permit.caller(), "the gateway's configuration")?;
    let whole = authorize::<Admin>(permit.caller()).is_ok();
    let settings = &shared.supervisor.settings;
    let config = settings.config();
    let shown: Vec<(&Setting, Value)> = config
        .settings()
        .iter()
        .map(|setting| {
            (setting, if whole { setting.value.clone() } else { without_words(setting) })
        })
        .collect();
    let mut tree = Value::Object(Map::new());
    let mut sources = Value::Object(Map::new());
    for (setting, value) in shown.iter().filter(|(_, value)| !value.is_null()) {
        put(&mut tree, &setting.key, value.clone());
        if setting.origin != Origin::Default {
            put(&mut sources, &setting.key, value.clone());
        }
    }
    let list: Vec<Value> = shown
        .iter()
        .map(|(setting, value)| {
            json!({
                "key": setting.key,
                "value": value,
                "origin": setting.origin.to_string(),
                "isDefault": setting.origin == Origin::Default,
            })
        })
        .collect();
    let path = settings.path();
    let hash = fingerprint(&sources);
    Ok(json!({
        "path": path.display().to_string(),
        "exists": path.exists(),
        // The text of the files is for their owner's editor: it can hold secrets anywhere.
        "raw": null,
        "parsed": sources,
        "sourceConfig": sources,
        "resolved": tree,
        "runtimeConfig": tree,
        "config": tree,
        "valid": true,
        "hash": hash,
        "configRevisionHash": hash,
        "appliedConfigHash": hash,
        "issues": [],
        "warnings": [],
        "legacyIssues": [],
        "settings": list,
    }))
}

/// The value, with nothing but the program left of a command line.
fn without_words(setting: &Setting) -> Value {
    match &setting.value {
        Value::Array(words) if setting.key.ends_with(".acp.command") && words.len() > 1 => {
            json!([words[0], REDACTED])
        }
        value => value.clone(),
    }
}

/// Puts a value into a tree, at a path of names with dots between.
fn put(tree: &mut Value, path: &str, value: Value) {
    let place = path.split('.').fold(tree, |place, name| {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        &mut place[name]
    });
    *place = value;
}

/// What tells two configurations apart.
fn fingerprint(tree: &Value) -> String {
    let digest = Sha256::digest(tree.to_string());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{put, without_words};
    use crate::config::{Origin, REDACTED, Setting};

    #[test]
    fn settings_become_a_tree() {
        let mut tree = Value::Null;
        put(&mut tree, "a.b.c", json!(1));
        put(&mut tree, "a.b.d", json!([2]));
        put(&mut tree, "e", json!("x"));
        assert_eq!(tree, json!({"a": {"b": {"c": 1, "d": [2]}}, "e": "x"}));
    }

    #[test]
    fn the_words_of_a_command_are_hidden() {
        let setting =
            |key: &str, value| Setting { key: key.to_owned(), value, origin: Origin::Default };
        let command = "agents.entries.coder.runtime.acp.command";
        for (key, value, shown) in [
            (command, json!(["coder", "--key", "s"]), json!(["coder", REDACTED])),
            (command, json!(["coder"]), json!(["coder"])),
            ("acp.allowedAgents", json!(["a", "b"]), json!(["a", "b"])),
        ] {
            assert_eq!(without_words(&setting(key, value)), shown);
        }
    }
}
