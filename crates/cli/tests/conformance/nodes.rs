//! Nodes: closed until somebody approves what they offer, and asked no more than that.

use serde_json::{Value, json};

use crate::device_wire::{DeviceWire, device, hello, signed};
use crate::home::{Home, Said};
use crate::wire::{Wire, request};

const TOKEN: &str = r#"{ gateway: { auth: { token: "s3cret" } } }"#;

fn gateway() -> (Home, u16) {
    let home = Home::with_config("", TOKEN);
    home.start_gateway();
    let status = home.ask(&["gateway", "status"]);
    let address = status["address"].as_str().unwrap().to_owned();
    let port = address.rsplit(':').next().unwrap().parse().unwrap();
    (home, port)
}

/// A node that offers these commands.
fn node(port: u16, seed: u8, commands: &[&str]) -> DeviceWire {
    let mut params = hello("s3cret");
    params["role"] = json!("node");
    params["scopes"] = json!([]);
    params["client"]["mode"] = json!("node");
    params["commands"] = json!(commands);
    let mut wire = DeviceWire::open(port);
    let signed = signed(&params, &device(seed), &wire.nonce.clone());
    let hello = wire.connect(&signed);
    assert_eq!(hello["ok"], true, "{hello}");
    wire
}

fn asked(wire: &mut Wire, method: &str, params: Value) -> Value {
    let answer = wire.ask(method, params);
    assert_eq!(answer["ok"], true, "{method}: {answer}");
    answer["payload"].clone()
}

/// The next answer; events come in between.
fn answer(wire: &mut Wire) -> Value {
    loop {
        let frame = wire.next();
        if frame["type"] == "res" {
            return frame;
        }
    }
}

fn code(answer: &Value) -> &str {
    answer["error"]["details"]["code"].as_str().unwrap_or_default()
}

#[test]
fn a_node_is_asked_what_it_offers_and_somebody_approved_and_nothing_else() {
    let (home, port) = gateway();
    let mut owner = Wire::greeted(&home);
    let mut camera = node(port, 1, &["camera.snap", "location.get"]);
    let listed = asked(&mut owner, "node.list", json!({}));
    let shown = &listed["nodes"][0];
    assert_eq!((&shown["connected"], &shown["commands"]), (&json!(true), &json!([])));
    let id = shown["nodeId"].clone();
    let ask = |command: &str| {
        json!({"nodeId": id, "command": command, "idempotencyKey": "k", "params": {"n": 1},
            "timeoutMs": 60_000})
    };

    // Closed by default.
    assert_eq!(code(&owner.ask("node.invoke", ask("camera.snap"))), "NODE_COMMAND_CLOSED");
    let pairing = asked(&mut owner, "node.pair.list", json!({}));
    let pending = &pairing["pending"][0];
    assert_eq!(pending["commands"], json!(["camera.snap", "location.get"]));
    let approve = json!({"requestId": pending["requestId"]});
    let approved = asked(&mut owner, "node.pair.approve", approve);
    assert_eq!(approved["node"]["commands"], json!(["camera.snap", "location.get"]));

    // Open now, for these.
    owner.say(&request("node.invoke", ask("camera.snap")));
    let question = camera.until(|frame| frame["event"] == "node.invoke.request");
    let question = &question["payload"];
    assert_eq!(question["command"], "camera.snap");
    assert_eq!(question["paramsJSON"], "{\"n\":1}");
    let picture =
        json!({"id": question["id"], "nodeId": id, "ok": true, "payload": {"image": "x"}});
    assert_eq!(camera.ask("node.invoke.result", &picture)["payload"], json!({"ok": true}));
    let answered = answer(&mut owner);
    assert_eq!(answered["payload"]["payload"], json!({"image": "x"}), "{answered}");
    // Nobody waits for it any more.
    assert_eq!(camera.ask("node.invoke.result", &picture)["payload"]["ignored"], true);
    assert_eq!(code(&owner.ask("node.invoke", ask("camera.clip"))), "NODE_COMMAND_CLOSED");

    // What the node says of its failure reaches whoever asked.
    owner.say(&request("node.invoke", ask("location.get")));
    let question = camera.until(|frame| frame["event"] == "node.invoke.request");
    let failed = json!({"id": question["payload"]["id"], "nodeId": id, "ok": false,
        "error": {"code": "NO_FIX", "message": "no position"}});
    camera.ask("node.invoke.result", &failed);
    let answered = answer(&mut owner);
    assert_eq!(answered["error"]["message"], "no position");
    assert_eq!(answered["error"]["details"]["nodeError"]["code"], "NO_FIX");

    // Who waits for a node that goes hears of it at once.
    owner.say(&request("node.invoke", ask("camera.snap")));
    camera.until(|frame| frame["event"] == "node.invoke.request");
    drop(camera);
    assert_eq!(code(&answer(&mut owner)), "NODE_DISCONNECTED");
    assert_eq!(code(&owner.ask("node.invoke", ask("camera.snap"))), "NOT_CONNECTED");
}

