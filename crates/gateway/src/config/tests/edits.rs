//! Putting an agent on a list.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};

use hatchery_protocol::AgentId;

use super::{World, mode};
use crate::config::{AllowList, Changed, EditError, allow_agent};

fn allow(world: &World, list: AllowList, agent: &str) -> Result<Changed, EditError> {
    allow_agent(&world.path("hatchery.json"), list, &AgentId::new(agent).unwrap())
}

#[test]
fn comments_and_layout_stay() {
    let table = [
        (
            "// mine\n{\n  acp: {\n    // the good ones\n    allowedAgents: ['claude'], // two\n  },\n  gateway: { port: 0x10 },\n}\n",
            "// mine\n{\n  acp: {\n    // the good ones\n    allowedAgents: ['claude', \"codex\"], // two\n  },\n  gateway: { port: 0x10 },\n}\n",
        ),
        (
            "{\n  \"acp\": {\n    \"allowedAgents\": [\n      \"claude\"\n    ]\n  }\n}\n",
            "{\n  \"acp\": {\n    \"allowedAgents\": [\n      \"claude\",\n      \"codex\"\n    ]\n  }\n}\n",
        ),
        (
            "{\n  gateway: {}\n}\n",
            "{\n  gateway: {},\n  \"acp\": {\n    \"allowedAgents\": [\"codex\"]\n  }\n}\n",
        ),
    ];
    for (before, after) in table {
        let world = World::hatchery(before);
        let changed = allow(&world, AllowList::Acp, "codex").unwrap();
        assert!(matches!(changed, Changed::Added(path) if path.ends_with("hatchery.json")));
        assert_eq!(world.read("hatchery.json"), after);
    }
}

#[test]
fn what_was_added_is_in_force() {
    for before in ["", "// empty\n", "{}", "{acp: {}}", "{agents: {defaults: {model: 'm'}}}"] {
        for list in [AllowList::Acp, AllowList::Subagents] {
            let world = World::hatchery(before);
            allow(&world, list, "codex").unwrap();
            allow(&world, list, "claude").unwrap();
            let config = world.config();
            let allowed = match list {
                AllowList::Acp => config.acp.allowed_agents,
                AllowList::Subagents => config.agents.defaults.subagents.allow_agents,
            };
            for agent in ["codex", "claude"] {
                assert!(allowed.names(&AgentId::new(agent).unwrap()), "{before:?} {list:?}");
            }
        }
    }
}

#[test]
fn an_agent_that_is_there_changes_nothing() {
    for list in ["['Codex']", "[\"co\\u0064ex\"]", "['*']"] {
        let text = format!("{{acp:{{allowedAgents:{list}}}}}");
        let world = World::hatchery(&text);
        let changed = allow(&world, AllowList::Acp, "codex").unwrap();
        assert!(matches!(changed, Changed::AlreadyThere(_)), "{list}");
        assert_eq!(world.read("hatchery.json"), text);
    }
}

#[test]
fn the_file_whose_list_is_in_force_is_edited() {
    let world = World::hatchery("{acp: {allowedAgents: ['a']}}");
    world.write("gateway.json", "{acp: {allowedAgents: ['b']}}");
    allow(&world, AllowList::Acp, "codex").unwrap();
    assert_eq!(world.read("hatchery.json"), "{acp: {allowedAgents: ['a']}}");
    assert_eq!(world.read("gateway.json"), "{acp: {allowedAgents: ['b', \"codex\"]}}\n");
    world.write("gateway.json", "{acp: {enabled: true}}");
    allow(&world, AllowList::Acp, "codex").unwrap();
    assert_eq!(world.read("hatchery.json"), "{acp: {allowedAgents: ['a', \"codex\"]}}\n");
    assert_eq!(world.read("gateway.json"), "{acp: {enabled: true}}");
}

#[test]
fn a_new_file_is_its_owners_alone() {
    let world = World::new();
    let path = world.path("some/where/hatchery.json");
    allow_agent(&path, AllowList::Subagents, &AgentId::main()).unwrap();
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    assert_eq!(
        fs::read_to_string(path).unwrap(),
        "{\n  \"agents\": {\n    \"defaults\": {\n      \"subagents\": {\n        \"allowAgents\": [\"main\"]\n      }\n    }\n  }\n}\n"
    );
}

#[test]
fn the_mode_and_a_link_stay_and_nothing_is_left_behind() {
    let world = World::new();
    world.write("real.json", "{}");
    fs::set_permissions(world.path("real.json"), Permissions::from_mode(0o640)).unwrap();
    symlink("real.json", world.path("hatchery.json")).unwrap();
    allow(&world, AllowList::Acp, "codex").unwrap();
    assert!(fs::symlink_metadata(world.path("hatchery.json")).unwrap().is_symlink());
    assert_eq!(mode(&world.path("real.json")), 0o640);
    assert_eq!(fs::read_dir(world.directory.path()).unwrap().count(), 2);
}

#[test]
fn a_file_that_cannot_be_edited_stays_as_it_is() {
    let table = [
        ("{acp: {allowedAgents: 'codex'}}", false),
        ("{acp: []}", false),
        ("[]", false),
        ("{acp: {", true),
    ];
    for (text, is_syntax) in table {
        let world = World::hatchery(text);
        match allow(&world, AllowList::Acp, "codex").unwrap_err() {
            EditError::Syntax { line: 1, .. } => assert!(is_syntax, "{text}"),
            EditError::NotAList { key: "acp.allowedAgents", .. } => assert!(!is_syntax, "{text}"),
            other => panic!("{other}"),
        }
        assert_eq!(world.read("hatchery.json"), text);
    }
}

#[test]
fn edits_at_the_same_time_lose_none() {
    let world = World::hatchery("{}");
    let path = world.path("hatchery.json");
    std::thread::scope(|threads| {
        for number in 0..8 {
            let (path, agent) = (&path, AgentId::new(&format!("agent-{number}")).unwrap());
            threads.spawn(move || allow_agent(path, AllowList::Acp, &agent).unwrap());
        }
    });
    let allowed = world.config().acp.allowed_agents;
    for number in 0..8 {
        assert!(allowed.names(&AgentId::new(&format!("agent-{number}")).unwrap()));
    }
}
