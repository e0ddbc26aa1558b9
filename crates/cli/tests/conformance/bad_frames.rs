//! Whatever comes in over the owner's socket: an error where one can be told, and the gateway
//! serves on.

use serde_json::{Value, json};

use crate::home::Home;
use crate::wire::{Wire, hello, request};

fn served() -> Home {
    let home = Home::new();
    home.start_gateway();
    home
}

fn still_serves(home: &Home) {
    assert_eq!(Wire::greeted(home).ask("health", json!({}))["payload"]["ok"], true);
    let said = home.run(&["spawn", "--runtime", "local", "--", "echo", "still here"]);
    assert_eq!((said.status, said.stdout.lines().nth(3)), (0, Some("still here")), "{said:?}");
}

/// An error answer with a word on what is wrong.
fn refused(frame: &Value, clue: &str) {
    assert_eq!((&frame["type"], &frame["ok"]), (&"res".into(), &false.into()), "{frame}");
    assert_eq!(frame["error"]["code"], "INVALID_REQUEST", "{frame}");
    let message = frame["error"]["message"].as_str().unwrap();
    assert!(message.contains(clue), "no {clue:?} in {message:?}");
}

#[test]
fn garbage_before_connect_is_answered_and_hung_up_on() {
    let home = served();
    for (garbage, clue) in [
        (&b"\xff\xfe\x00\x01\n"[..], "invalid request frame"),
        (b"GET / HTTP/1.1\r\n", "invalid request frame"),
        (b"{\n", "invalid request frame"),
        (b"[]\n", "invalid request frame"),
        (b"null\n", "invalid request frame"),
        (b"{\"type\":\"req\"}\n", "invalid request frame"),
        (b"{\"type\":\"req\",\"id\":\"\",\"method\":\"connect\"}\n", "with an id"),
        (b"{\"type\":\"req\",\"id\":7,\"method\":\"connect\"}\n", "invalid request frame"),
        (b"{\"type\":\"res\",\"id\":\"1\",\"ok\":true}\n", "a `req`"),
        (b"{\"type\":\"event\",\"event\":\"shutdown\"}\n", "a `req`"),
        (b"{\"type\":\"req\",\"id\":\"1\",\"method\":\"connect\"}\n", "invalid connect params"),
    ] {
        let mut wire = Wire::silent(&home);
        wire.say(garbage);
        refused(&wire.next(), clue);
        assert_eq!(wire.until_closed(), "", "{garbage:?}");
    }
    still_serves(&home);
}

#[test]
fn a_request_before_connect_is_refused() {
    let home = served();
    for method in ["health", "sessions.spawn", "gateway.stop", "no.such.method"] {
        let mut wire = Wire::silent(&home);
        refused(&wire.ask(method, json!({})), "first request must be connect");
        assert_eq!(wire.until_closed(), "");
    }
    still_serves(&home);
}

#[test]
fn another_protocol_version_is_refused() {
    let home = served();
    for (oldest, newest) in [(1, 2), (5, 9), (9, 5)] {
        let mut wire = Wire::silent(&home);
        let mut params = hello();
        params["minProtocol"] = oldest.into();
        params["maxProtocol"] = newest.into();
        refused(&wire.ask("connect", params), "protocol");
        assert_eq!(wire.until_closed(), "");
    }
    still_serves(&home);
}

#[test]
fn an_oversized_first_frame_is_refused() {
    let home = served();
    for line_feed in ["", "\n"] {
        let mut wire = Wire::silent(&home);
        let mut frame = vec![b'x'; 70 * 1024];
        frame.extend(line_feed.as_bytes());
        wire.say_if_heard(&frame);
        refused(&wire.next(), "too long");
        assert_eq!(wire.until_closed(), "");
    }
    still_serves(&home);
}

#[test]
fn half_a_frame_is_forgotten() {
    let home = served();
    for words in [&b""[..], b"{\"type\":\"req\"", b"\n\n\r\n"] {
        let mut wire = Wire::silent(&home);
        wire.say(words);
        wire.stop_talking();
        assert_eq!(wire.until_closed(), "", "{words:?}");
    }
    let mut wire = Wire::greeted(&home);
    wire.say(b"{\"type\":\"req\",\"id\":\"1\",\"method\":\"gateway.st");
    wire.stop_talking();
    assert_eq!(wire.until_closed(), "");
    still_serves(&home);
}

#[test]
fn a_frame_may_come_in_pieces() {
    let home = served();
    let mut wire = Wire::silent(&home);
    for byte in request("connect", hello()) {
        wire.say(&[byte]);
    }
    assert_eq!(wire.next()["ok"], true);
    // Several at once, an empty line between.
    let mut both = request("health", json!({}));
    both.extend(b"\r\n");
    both.extend(request("agents.list", json!({})));
    wire.say(&both);
    let ids = [wire.next()["id"].clone(), wire.next()["id"].clone()];
    assert!(ids.contains(&json!("health")) && ids.contains(&json!("agents.list")), "{ids:?}");
}