#[test]
fn what_a_node_offers_beyond_the_approval_stays_closed() {
    let (home, port) = gateway();
    let mut owner = Wire::greeted(&home);
    let first = node(port, 2, &["camera.snap"]);
    let pairing = asked(&mut owner, "node.pair.list", json!({}));
    let request_id = pairing["pending"][0]["requestId"].clone();
    let id = pairing["pending"][0]["nodeId"].clone();
    asked(&mut owner, "node.pair.approve", json!({"requestId": request_id}));
    drop(first);
    let _second = node(port, 2, &["camera.snap", "system.run"]);
    let described = asked(&mut owner, "node.describe", json!({"nodeId": id}));
    assert_eq!(described["commands"], json!(["camera.snap"]));
    let run = json!({"nodeId": id, "command": "system.run", "idempotencyKey": "k"});
    assert_eq!(code(&owner.ask("node.invoke", run.clone())), "NODE_COMMAND_CLOSED");

    // Somebody who may write and pair, but is no administrator, opens no machine.
    let mut params = hello("s3cret");
    params["scopes"] = json!(["operator.read", "operator.write", "operator.pairing"]);
    let mut operator = DeviceWire::connected(port, &params);
    let pairing = operator.ask("node.pair.list", &json!({}));
    let pending = &pairing["payload"]["pending"][0];
    assert_eq!(pending["requiredScopes"][0], "operator.admin", "{pending}");
    let approve = json!({"requestId": pending["requestId"]});
    assert_eq!(operator.ask("node.pair.approve", &approve)["ok"], false);
    let answer = operator.ask("node.invoke", &run);
    assert_eq!(answer["error"]["message"], "missing scope: operator.admin", "{answer}");

    // Taken back is closed.
    asked(&mut owner, "node.pair.remove", json!({"nodeId": id}));
    let snap = json!({"nodeId": id, "command": "camera.snap", "idempotencyKey": "k"});
    assert_eq!(owner.ask("node.invoke", snap)["ok"], false);
}

#[test]
fn an_operator_does_not_speak_as_a_node() {
    let (home, _) = gateway();
    let mut owner = Wire::greeted(&home);
    let answer = json!({"id": "x", "nodeId": "y", "ok": true});
    for (method, params) in [
        ("node.invoke.result", answer),
        ("node.event", json!({"event": "x"})),
        ("node.pending.pull", json!({})),
    ] {
        let answer = owner.ask(method, params);
        assert_eq!(answer["error"]["message"], "unauthorized role: operator", "{method}");
    }
}

#[test]
fn a_node_is_looked_after_from_the_terminal() {
    let (home, port) = gateway();
    let none = home.run(&["nodes", "list"]);
    assert!(none.stdout.contains("hatchery pair --role node"), "{none:?}");
    let mut camera = node(port, 1, &["camera.snap"]);
    let known = home.ask(&["nodes", "list"]);
    let request = known["pending"][0]["requestId"].as_str().unwrap();
    let id = known["paired"][0]["nodeId"].as_str().unwrap();
    let shown = home.run(&["nodes", "list"]).stdout;
    assert!(shown.contains(request) && shown.contains("camera.snap"), "{shown}");

    // Refused with a command that helps when pasted.
    let refused = home.run(&["nodes", "invoke", id, "camera.snap"]);
    assert_eq!(refused.status, 1, "{refused:?}");
    let remedy = refused.stderr.lines().find_map(|line| line.trim().strip_prefix("try: hatchery "));
    assert_eq!(remedy, Some(format!("nodes approve {request}").as_str()), "{refused:?}");
    let words: Vec<&str> = remedy.unwrap().split(' ').collect();
    let approved = home.run(&words);
    assert_eq!(approved.status, 0, "{approved:?}");
    assert!(approved.stdout.ends_with("may be asked camera.snap\n"), "{approved:?}");

    let named = home.run(&["nodes", "rename", id, "door"]);
    assert_eq!(named.status, 0, "{named:?}");
    let asking = home.begin(&["nodes", "invoke", "door", "camera.snap", "--params", "{\"n\":1}"]);
    let question = camera.until(|frame| frame["event"] == "node.invoke.request");
    let question = &question["payload"];
    assert_eq!(question["paramsJSON"], "{\"n\":1}");
    let answer = json!({"id": question["id"], "nodeId": id, "ok": true, "payload": "a picture"});
    assert_eq!(camera.ask("node.invoke.result", &answer)["payload"], json!({"ok": true}));
    let said = Said::from(asking.wait_with_output().unwrap());
    assert_eq!((said.status, said.stdout.as_str()), (0, "a picture\n"), "{said:?}");

    // What was not offered has no request to approve, and nothing is asked of the node.
    let refused = home.ask(&["nodes", "invoke", "door", "camera.clip"]);
    assert_eq!(code(&refused), "NODE_COMMAND_CLOSED", "{refused}");
    assert_eq!(home.run(&["nodes", "invoke", "door", "x", "--params", "{"]).status, 2);
    // Taken back ends its connection, and it comes back closed.
    assert_eq!(home.run(&["nodes", "remove", "door"]).status, 0);
    assert_eq!(camera.end().0, 4001);
    let back = node(port, 1, &["camera.snap"]);
    let refused = home.ask(&["nodes", "invoke", "door", "camera.snap"]);
    assert_eq!(code(&refused), "NODE_COMMAND_CLOSED", "{refused}");
    drop(back);
    let unknown = home.run(&["nodes", "remove", "window"]);
    assert_eq!(unknown.status, 1);
    assert!(unknown.stderr.contains("try: hatchery nodes list"), "{unknown:?}");

    // A node that offers more is asked for anew, and turned down.
    let _camera = node(port, 1, &["camera.snap", "camera.clip"]);
    let known = home.ask(&["nodes", "list"]);
    let request = known["pending"][0]["requestId"].as_str().unwrap();
    assert_eq!(home.run(&["nodes", "reject", request]).status, 0);
    assert_eq!(home.ask(&["nodes", "list"])["pending"], json!([]));
    assert_eq!(home.run(&["gateway", "stop"]).status, 0);
    let absent = home.run(&["nodes", "invoke", "door", "camera.snap"]);
    assert!(absent.stderr.contains("try: hatchery gateway start"), "{absent:?}");
}
