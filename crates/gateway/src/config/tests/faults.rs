//! What is refused, where, and with which remedy.

use super::World;
use crate::config::{ConfigError, REDACTED};

/// Loads `text` as hatchery.json and holds the message against what it has to say.
fn refuses(text: &str, message: &str) {
    assert_eq!(World::hatchery(text).message(), message, "for {text}");
}

#[test]
fn a_syntax_error_names_line_and_column() {
    refuses("{\n  gateway: {\n", "hatchery.json:2:12: not valid JSON5: Unterminated object.");
    let message = World::hatchery("{ acp: { enabled: true defaultAgent: 'a' } }").message();
    assert!(
        message.starts_with("hatchery.json:1:23: not valid JSON5: Expected comma"),
        "{message}"
    );
}

#[test]
fn columns_are_counted_in_characters() {
    refuses(
        "{/* äöü */ gatway: {}}",
        "hatchery.json:1:12: unknown key `gatway`. Did you mean `gateway`?",
    );
}

#[test]
fn a_value_of_another_type_is_refused() {
    let table = [
        ("[]", "1:1: `the file` is a list, but has to be an object in braces."),
        ("{gateway: 1}", "1:11: `gateway` is a number, but has to be an object in braces."),
        (
            "{gateway: {port: '1'}}",
            "1:18: `gateway.port` is a text, but has to be a whole number from 0 to 65535.",
        ),
        (
            "{gateway: {port: 1.5}}",
            "1:18: `gateway.port` is a number with a fraction or out of reach, but has to be a whole number from 0 to 65535.",
        ),
        ("{acp: {enabled: 1}}", "1:17: `acp.enabled` is a number, but has to be true or false."),
        (
            "{acp: {allowedAgents: 'a'}}",
            "1:23: `acp.allowedAgents` is a text, but has to be a list of agents' names in quotes, or [\"*\"].",
        ),
        (
            "{acp: {allowedAgents: ['a', 2]}}",
            "1:29: `acp.allowedAgents` is a number, but has to be a list of agents' names in quotes, or [\"*\"].",
        ),
    ];
    for (text, message) in table {
        refuses(text, &format!("hatchery.json:{message} Change the value."));
    }
    refuses(
        "{acp: {enabled: null}}",
        "hatchery.json:1:17: `acp.enabled` is null, but has to be true or false. Remove the key to get the default.",
    );
}

#[test]
fn a_number_out_of_range_is_refused() {
    let table = [
        ("maxSpawnDepth", 0, "1 to 5"),
        ("maxSpawnDepth", 6, "1 to 5"),
        ("maxChildrenPerAgent", 0, "1 to 20"),
        ("maxChildrenPerAgent", 21, "1 to 20"),
        ("maxConcurrent", 0, "1 to 4294967295"),
        ("runTimeoutSeconds", -1, "0 to 4294967295"),
    ];
    for (key, value, range) in table {
        let file = format!("{{agents:{{defaults:{{subagents:{{\n{key}:{value}}}}}}}}}");
        let column = key.len() + 2;
        refuses(
            &file,
            &format!(
                "hatchery.json:2:{column}: `agents.defaults.subagents.{key}` is {value}. Set it to a number from {range}."
            ),
        );
    }
    refuses(
        "{acp: {maxConcurrentSessions: 0}}",
        "hatchery.json:1:31: `acp.maxConcurrentSessions` is 0. Set it to a number from 1 to 4294967295.",
    );
}

