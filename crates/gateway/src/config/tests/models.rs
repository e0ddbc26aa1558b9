//! The section `models`: providers, their keys, and the choice of a model.

use serde_json::json;

use super::{World, shown};
use crate::config::{ModelChoice, ModelsMode, REDACTED};

const LOCAL: &str = r#"{ models: { providers: { local: {
    baseUrl: "http://127.0.0.1:8080/v1/", apiKey: "a-key", headers: { "X-Team": "blue-team" },
    models: [{ id: "m", contextWindow: 8192 }, { id: "a/b" }],
} } } }"#;

#[test]
fn a_provider_is_read_and_its_secrets_are_not_shown() {
    let config = World::hatchery(LOCAL).config();
    let provider = &config.models.providers["local"];
    assert_eq!(config.models.mode, ModelsMode::Merge);
    assert_eq!(config.models.base_url("local"), Some("http://127.0.0.1:8080/v1"));
    assert_eq!(provider.api_key.as_ref().unwrap().reveal(), "a-key");
    assert_eq!(provider.headers["x-team"].reveal(), "blue-team");
    let ids: Vec<_> = provider.models.iter().map(|model| model.id.as_str()).collect();
    assert_eq!(ids, ["m", "a/b"]);
    assert_eq!(provider.models[0].context_window, Some(8192));

    assert_eq!(shown(&config, "models.providers.local.apiKey").0, json!(REDACTED));
    assert_eq!(shown(&config, "models.providers.local.headers").0, json!({ "x-team": REDACTED }));
    let everything = format!("{config:?}");
    assert!(!everything.contains("a-key") && !everything.contains("blue-team"), "{everything}");
}

#[test]
fn a_model_is_chosen_by_name_or_with_stand_ins() {
    let config = World::hatchery(
        "{agents: {defaults: {model: 'p/a'}, entries: {x: {model: {primary: 'p/b', fallbacks: ['p/c']}}}}}",
    )
    .config();
    let choice = |primary: &str, fallbacks: &[&str]| ModelChoice {
        primary: primary.to_owned(),
        fallbacks: fallbacks.iter().map(|&name| name.to_owned()).collect(),
    };
    assert_eq!(config.agents.defaults.model, Some(choice("p/a", &[])));
    let entry = config.agents.entries.values().next().unwrap();
    assert_eq!(entry.model, Some(choice("p/b", &["p/c"])));
}

#[test]
fn the_environment_alone_makes_openai() {
    let config = World::new().env("OPENAI_API_KEY", "env-key").config();
    let key = config.models.providers["openai"].api_key.clone().unwrap();
    assert_eq!(key.reveal(), "env-key");
    assert_eq!(config.models.base_url("openai"), Some("https://api.openai.com/v1"));
    let (value, origin) = shown(&config, "models.providers.openai.apiKey");
    assert_eq!((value, origin.as_str()), (json!(REDACTED), "OPENAI_API_KEY"));

    let elsewhere = World::new().env("OPENAI_BASE_URL", "http://127.0.0.1:1/v1").config();
    assert_eq!(elsewhere.models.base_url("openai"), Some("http://127.0.0.1:1/v1"));
    assert!(elsewhere.models.providers["openai"].api_key.is_none());

    assert!(World::new().env("OPENAI_API_KEY", " ").config().models.providers.is_empty());
}

#[test]
fn a_file_knows_better_than_openais_variables() {
    let text = "{models: {providers: {openai: {apiKey: 'file-key'}}}}";
    let world = World::hatchery(text).env("OPENAI_API_KEY", "env-key");
    assert_eq!(
        world.config().models.providers["openai"].api_key.as_ref().unwrap().reveal(),
        "file-key"
    );

    let alone = World::hatchery("{models: {mode: 'replace'}}").env("OPENAI_API_KEY", "env-key");
    assert!(alone.config().models.providers.is_empty());
}

#[test]
fn a_key_may_come_from_a_variable_by_name() {
    let text = "{models: {providers: {p: {baseUrl: 'http://h/v1', apiKey: '${P_KEY}'}}}}";
    let config = World::hatchery(text).env("P_KEY", "from-there").config();
    assert_eq!(config.models.providers["p"].api_key.as_ref().unwrap().reveal(), "from-there");
    let message = World::hatchery(text).message();
    assert!(
        message.contains("models.providers.p.apiKey") && message.contains("P_KEY"),
        "{message}"
    );
}

#[test]
fn what_cannot_be_used_is_refused_with_what_to_write() {
    let table = [
        ("p: {}", "models.providers.p.baseUrl is not set"),
        ("p: { baseUrl: 'ftp://h' }", "no address such as"),
        ("p: { baseUrl: 'https://me:word@h/v1' }", "no address such as"),
        ("p: { baseUrl: 'https://h', api: 'anthropic-messages' }", "is not openai-completions"),
        ("p: { baseUrl: 'https://h', apikey: 'k' }", "Did you mean `models.providers.p.apiKey`?"),
        ("p: { baseUrl: 'https://h', models: [{ name: 'M' }] }", "a model has no `id`"),
        (
            "p: { baseUrl: 'https://h', models: [{ id: 'm', contextWindows: 1 }] }",
            "`contextWindows` is unknown",
        ),
        ("p: { baseUrl: 'https://h', models: [{ id: 'm' }, { id: 'm' }] }", "listed twice"),
        ("p: { baseUrl: 'https://h', models: ['m'] }", "has to be an object in braces"),
        ("p: { baseUrl: 'https://h', headers: { 'a b': 'c' } }", "no name of a header"),
        ("'a/b': { baseUrl: 'https://h' }", "cannot name a provider"),
        ("builtin: { baseUrl: 'https://h' }", "cannot name a provider"),
    ];
    for (provider, words) in table {
        let message =
            World::hatchery(&format!("{{models: {{providers: {{ {provider} }}}}}}")).message();
        assert!(message.contains(words), "{provider}: {message}");
    }
    let message = World::hatchery("{agents: {defaults: {model: {fallbacks: []}}}}").message();
    assert!(message.contains("it has no `primary`"), "{message}");
}
