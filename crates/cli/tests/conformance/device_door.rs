//! The device door: who comes in, what everybody else hears, and how it ends.

use std::io::{Read as _, Write as _};

use serde_json::{Value, json};

use crate::device_wire::{DeviceWire, Heard, device, hello, signed, tcp};
use crate::home::{Home, wait_until};

const TOKEN: &str = r#"{gateway: {auth: {token: "s3cret"}}}"#;

/// A gateway with a shared secret, and its port.
fn gateway() -> (Home, u16) {
    listening(Home::with_config("", TOKEN))
}

fn listening(home: Home) -> (Home, u16) {
    let said = home.run(&["gateway", "start", "--port", "0", "--json"]);
    assert_eq!(said.status, 0, "{said:?}");
    let port = u16::try_from(said.json()["port"].as_u64().unwrap()).unwrap();
    (home, port)
}

fn with(mut params: Value, name: &str, value: Value) -> Value {
    params[name] = value;
    params
}

#[test]
fn both_versions_of_the_wire_shake_hands_on_one_port() {
    let (_home, port) = gateway();
    for (min, max, settled) in [(3, 3, 3), (4, 4, 4), (3, 4, 4)] {
        let mut wire = DeviceWire::open(port);
        let params = with(hello("s3cret"), "minProtocol", json!(min));
        let answer = wire.connect(&with(params, "maxProtocol", json!(max)));
        let payload = &answer["payload"];
        assert_eq!(payload["type"], "hello-ok", "{answer}");
        assert_eq!(payload["protocol"], settled);
        assert_eq!(payload["auth"]["role"], "operator");
        assert_eq!(payload["policy"]["maxPayload"], 26_214_400);
        assert_eq!(payload["policy"]["maxBufferedBytes"], 52_428_800);
        assert_eq!(payload["policy"]["tickIntervalMs"], 30_000);
        assert_eq!(payload["snapshot"]["sessionDefaults"]["mainKey"], "main");
        assert!(payload["snapshot"].get("stateDir").is_none(), "only an admin may know");
        let methods = payload["features"]["methods"].as_array().unwrap();
        assert!(methods.contains(&json!("sessions.list")));
    }
}

#[test]
fn a_missing_scope_is_said_in_the_words_of_each_version() {
    let (_home, port) = gateway();
    for (version, code) in [(3, "INVALID_REQUEST"), (4, "FORBIDDEN")] {
        let params = with(hello("s3cret"), "minProtocol", json!(version));
        let params = with(params, "maxProtocol", json!(version));
        let mut wire = DeviceWire::open(port);
        let key = device(9);
        let nonce = wire.nonce.clone();
        wire.connect(&signed(&params, &key, &nonce));
        let answer = wire.ask("gateway.stop", &json!({}));
        assert_eq!(answer["error"]["code"], code, "{answer}");
        assert_eq!(answer["error"]["message"], "missing scope: operator.admin");
        assert_eq!(answer["error"]["details"]["missingScope"], "operator.admin");
        let unknown = wire.ask("no.such.method", &json!({}));
        assert_eq!(unknown["error"]["code"], "INVALID_REQUEST");
        assert_eq!(unknown["error"]["message"], "unknown method: no.such.method");
    }
}

#[test]
fn what_is_no_handshake_ends_with_the_code_clients_know() {
    let (_home, port) = gateway();
    let connect = |params: Value| {
        json!({"type": "req", "id": "1", "method": "connect", "params": params}).to_string()
    };
    let newer = with(with(hello("s3cret"), "minProtocol", json!(5)), "maxProtocol", json!(9));
    let cases = [
        ("x".to_owned(), 1008, "invalid request frame"),
        (json!({"type": "event", "event": "x"}).to_string(), 1008, "invalid request frame"),
        (
            json!({"type": "req", "id": "1", "method": "health"}).to_string(),
            1008,
            "invalid handshake: first request must be connect",
        ),
        (connect(newer), 1002, "protocol mismatch"),
        (connect(hello("wrong")), 1008, "unauthorized: gateway token mismatch"),
        // At the limit it is read, above it is not.
        ("x".repeat(64 * 1024), 1008, "invalid request frame"),
        ("x".repeat(64 * 1024 + 1), 1009, "preauth payload too large"),
    ];
    for (first, code, reason) in cases {
        let mut wire = DeviceWire::open(port);
        let shown: String = first.chars().take(80).collect();
        wire.say(first);
        assert_eq!(wire.end(), (code, reason.to_owned()), "{shown}");
    }
    let mut wire = DeviceWire::open(port);
    let answer = wire.connect(&hello("wrong"));
    assert_eq!(answer["error"]["details"]["code"], "AUTH_TOKEN_MISMATCH", "{answer}");
    assert!(answer["error"]["details"]["remedy"].is_string());
}