#[test]
fn garbage_on_a_greeted_connection_leaves_it_open() {
    let home = served();
    let mut wire = Wire::greeted(&home);
    for garbage in [&b"\xff\xfe\x00\n"[..], b"{}\n", b"\"\n", b"{\"type\":\"hello\"}\n"] {
        wire.say(garbage);
        refused(&wire.next(), "invalid request frame");
    }
    // Longer than any frame may be, and thrown away while it comes.
    let piece = vec![b'x'; 1024 * 1024];
    for _ in 0..30 {
        wire.say(&piece);
    }
    wire.say(b"\n");
    refused(&wire.next(), "too long");
    assert_eq!(wire.ask("health", json!({}))["payload"]["ok"], true);
    refused(&wire.ask("connect", hello()), "connect");
    assert_eq!(wire.ask("health", json!({}))["payload"]["ok"], true);
    still_serves(&home);
}

#[test]
fn an_unknown_method_is_named() {
    let home = served();
    let mut wire = Wire::greeted(&home);
    for method in ["no.such.method", "sessions", "Sessions.List", " "] {
        refused(&wire.ask(method, json!({})), &format!("unknown method: {method}"));
    }
    let long = "m".repeat(100_000);
    let answer = wire.ask(&long, json!({}));
    refused(&answer, "unknown method: mmm");
    assert!(answer["error"]["message"].as_str().unwrap().len() < 200);
    still_serves(&home);
}

#[test]
fn unknown_and_wrong_params_are_refused() {
    let home = served();
    let mut wire = Wire::greeted(&home);
    let spawn = |more: Value| {
        let mut params = json!({"task": "true"});
        for (name, value) in more.as_object().unwrap() {
            params[name] = value.clone();
        }
        params
    };
    for (method, params, clue) in [
        ("sessions.show", json!({"session": "sess_main", "limt": 1}), "limt"),
        ("sessions.list", json!({"limit": -1}), "-1"),
        ("sessions.list", json!({"limit": "many"}), "many"),
        ("sessions.list", json!([1, 2, 3]), "invalid params"),
        ("sessions.list", json!("all"), "invalid params"),
        ("sessions.show", json!({}), "session"),
        ("sessions.show", json!({"session": 7}), "7"),
        ("sessions.show", json!({"session": "sess_main", "more": 1}), "more"),
        ("sessions.history", json!({"id": "sess_main"}), "id"),
        ("sessions.kill", json!({}), "session"),
        ("sessions.spawn", json!({}), "task"),
        ("sessions.spawn", json!({"task": 1}), "a list of texts"),
        ("sessions.spawn", json!({"task": ""}), "no task"),
        ("sessions.spawn", json!({"task": []}), "no task"),
        ("sessions.spawn", json!({"task": [1]}), "a list of texts"),
        ("sessions.spawn", json!({"task": ["echo", "a\u{0}b"]}), "NUL"),
        ("sessions.spawn", spawn(json!({"parent": "sess_main"})), "parent"),
        ("sessions.spawn", spawn(json!({"depth": 0})), "depth"),
        ("sessions.spawn", spawn(json!({"workspace": "/"})), "workspace"),
        ("sessions.spawn", spawn(json!({"lineage": []})), "lineage"),
        ("sessions.spawn", spawn(json!({"runtime": "docker"})), "docker"),
        ("sessions.spawn", spawn(json!({"agentId": "a b"})), "invalid params"),
        ("sessions.spawn", spawn(json!({"cwd": "relative"})), "not absolute"),
        ("sessions.spawn", spawn(json!({"cwd": "/a\u{0}b"})), "cannot work in"),
        ("sessions.spawn", spawn(json!({"callerCwd": "/no/such/place"})), "cannot work in"),
        ("sessions.spawn", spawn(json!({"runTimeoutSeconds": -1})), "-1"),
    ] {
        refused(&wire.ask(method, params), clue);
    }
    assert_eq!(wire.ask("sessions.list", Value::Null)["payload"]["count"], 1);
    still_serves(&home);
}

#[test]
fn many_requests_at_once_are_all_answered() {
    const REQUESTS: usize = 500;
    let home = served();
    let mut wire = Wire::greeted(&home);
    let mut all = Vec::new();
    for _ in 0..REQUESTS {
        all.extend(request("sessions.list", json!({})));
    }
    wire.say(&all);
    for _ in 0..REQUESTS {
        assert_eq!(wire.next()["ok"], true);
    }
    still_serves(&home);
}

#[test]
fn many_silent_connections_hold_nobody_up() {
    let home = served();
    let silent: Vec<Wire> = (0..200).map(|_| Wire::silent(&home)).collect();
    still_serves(&home);
    drop(silent);
    still_serves(&home);
}
