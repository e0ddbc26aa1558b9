//! Unknown keys and the names that were probably meant.

use super::World;

#[test]
fn an_unknown_key_is_refused_with_the_nearest_name_at_its_level() {
    let table = [
        ("{gatway: {}}", "gatway", "gateway"),
        ("{gateway: {prot: 1}}", "gateway.prot", "gateway.port"),
        ("{gateway: {auth: {Token: 't'}}}", "gateway.auth.Token", "gateway.auth.token"),
        ("{acp: {allowedAgent: []}}", "acp.allowedAgent", "acp.allowedAgents"),
        (
            "{agents: {defaults: {subagents: {maxSpawnDeth: 1}}}}",
            "agents.defaults.subagents.maxSpawnDeth",
            "agents.defaults.subagents.maxSpawnDepth",
        ),
        (
            "{agents: {entries: {helper: {modell: 'm'}}}}",
            "agents.entries.helper.modell",
            "agents.entries.helper.model",
        ),
    ];
    for (text, key, nearest) in table {
        let message = World::hatchery(text).message();
        let end = format!(": unknown key `{key}`. Did you mean `{nearest}`?");
        assert!(message.ends_with(&end), "{message}");
    }
}

#[test]
fn a_key_at_the_wrong_level_is_told_its_place() {
    let table = [
        ("{port: 1}", "gateway.port"),
        ("{agents: {maxSpawnDepth: 2}}", "agents.defaults.subagents.maxSpawnDepth"),
        ("{acp: {command: 'x'}}", "agents.entries.<agent>.runtime.acp.command"),
    ];
    for (text, place) in table {
        let message = World::hatchery(text).message();
        assert!(message.ends_with(&format!("Did you mean `{place}`?")), "{message}");
    }
}

#[test]
fn a_key_like_nothing_gets_the_list_of_known_ones() {
    let message = World::hatchery("{zebra: 1}").message();
    assert!(message.ends_with("Known here: gateway, security, acp, agents, models."), "{message}");
}

#[test]
fn a_path_in_one_word_is_no_key() {
    let message = World::hatchery("{\"gateway.port\": 1}").message();
    assert!(message.contains("unknown key `gateway.port`"), "{message}");
}

#[test]
fn gateway_json_takes_its_three_sections_only() {
    let world = World::new();
    world.write("gateway.json", "{gateway: {}, security: {}, acp: {}}");
    assert!(world.load().is_ok());
    world.write("gateway.json", "{agents: {}}");
    assert_eq!(
        world.message(),
        "gateway.json:1:2: `agents` does not belong here: this file holds gateway, security and acp. Move it to hatchery.json."
    );
    world.write("gateway.json", "{port: 1}");
    assert_eq!(
        world.message(),
        "gateway.json:1:2: unknown key `port`. Did you mean `gateway.port`?"
    );
}