#[test]
fn after_hello_a_frame_may_be_long_and_a_bad_one_is_only_answered() {
    let (_home, port) = gateway();
    let mut wire = DeviceWire::connected(port, &hello("s3cret"));
    wire.say("{".to_owned());
    let answer = wire.frame();
    assert_eq!((&answer["id"], &answer["ok"]), (&json!("invalid"), &json!(false)));
    let long = json!({"ignored": "x".repeat(1024 * 1024)});
    assert_eq!(wire.ask("health", &long)["ok"], true);
}

#[test]
fn a_device_is_paired_by_the_secret_on_this_machine_and_comes_back_by_its_token() {
    let (_home, port) = gateway();
    let key = device(1);
    let mut wire = DeviceWire::open(port);
    let nonce = wire.nonce.clone();
    let answer = wire.connect(&signed(&hello("s3cret"), &key, &nonce));
    let token = answer["payload"]["auth"]["deviceToken"].as_str().unwrap().to_owned();
    let by_token = with(hello(""), "auth", json!({"deviceToken": token}));
    let mut again = DeviceWire::open(port);
    let nonce = again.nonce.clone();
    let answer = again.connect(&signed(&by_token, &key, &nonce));
    assert_eq!(answer["payload"]["auth"]["method"], "device-token", "{answer}");
    assert_eq!(answer["payload"]["auth"]["scopes"], json!(["operator.read", "operator.write"]));
    // The same signature on another connection is worth nothing.
    let mut replayed = DeviceWire::open(port);
    let answer = replayed.connect(&signed(&by_token, &key, &nonce));
    assert_eq!(answer["error"]["details"]["code"], "DEVICE_AUTH_NONCE_MISMATCH", "{answer}");
}

#[test]
fn pages_from_elsewhere_and_unknown_proxies_are_turned_away() {
    let (_home, port) = gateway();
    let origin = [("origin", "https://elsewhere.example")];
    let mut wire = DeviceWire::open_with(port, &origin).unwrap();
    let answer = wire.connect(&hello("s3cret"));
    assert_eq!(answer["error"]["details"]["code"], "CONTROL_UI_ORIGIN_NOT_ALLOWED", "{answer}");
    assert_eq!(wire.end().0, 1008);
    for header in ["x-forwarded-for", "forwarded", "x-real-ip", "x-forwarded-proto"] {
        let refused = DeviceWire::open_with(port, &[(header, "for=127.0.0.1")]);
        match refused.err() {
            Some(tungstenite::Error::Http(response)) => {
                assert_eq!(response.status(), 403, "{header}");
            }
            other => panic!("{header}: {other:?}"),
        }
    }
}

#[test]
fn guesses_are_bounded_and_the_owner_is_not_locked_out() {
    let (home, port) = gateway();
    let mut live = DeviceWire::connected(port, &hello("s3cret"));
    for _ in 0..10 {
        let answer = DeviceWire::open(port).connect(&hello("guess"));
        assert_eq!(answer["error"]["details"]["code"], "AUTH_TOKEN_MISMATCH", "{answer}");
    }
    let answer = DeviceWire::open(port).connect(&hello("s3cret"));
    assert_eq!(answer["error"]["details"]["code"], "AUTH_RATE_LIMITED", "{answer}");
    assert_eq!(answer["error"]["details"]["recommendedNextStep"], "wait_then_retry");
    assert_eq!(live.ask("health", &json!({}))["ok"], true);
    assert_eq!(home.run(&["sessions", "list"]).status, 0);
}

