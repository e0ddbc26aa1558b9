//! Clients of the device door that vanish without a word: what they began goes on.

use serde_json::{Value, json};

use crate::device_wire::{DeviceWire, device, hello, signed};
use crate::home::{Home, wait_until};
use crate::model_server::{Gate, ModelServer, Reply, Step};

const SECRET: &str = "s3cret";

/// A model that says half of its answer, and the rest once the gate is open.
fn patient_model(gate: &Gate) -> ModelServer {
    let steps = vec![
        Step::Head,
        Step::Text("half ".into()),
        Step::Wait(gate.clone()),
        Step::Text("and half".into()),
        Step::Finish("stop"),
        Step::Done,
    ];
    ModelServer::start([Reply::Steps(steps)])
}

fn gateway(server: &ModelServer) -> (Home, u16) {
    let base_url = server.base_url();
    let home = Home::with_config(
        &format!(
            r#"{{ agents: {{ defaults: {{ model: {{ primary: "mock/default" }} }} }},
                 models: {{ providers: {{ mock: {{ baseUrl: "{base_url}" }} }} }} }}"#
        ),
        &format!("{{ gateway: {{ auth: {{ token: '{SECRET}' }} }} }}"),
    );
    let said = home.run(&["gateway", "start", "--port", "0", "--json"]);
    assert_eq!(said.status, 0, "{said:?}");
    let port = u16::try_from(said.json()["port"].as_u64().unwrap()).unwrap();
    (home, port)
}

fn connected(port: u16) -> DeviceWire {
    let mut wire = DeviceWire::open(port);
    let params = signed(&hello(SECRET), &device(1), &wire.nonce);
    let hello = wire.connect(&params);
    assert_eq!(hello["ok"], true, "{hello}");
    wire
}

/// Begins something by a device that is gone before the model has answered.
fn begun_by_somebody_who_vanishes(method: &str, params: &Value) -> (Home, DeviceWire) {
    let gate = Gate::default();
    let server = patient_model(&gate);
    let (home, port) = gateway(&server);
    let mut wire = connected(port);
    let receipt = wire.ask(method, params);
    assert_eq!(receipt["ok"], true, "{receipt}");
    server.wait_for_requests(1);
    // No close frame, nothing: as when a network goes.
    drop(wire);
    let mut wire = connected(port);
    assert_eq!(home.ask(&["gateway", "status"])["runs"]["live"], 1);
    gate.open();
    let ended = || home.ask(&["gateway", "status"])["runs"]["live"] == 0;
    wait_until("the run is over", ended);
    assert_eq!(wire.ask("health", &json!({}))["ok"], true);
    (home, wire)
}

#[test]
fn a_streamed_spawn_goes_on_when_its_device_vanishes() {
    let params = json!({"task": "go on", "runtime": "local", "stream": true});
    let (home, mut wire) = begun_by_somebody_who_vanishes("sessions.spawn", &params);
    // The gateway knows it a moment before the journal does.
    wait_until("it has ended well", || home.sessions()[0].1 == "ok");
    let session = home.sessions().remove(0).0;
    let receipt = wire.ask("sessions.watch", &json!({"session": session, "afterSeq": 1}));
    assert_eq!(receipt["payload"]["status"], "ok", "{receipt}");
    let piece = wire.until(|frame| frame["event"] == "run.output");
    assert_eq!(piece["payload"]["text"], "and half", "{piece}");
    let end = wire.until(|frame| frame["type"] == "res");
    assert_eq!(end["payload"]["result"], "half and half", "{end}");
}

#[test]
fn a_turn_goes_on_when_its_device_vanishes() {
    let message = json!({"sessionKey": "main", "message": "go on", "idempotencyKey": "k"});
    for method in ["chat.send", "agent"] {
        let (_home, mut wire) = begun_by_somebody_who_vanishes(method, &message);
        let waited = wire.ask("agent.wait", &json!({"runId": "k"}));
        assert_eq!(waited["payload"]["status"], "ok", "{waited}");
        let history = wire.ask("chat.history", &json!({"sessionKey": "main"}));
        let messages = history["payload"]["messages"].as_array().unwrap().clone();
        let texts: Vec<&str> =
            messages.iter().map(|m| m["content"][0]["text"].as_str().unwrap()).collect();
        assert_eq!(texts, ["go on", "half and half"], "{method}");
    }
}
