//! What somebody was given and is taken away again ends at once, with all it has started.

use std::fs;

use serde_json::{Value, json};

use crate::device_wire::{DeviceWire, device, hello, signed};
use crate::home::{Home, wait_until};
use crate::model_server::{ModelServer, Reply, Step};

const SECRET: &str = "s3cret";

/// A model that begins to answer and never ends.
fn endless_model() -> ModelServer {
    let steps = vec![Step::Head, Step::Text("half".into()), Step::Hold];
    ModelServer::start([Reply::Steps(steps)])
}

fn gateway_json(auth: &str) -> String {
    format!("{{ gateway: {{ auth: {auth} }} }}")
}

/// A gateway whose agent asks that model, and its port.
fn gateway(server: &ModelServer, auth: &str) -> (Home, u16) {
    let base_url = server.base_url();
    let home = Home::with_config(
        &format!(
            r#"{{ agents: {{ defaults: {{ model: {{ primary: "mock/default" }} }} }},
                 models: {{ providers: {{ mock: {{ baseUrl: "{base_url}" }} }} }} }}"#
        ),
        &gateway_json(auth),
    );
    let said = home.run(&["gateway", "start", "--port", "0", "--json"]);
    assert_eq!(said.status, 0, "{said:?}");
    let port = u16::try_from(said.json()["port"].as_u64().unwrap()).unwrap();
    (home, port)
}

fn by_token(port: u16, seed: Option<u8>, auth: &Value) -> (DeviceWire, Value) {
    let mut wire = DeviceWire::open(port);
    let mut params = hello("");
    params["auth"] = auth.clone();
    if let Some(seed) = seed {
        params = signed(&params, &device(seed), &wire.nonce);
    }
    let hello = wire.connect(&params);
    assert_eq!(hello["ok"], true, "{hello}");
    (wire, hello["payload"]["auth"]["deviceToken"].clone())
}

/// Says something in a session, and waits until the model was asked.
fn begin_a_turn(wire: &mut DeviceWire, server: &ModelServer, session: &str, turns: usize) {
    let params = json!({"sessionKey": session, "message": "go on", "idempotencyKey": session});
    let answer = wire.ask("chat.send", &params);
    assert_eq!(answer["ok"], true, "{answer}");
    server.wait_for_requests(turns);
}

fn live_runs(home: &Home) -> Value {
    home.ask(&["gateway", "status"])["runs"]["live"].clone()
}

#[test]
fn the_turns_of_a_device_end_with_its_authority() {
    let id = device(1).id();
    for (words, reason) in [
        (&["devices", "remove", id.as_str()][..], "device removed"),
        (&["devices", "revoke", id.as_str()], "device removed"),
        (&["devices", "rotate", id.as_str()], "device removed"),
        (&["devices", "clear", "--yes"], "device removed"),
    ] {
        let server = endless_model();
        let (home, port) = gateway(&server, &format!("{{ token: '{SECRET}' }}"));
        let (mut wire, _) = by_token(port, Some(1), &json!({"token": SECRET}));
        begin_a_turn(&mut wire, &server, "main", 1);
        // Another one that waits for the first.
        let next = json!({"sessionKey": "main", "message": "and then", "idempotencyKey": "next"});
        assert_eq!(wire.ask("chat.send", &next)["ok"], true);
        let said = home.run(words);
        assert_eq!(said.status, 0, "{words:?}: {said:?}");
        assert_eq!(wire.end(), (4001, reason.to_owned()), "{words:?}");
        server.wait_for_leaving(1);
        wait_until("no run is left", || live_runs(&home) == 0);
        assert_eq!(server.requests().len(), 1, "what waited was not begun");
        let sessions = home.ask(&["sessions", "list"]);
        assert!(!sessions.to_string().contains("\"running\""), "{sessions}");
    }
}

#[test]
fn the_turns_of_others_go_on() {
    let server = endless_model();
    let (home, port) = gateway(&server, &format!("{{ token: '{SECRET}' }}"));
    let (mut one, _) = by_token(port, Some(1), &json!({"token": SECRET}));
    let (mut other, _) = by_token(port, Some(2), &json!({"token": SECRET}));
    begin_a_turn(&mut one, &server, "one", 1);
    begin_a_turn(&mut other, &server, "other", 2);
    let said = home.run(&["devices", "remove", device(1).id().as_str()]);
    assert_eq!(said.status, 0, "{said:?}");
    assert_eq!(one.end(), (4001, "device removed".to_owned()));
    server.wait_for_leaving(1);
    wait_until("one run is left", || live_runs(&home) == 1);
    assert_eq!(other.ask("health", &json!({}))["ok"], true);
}

#[test]
fn another_secret_puts_out_who_came_by_the_old_one_and_stops_what_they_started() {
    for (before, after) in [
        (format!("{{ token: '{SECRET}' }}"), "{ token: 'another' }"),
        (format!("{{ token: '{SECRET}' }}"), "{ mode: 'password', password: 'another' }"),
        (format!("{{ token: '{SECRET}' }}"), "{ mode: 'none' }"),
    ] {
        let server = endless_model();
        let (home, port) = gateway(&server, &before);
        let (mut by_secret, _) = by_token(port, None, &json!({"token": SECRET}));
        let (mut paired, own) = by_token(port, Some(1), &json!({"token": SECRET}));
        let (mut known, own_of_known) = by_token(port, Some(2), &json!({"token": SECRET}));
        drop(std::mem::replace(
            &mut known,
            by_token(port, Some(2), &json!({"deviceToken": own_of_known})).0,
        ));
        begin_a_turn(&mut by_secret, &server, "one", 1);
        begin_a_turn(&mut paired, &server, "two", 2);
        begin_a_turn(&mut known, &server, "three", 3);
        fs::write(home.config_directory().join("gateway.json"), gateway_json(after)).unwrap();
        let changed = (4001, "gateway auth changed".to_owned());
        assert_eq!(by_secret.end(), changed, "{after}");
        assert_eq!(paired.end(), changed, "{after}");
        server.wait_for_leaving(2);
        // Who came by a token of its own does not know the secret, and keeps what it has.
        wait_until("one run is left", || live_runs(&home) == 1);
        assert_eq!(known.ask("health", &json!({}))["ok"], true, "{after}");
        by_token(port, Some(1), &json!({"deviceToken": own}));
    }
}
