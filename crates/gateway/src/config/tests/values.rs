//! How values are read.

use std::net::IpAddr;

use hatchery_protocol::AgentId;
use serde_json::{Value, json};

use super::{World, shown};
use crate::config::{Allowed, Bind};

#[test]
fn json5_is_read() {
    let config = World::hatchery(
        "\u{feff}// a comment\n{\n  'gateway': { port: 0x10, /* here */ \"bind\": 'lan', },\n}\n",
    )
    .config();
    assert_eq!((config.gateway.port, config.gateway.bind), (16, Bind::Lan));
}

#[test]
fn a_file_without_a_value_sets_nothing() {
    for text in ["", "  \n", "// nothing yet\n", "{}"] {
        assert_eq!(World::hatchery(text).config().gateway.port, 18789, "{text:?}");
    }
}

#[test]
fn numbers_may_be_written_in_any_way_that_is_whole() {
    for text in ["16", "+16", "0x10", "0X10", "16.0", "1.6e1"] {
        let config = World::hatchery(&format!("{{gateway: {{port: {text}}}}}")).config();
        assert_eq!(config.gateway.port, 16, "{text}");
    }
}

#[test]
fn every_spelling_of_an_address_to_listen_on_is_known() {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let table = [
        ("loopback", Bind::Loopback),
        ("localhost", Bind::Loopback),
        ("127.0.0.1", Bind::Loopback),
        ("::1", Bind::Loopback),
        ("lan", Bind::Lan),
        ("0.0.0.0", Bind::Lan),
        ("::", Bind::Custom("::".parse().unwrap())),
        ("auto", Bind::Auto),
        ("tailnet", Bind::Tailnet),
        ("192.168.1.5", Bind::Custom(ip("192.168.1.5"))),
        ("127.0.0.2", Bind::Custom(ip("127.0.0.2"))),
    ];
    for (text, bind) in table {
        let mut world = World::new();
        world.flags.bind = Some(text.to_owned());
        assert_eq!(world.config().gateway.bind, bind, "{text}");
    }
}

#[test]
fn custom_means_the_custom_host() {
    let world = World::hatchery("{gateway: {bind: 'custom', customBindHost: '0.0.0.0'}}");
    assert_eq!(world.config().gateway.bind, Bind::Lan);
    let world = World::hatchery("{gateway: {customBindHost: '10.0.0.1'}}");
    assert_eq!(world.config().gateway.bind, Bind::Loopback);
}

#[test]
fn a_tilde_is_the_home_directory() {
    let table = [
        ("~", "/home/ada"),
        ("~/work", "/home/ada/work"),
        ("/srv/~x", "/srv/~x"),
        ("  /srv ", "/srv"),
    ];
    for (text, path) in table {
        let file = json!({"agents": {"defaults": {"workspace": text}}}).to_string();
        let config = World::hatchery(&file).config();
        assert_eq!(config.agents.defaults.workspace.unwrap(), std::path::Path::new(path));
    }
}

#[test]
fn a_command_is_split_into_words_without_a_shell() {
    let table: [(Value, &[&str]); 4] = [
        (json!("codex --acp"), &["codex", "--acp"]),
        (json!("'my agent' \"$HOME\" ; ls"), &["my agent", "$HOME", ";", "ls"]),
        (json!(["a b", "c"]), &["a b", "c"]),
        (json!(["a", ""]), &["a", ""]),
    ];
    for (command, words) in table {
        let acp = json!({"acp": {"command": command}});
        let file = json!({"agents": {"entries": {"x": {"runtime": acp}}}}).to_string();
        let config = World::hatchery(&file).config();
        let agent = &config.agents.entries[&AgentId::new("x").unwrap()];
        assert_eq!(agent.acp_command().unwrap(), words);
    }
}

#[test]
fn a_list_with_a_star_names_every_agent() {
    let agent = |name| AgentId::new(name).unwrap();
    let list = |list: Value| {
        let file = json!({"acp": {"allowedAgents": list}}).to_string();
        World::hatchery(&file).config().acp.allowed_agents
    };
    assert_eq!(list(json!(["a", "*"])), Allowed::Any);
    assert!(list(json!(["*"])).names(&agent("whoever")));
    let some = list(json!([" Codex ", "claude"]));
    assert!(some.names(&agent("codex")) && !some.names(&agent("gemini")));
    assert!(list(json!([])).is_empty() && !some.is_empty());
}

#[test]
fn ids_are_shown_as_they_are_used() {
    let world = World::hatchery("{acp: {allowedAgents: ['Codex'], defaultAgent: 'Codex'}}");
    let config = world.config();
    assert_eq!(shown(&config, "acp.allowedAgents").0, json!(["codex"]));
    assert_eq!(shown(&config, "acp.defaultAgent").0, json!("codex"));
}