#[test]
fn a_value_that_means_nothing_is_refused() {
    let table = [
        ("{gateway: {mode: 'remote'}}", "`gateway.mode`: `remote` is not local."),
        (
            "{gateway: {bind: 'here'}}",
            "`gateway.bind`: `here` is neither an IP address nor one of loopback, lan, auto and tailnet.",
        ),
        ("{gateway: {customBindHost: 'x'}}", "`gateway.customBindHost`: `x` is not an IP address."),
        (
            "{gateway: {trustedProxies: ['10.0.0.0/33']}}",
            "`gateway.trustedProxies`: `10.0.0.0/33` is neither an IP address nor a range such as 10.0.0.0/8.",
        ),
        (
            "{gateway: {auth: {token: ' '}}}",
            "`gateway.auth.token`: it is empty. Set it, or remove the key.",
        ),
        (
            "{agents: {defaults: {workspace: 'work'}}}",
            "`agents.defaults.workspace`: `work` is not absolute. Start it with `/` or `~/`.",
        ),
        (
            "{agents: {entries: {a: {runtime: {acp: {command: \"it's\"}}}}}}",
            "`agents.entries.a.runtime.acp.command`: its quotes do not match. Write it as a list of words.",
        ),
        (
            "{agents: {entries: {a: {runtime: {acp: {command: []}}}}}}",
            "`agents.entries.a.runtime.acp.command`: it names no program.",
        ),
    ];
    for (text, message) in table {
        let whole = World::hatchery(text).message();
        let (place, rest) = whole.split_once(": ").unwrap();
        assert!(place.starts_with("hatchery.json:1:"), "{whole}");
        assert_eq!(rest, message, "for {text}");
    }
}

#[test]
fn a_tilde_without_a_home_is_refused() {
    let mut world = World::hatchery("{agents: {defaults: {workspace: '~/w'}}}");
    world.home = None;
    assert!(world.message().ends_with("no home directory is known for `~`. Write the whole path."));
}

#[test]
fn custom_without_a_host_is_refused() {
    let world = World::hatchery("{gateway: {bind: 'custom'}}");
    assert!(matches!(world.load(), Err(ConfigError::NoCustomHost)));
}

#[test]
fn a_key_set_twice_is_refused() {
    refuses(
        "{acp: {}, acp: {}}",
        "hatchery.json:1:11: `acp` is set a second time. Remove one of the two.",
    );
    refuses(
        "{agents: {entries: {A: {}, a: {}}}}",
        "hatchery.json:1:28: `agents.entries.a` is set a second time. Remove one of the two.",
    );
}

#[test]
fn the_mark_that_hides_a_secret_is_no_secret() {
    let world = World::hatchery(&format!("{{gateway: {{auth: {{token: '{REDACTED}'}}}}}}"));
    assert!(world.message().contains("not the secret"));
}

#[test]
fn a_wrong_variable_or_flag_is_named() {
    let table = [
        ("HATCHERY_GATEWAY_PORT", "x", "`gateway.port` is a text, but has to be a whole number"),
        ("OPENCLAW_GATEWAY_PORT", "70000", "`gateway.port` is 70000. Set it to a number"),
        ("HATCHERY_INTERNAL_SPAWN_BYPASS", "maybe", "has to be true or false"),
    ];
    for (variable, text, message) in table {
        let found = World::new().env(variable, text).message();
        assert!(found.starts_with(&format!("{variable}: ")) && found.contains(message), "{found}");
    }
    let mut world = World::new();
    world.flags.bind = Some("here".into());
    assert!(world.message().starts_with("--bind: `gateway.bind`: `here` is neither"));
}

#[test]
fn a_value_that_is_overridden_is_checked_all_the_same() {
    let world = World::hatchery("{gateway: {port: -1}}").env("HATCHERY_GATEWAY_PORT", "1");
    assert!(world.message().starts_with("hatchery.json:1:18: `gateway.port` is -1."));
}

#[test]
fn no_error_shows_a_secret() {
    for text in [
        "{gateway: {auth: {token: ['hush-hush']}}}",
        "{gateway: {auth: {token: {hush: 'hush-hush'}}}}",
        "{gateway: {auth: {token: 'hush-hush'",
        "{gateway: {auth: {token: hush-hush}}}",
    ] {
        let error = World::hatchery(text).load().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hush-hush"), "{error:?}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_and_not_a_missing_file() {
    let world = World::new();
    std::fs::create_dir(world.path("hatchery.json")).unwrap();
    assert!(matches!(world.load(), Err(ConfigError::Unreadable { .. })));
    let world = World::new();
    std::fs::write(world.path("gateway.json"), [0xff, 0xfe, b'{', b'}']).unwrap();
    assert!(matches!(world.load(), Err(ConfigError::Unreadable { .. })));
}
