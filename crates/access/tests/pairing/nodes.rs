//! Nodes: what may be asked of them, and who says so.

use hatchery_access::Caller;
use hatchery_access::pairing::{Command, MAX_NODE_COMMAND_CHARS, MAX_NODE_COMMANDS, is_dangerous};
use hatchery_protocol::Scope::{Admin, Pairing, Read, Write};

use super::world::{Comer, World, caller, granted, proven};

#[test]
fn nothing_may_be_asked_of_a_node_until_it_is_approved() {
    let mut world = World::new();
    let node = Comer::local(1, &[Admin]).node(&["camera.snap", "system.run"]);
    let admitted = world.admitted(&node);
    assert!(granted(&admitted).is_empty(), "a node has no scopes, whatever it asks");
    assert!(admitted.node_commands.is_empty());
    let request = world.state.node_requests(world.now).next().unwrap().request_id.clone();
    // Asking again is the same request.
    world.admitted(&node);
    assert_eq!(world.state.node_requests(world.now).next().unwrap().request_id, request);
    for (by, code) in [
        (caller(None, &[Write, Read]), "MISSING_SCOPE"),
        (caller(None, &[Pairing, Write]), "MISSING_SCOPE"),
        (caller(Some(2), &[Pairing, Write]), "UNKNOWN_REQUEST"),
        (caller(Some(1), &[Admin]), "SELF_APPROVAL"),
    ] {
        let command = Command::ApproveNode { request: request.clone() };
        assert_eq!(world.command(&by, command).unwrap_err().code, code, "{by:?}");
    }
    world.command(&caller(Some(2), &[Admin]), Command::ApproveNode { request }).unwrap();
    assert_eq!(world.admitted(&node).node_commands.len(), 2);
    // It may be asked what it offers now and what was approved.
    let less = Comer::local(1, &[]).node(&["camera.snap"]);
    assert_eq!(world.admitted(&less).node_commands.len(), 1);
    let other = Comer::local(1, &[]).node(&["camera.snap", "location.get"]);
    assert_eq!(world.admitted(&other).node_commands.len(), 1);
    world.owner(Command::RemoveNode { device: proven(1).id });
    assert!(world.admitted(&node).node_commands.is_empty());
}

#[test]
fn ordinary_commands_need_write_and_dangerous_ones_admin() {
    for (commands, by, may) in [
        (&["camera.snap"][..], caller(None, &[Pairing]), false),
        (&["camera.snap"], caller(None, &[Pairing, Write]), true),
        (&["camera.snap", "system.run.prepare"], caller(None, &[Pairing, Write]), false),
        (&["browser.proxy"], caller(None, &[Pairing, Write]), false),
        (&["fs.listDir"], caller(None, &[Pairing, Write]), false),
        (&["SYSTEM.RUN"], caller(None, &[Pairing, Write]), false),
        (&["system.execApprovals.set"], caller(None, &[Pairing, Write]), false),
        (&["system.run"], Caller::Owner, true),
    ] {
        let mut world = World::new();
        world.admitted(&Comer::local(1, &[]).node(commands));
        let request = world.state.node_requests(world.now).next().unwrap().request_id.clone();
        let result = world.command(&by, Command::ApproveNode { request });
        assert_eq!(result.is_ok(), may, "{commands:?} {by:?}");
    }
    for (command, dangerous) in [("system.notify", false), ("browser.proxy.open", true)] {
        assert_eq!(is_dangerous(command), dangerous, "{command}");
    }
}

#[test]
fn what_a_node_offers_is_bounded_and_plain() {
    let many: Vec<String> = (0..=MAX_NODE_COMMANDS).map(|at| format!("c{at}")).collect();
    let fits = "x".repeat(MAX_NODE_COMMAND_CHARS);
    let long = "x".repeat(MAX_NODE_COMMAND_CHARS + 1);
    for (offer, count) in [
        (many.iter().map(String::as_str).collect(), MAX_NODE_COMMANDS),
        (vec![fits.as_str(), long.as_str(), "", " ", "two words", "\u{1b}[2J", "ok"], 2),
    ] {
        let offer: Vec<&str> = offer;
        let mut world = World::new();
        world.admitted(&Comer::local(1, &[]).node(&offer));
        let request = world.state.node_requests(world.now).next().unwrap();
        assert_eq!(request.commands.len(), count);
    }
}

#[test]
fn a_node_from_elsewhere_has_to_be_approved_by_an_administrator_like_any_device() {
    let mut world = World::new();
    let node = Comer::remote(1, &[]).node(&["camera.snap"]);
    let request = world.pending(&node).request;
    let by = caller(None, &[Pairing, Write, Read]);
    let approve = Command::Approve { request };
    assert_eq!(world.command(&by, approve.clone()).unwrap_err().rule, "operator.admin");
    world.owner(approve);
    assert!(world.admitted(&node).node_commands.is_empty());
}
