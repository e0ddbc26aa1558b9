//! Which source wins, and what is said about it.

use serde_json::json;

use super::{World, setting, shown};
use crate::config::{AuthMode, REDACTED, hatchery_json};

#[test]
fn a_flag_wins_over_the_environment_over_the_files_over_the_default() {
    let mut world = World::new();
    let port = |world: &World| shown(&world.config(), "gateway.port");
    assert_eq!(port(&world), (json!(18789), "default".into()));
    world.write("hatchery.json", "{\n  gateway: { port: 1 }\n}");
    assert_eq!(port(&world), (json!(1), "hatchery.json:2".into()));
    world.write("gateway.json", "{\n\n  gateway: {\n    port: 2\n  }\n}");
    assert_eq!(port(&world), (json!(2), "gateway.json:4".into()));
    world = world.env("OPENCLAW_GATEWAY_PORT", "3");
    assert_eq!(port(&world), (json!(3), "OPENCLAW_GATEWAY_PORT".into()));
    world = world.env("HATCHERY_GATEWAY_PORT", "4");
    assert_eq!(port(&world), (json!(4), "HATCHERY_GATEWAY_PORT".into()));
    world.flags.port = Some(5);
    assert_eq!(port(&world), (json!(5), "--port".into()));
}

#[test]
fn the_two_files_are_merged_key_by_key() {
    let world = World::hatchery("{gateway: {port: 1, bind: 'lan'}, acp: {allowedAgents: ['a']}}");
    world.write("gateway.json", "{gateway: {port: 2}, acp: {allowedAgents: ['b', 'c']}}");
    let config = world.config();
    assert_eq!(shown(&config, "gateway.port"), (json!(2), "gateway.json:1".into()));
    assert_eq!(shown(&config, "gateway.bind"), (json!("lan"), "hatchery.json:1".into()));
    assert_eq!(shown(&config, "acp.allowedAgents").0, json!(["b", "c"]));
}

#[test]
fn every_variable_sets_its_key() {
    let table = [
        ("GATEWAY_PORT", " 7 ", "gateway.port", json!(7)),
        ("GATEWAY_BIND", "lan", "gateway.bind", json!("lan")),
        ("GATEWAY_TOKEN", "hush", "gateway.auth.token", json!(REDACTED)),
        ("GATEWAY_PASSWORD", "hush", "gateway.auth.password", json!(REDACTED)),
        ("INTERNAL_SPAWN_BYPASS", "0", "gateway.pairing.internalSpawnBypass", json!(false)),
        ("INTERNAL_SPAWN_BYPASS", "Yes", "gateway.pairing.internalSpawnBypass", json!(true)),
    ];
    for (name, text, key, value) in table {
        for prefix in ["HATCHERY_", "OPENCLAW_"] {
            let variable = format!("{prefix}{name}");
            let config = World::new().env(&variable, text).config();
            assert_eq!(shown(&config, key), (value.clone(), variable));
        }
    }
}

#[test]
fn an_empty_variable_is_not_set() {
    let world = World::new().env("HATCHERY_GATEWAY_PORT", " ").env("OPENCLAW_GATEWAY_PORT", "9");
    assert_eq!(world.config().gateway.port, 9);
}

#[test]
fn a_password_alone_is_what_is_asked_for() {
    let table = [
        ("{gateway: {auth: {password: 'p'}}}", AuthMode::Password),
        ("{gateway: {auth: {password: 'p', token: 't'}}}", AuthMode::Token),
        ("{gateway: {auth: {password: 'p', mode: 'none'}}}", AuthMode::None),
        ("{gateway: {auth: {}}}", AuthMode::Token),
    ];
    for (text, mode) in table {
        assert_eq!(World::hatchery(text).config().gateway.auth.mode, mode, "{text}");
    }
}

#[test]
fn secrets_are_never_shown() {
    let world = World::hatchery("{gateway: {auth: {token: 'hush-hush'}}}")
        .env("HATCHERY_GATEWAY_PASSWORD", "hush-hush");
    let config = world.config();
    assert_eq!(config.gateway.auth.token.as_ref().unwrap().expose(), "hush-hush");
    assert_eq!(setting(&config, "gateway.auth.token").value, json!(REDACTED));
    assert!(!format!("{config:?}").contains("hush-hush"));
    world.with(|sources| assert!(!format!("{sources:?}").contains("hush-hush")));
}

#[test]
fn the_file_is_where_the_variable_says() {
    let path = hatchery_json(&|name| (name == "HATCHERY_CONFIG_PATH").then(|| "/x/y.json".into()));
    assert_eq!(path.unwrap(), std::path::Path::new("/x/y.json"));
}