#[test]
fn who_says_nothing_is_shown_out() {
    let home =
        Home::with_config("", r#"{gateway: {auth: {token: "s3cret"}, handshakeTimeoutMs: 200}}"#);
    let (_home, port) = listening(home);
    let mut wire = DeviceWire::open(port);
    assert_eq!(wire.hear(), Heard::Closed(1000, String::new()));
}

#[test]
fn a_thousand_silent_sockets_do_not_keep_others_out() {
    let (home, port) = gateway();
    let mut live = DeviceWire::connected(port, &hello("s3cret"));
    let silent: Vec<_> = (0..1_000).map(|_| tcp(port)).collect();
    assert_eq!(live.ask("health", &json!({}))["ok"], true);
    assert_eq!(home.run(&["sessions", "list"]).status, 0);
    // A newcomer from the same address is served as soon as the silent ones had their time.
    wait_until("a newcomer is let in", || {
        let wire = DeviceWire::open_with(port, &[]);
        wire.is_ok_and(|mut wire| wire.comes_in(&hello("s3cret")))
    });
    drop(silent);
}

#[test]
fn a_hundred_at_once_all_come_in() {
    let (_home, port) = gateway();
    let together: Vec<_> = (0..100)
        .map(|_| std::thread::spawn(move || DeviceWire::connected(port, &hello("s3cret"))))
        .collect();
    for one in together {
        one.join().unwrap();
    }
}

#[test]
fn a_node_asks_for_nothing_that_is_for_operators() {
    let (_home, port) = gateway();
    let key = device(2);
    let node = with(with(hello("s3cret"), "role", json!("node")), "scopes", json!([]));
    let mut wire = DeviceWire::open(port);
    let nonce = wire.nonce.clone();
    let answer = wire.connect(&signed(&node, &key, &nonce));
    assert_eq!(answer["ok"], true, "{answer}");
    for _ in 0..10 {
        let answer = wire.ask("sessions.list", &json!({}));
        assert_eq!(answer["error"]["message"], "unauthorized role: node");
    }
    assert_eq!(wire.ask("health", &json!({}))["ok"], true);
    for _ in 0..11 {
        wire.ask("sessions.list", &json!({}));
    }
    assert_eq!(wire.end(), (1008, "repeated unauthorized calls".to_owned()));
}

#[test]
fn a_removed_device_is_out_at_once() {
    let (home, port) = gateway();
    let key = device(3);
    let mut wire = DeviceWire::open(port);
    let nonce = wire.nonce.clone();
    assert_eq!(wire.connect(&signed(&hello("s3cret"), &key, &nonce))["ok"], true);
    let mut other = DeviceWire::connected(port, &hello("s3cret"));
    let said = home.run(&["devices", "remove", key.id().as_str()]);
    assert_eq!(said.status, 0, "{said:?}");
    assert_eq!(wire.end(), (4001, "device removed".to_owned()));
    assert_eq!(other.ask("health", &json!({}))["ok"], true);
}

#[test]
fn a_changed_secret_puts_out_whoever_came_in_by_the_old_one() {
    let (home, port) = gateway();
    let mut wire = DeviceWire::connected(port, &hello("s3cret"));
    home.configure("", r#"{gateway: {auth: {token: "another one"}}}"#);
    assert_eq!(wire.end(), (4001, "gateway auth changed".to_owned()));
    assert_eq!(DeviceWire::open(port).connect(&hello("s3cret"))["ok"], false);
    DeviceWire::connected(port, &hello("another one"));
}

#[test]
fn the_end_of_the_gateway_is_announced_and_said() {
    let (home, port) = gateway();
    let mut wire = DeviceWire::connected(port, &hello("s3cret"));
    assert_eq!(home.run(&["gateway", "stop"]).status, 0);
    let shutdown = wire.until(|frame| frame["event"] == "shutdown");
    assert_eq!(shutdown["seq"], 1, "{shutdown}");
    assert_eq!(wire.end(), (1012, "service restart".to_owned()));
}

#[test]
fn who_is_connected_is_told_and_listed() {
    let (_home, port) = gateway();
    let key = device(4);
    let ui = json!({"id": "gateway-client", "version": "1", "platform": "linux", "mode": "ui"});
    let mut wire = DeviceWire::open(port);
    let nonce = wire.nonce.clone();
    wire.connect(&signed(&with(hello("s3cret"), "client", ui), &key, &nonce));
    let presence = wire.until(|frame| frame["event"] == "presence");
    let entry = &presence["payload"]["presence"][0];
    assert_eq!(entry["deviceId"], key.id().as_str(), "{presence}");
    assert_eq!(presence["stateVersion"]["presence"], 1);
    assert_eq!(presence["seq"], 1);
    let mut reader = DeviceWire::open(port);
    let nonce = reader.nonce.clone();
    let hello = reader.connect(&signed(&hello("s3cret"), &device(5), &nonce));
    assert_eq!(hello["payload"]["snapshot"]["presence"][0]["mode"], "ui", "{hello}");
}

#[test]
fn what_lets_strangers_in_does_not_start_where_strangers_can_come() {
    for (config, starts) in [
        (r#"{gateway: {bind: "lan", auth: {mode: "none"}}}"#, false),
        (r#"{gateway: {bind: "lan"}, security: {enforcePairing: false}}"#, false),
        (r#"{gateway: {bind: "lan", pairing: {loopbackExempt: true}}}"#, false),
        (
            r#"{gateway: {bind: "lan", auth: {mode: "none"}},
                security: {allowExemptionsBeyondLoopback: true}}"#,
            true,
        ),
        (r#"{gateway: {auth: {mode: "none"}}}"#, true),
    ] {
        let home = Home::with_config("", config);
        let said = home.run(&["gateway", "start", "--port", "0", "--json"]);
        assert_eq!(said.status == 0, starts, "{config}: {said:?}");
        if !starts {
            let text = format!("{}{}", said.stdout, said.stderr);
            assert!(text.contains("allowExemptionsBeyondLoopback"), "{text}");
        }
    }
}

/// One HTTP request; the whole answer.
fn get(port: u16, path: &str) -> String {
    let mut stream = tcp(port);
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn the_page_is_served_from_its_directory_and_nothing_else_is() {
    let home = Home::new();
    let root = home.path().join("ui");
    std::fs::create_dir_all(root.join("assets")).unwrap();
    std::fs::write(root.join("index.html"), "<p>the page</p>").unwrap();
    std::fs::write(root.join("assets/app.js"), "run()").unwrap();
    std::fs::write(home.path().join("secret.txt"), "nobody sees this").unwrap();
    home.configure("", r#"{gateway: {controlUi: {root: "~/ui"}}}"#);
    let (_home, port) = listening(home);
    for (path, status, kind, text) in [
        ("/", "200", "text/html", "the page"),
        ("/chat/main", "200", "text/html", "the page"),
        ("/assets/app.js", "200", "text/javascript", "run()"),
        ("/assets/none.js", "404", "", ""),
        ("/../secret.txt", "404", "", ""),
        ("/%2e%2e/secret.txt", "404", "", ""),
        ("/control-ui-config.json", "200", "application/json", "serverVersion"),
        ("/__openclaw/control-ui-config.json", "200", "application/json", "serverVersion"),
        ("/healthz", "200", "application/json", r#"{"ok":true,"status":"live"}"#),
        ("/ready", "200", "application/json", r#""ready":true"#),
    ] {
        let answer = get(port, path);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {answer}");
        assert!(answer.contains(kind) && answer.contains(text), "{path}: {answer}");
        assert!(!answer.contains("nobody sees this"), "{path}: {answer}");
    }
    let page = get(port, "/");
    assert!(page.contains("frame-ancestors 'none'"), "{page}");
    assert!(!get(port, "/control-ui-config.json").contains("serverBuildId"));
}

#[test]
fn without_a_page_the_root_says_what_this_is() {
    let (_home, port) = gateway();
    assert!(get(port, "/").contains("gateway.controlUi.root"));
    assert!(get(port, "/nothing").starts_with("HTTP/1.1 404"));
}
