//! What is kept of a session: taken along whole, and deleted.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::home::{Home, Said};
use crate::wire::Wire;

fn items(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn kinds(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["kind"].as_str().unwrap()).collect()
}

fn newest(home: &Home) -> String {
    home.sessions()[0].0.clone()
}

fn remedy(said: &Said) -> &str {
    said.stderr.lines().find_map(|line| line.trim().strip_prefix("try: ")).unwrap()
}

#[test]
fn an_export_is_everything_that_is_kept_as_lines_of_json() {
    let home = Home::new();
    let said = home.run(&["spawn", "--label", "mine", "--", "printf 'a\\377b'; exit 4"]);
    assert_eq!(said.status, 4, "{said:?}");
    let session = newest(&home);
    for with_gateway in [false, true] {
        if with_gateway {
            home.start_gateway();
        }
        let said = home.run(&["sessions", "export", &session]);
        assert_eq!(said.status, 0, "{said:?}");
        let items = items(&said.stdout);
        assert_eq!(kinds(&items), ["session", "message", "message", "output", "outcome"]);
        assert_eq!(items[0]["session"]["sessionId"], session);
        assert_eq!(items[0]["session"]["label"], "mine");
        assert_eq!(items[1]["role"], "user");
        assert_eq!(items[1]["content"][0]["text"], "printf 'a\\377b'; exit 4");
        let exact = STANDARD.decode(items[3]["base64"].as_str().unwrap()).unwrap();
        assert_eq!((exact.as_slice(), &items[3]["seq"]), (&b"a\xffb"[..], &1.into()));
        assert_eq!(items[4]["outcome"]["exitCode"], 4);
    }
}

#[test]
fn an_export_to_a_file_is_there_when_it_is_whole_and_for_its_owner_alone() {
    let home = Home::new();
    home.run(&["spawn", "--", "echo hello"]);
    let file = home.path().join("export.jsonl");
    fs::write(&file, "before").unwrap();
    let said = home.run(&["sessions", "export", "nobody", "--output", "export.jsonl"]);
    assert_eq!(said.status, 1, "{said:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "before");
    let session = newest(&home);
    let said = home.run(&["sessions", "export", &session, "--output", "export.jsonl"]);
    assert_eq!((said.status, said.stdout.as_str()), (0, ""), "{said:?}");
    assert_eq!(kinds(&items(&fs::read_to_string(&file).unwrap())).len(), 5);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!home.path().join("export.jsonl.part").exists());
    let said = home.run(&["sessions", "export", &session, "--output", "no/such/place"]);
    assert_eq!(said.status, 1, "{said:?}");
}

#[test]
fn a_long_conversation_and_much_output_are_exported_page_by_page_without_loss() {
    let home = Home::new();
    home.start_gateway();
    let mut wire = Wire::greeted(&home);
    assert_eq!(wire.ask("sessions.create", json!({"key": "notes"}))["ok"], true);
    for number in 0..230 {
        let message = format!("{number} {}", "x".repeat(20_000));
        let answer = wire.ask("chat.inject", json!({"sessionKey": "notes", "message": message}));
        assert_eq!(answer["ok"], true, "{answer}");
    }
    let page = wire.ask("sessions.export", json!({"session": "agent:main:notes"}));
    assert!(page["payload"]["next"].is_string(), "it is more than a page");
    let exported = home.run(&["sessions", "export", "agent:main:notes"]);
    let messages = items(&exported.stdout);
    assert_eq!(messages.len(), 231);
    for (number, message) in messages[1..].iter().enumerate() {
        let text = message["content"][0]["text"].as_str().unwrap();
        assert!(text.starts_with(&format!("{number} x")), "{number}: {:.40}", text);
    }
    let bad = wire.ask("sessions.export", json!({"session": "sess_main", "cursor": "x"}));
    assert_eq!(bad["error"]["code"], "INVALID_REQUEST", "{bad}");

    // Control characters take six bytes of JSON each, so a mebibyte is several pages.
    home.run(&["spawn", "--", "head -c 1048576 /dev/zero | tr '\\0' '\\001'"]);
    let exported = items(&home.run(&["sessions", "export", &newest(&home)]).stdout);
    let output: String = exported
        .iter()
        .filter(|item| item["kind"] == "output")
        .map(|item| item["text"].as_str().unwrap())
        .collect();
    assert_eq!(output.len(), 1_048_576);
    assert_eq!(exported.last().unwrap()["kind"], "outcome");
}

#[test]
fn a_session_is_deleted_with_what_was_said_in_it_but_not_while_it_is_at_work() {
    let home = Home::new();
    home.start_gateway();
    let line = "echo begun; exec sleep 600";
    let receipt = home.run(&["spawn", "--detach", "--json", "--runtime", "local", "--", line]);
    let session = receipt.json()["sessionId"].as_str().unwrap().to_owned();
    let said = home.run(&["sessions", "delete", &session]);
    assert_eq!(said.status, 1, "{said:?}");
    assert_eq!(remedy(&said), format!("hatchery sessions kill {session}"));
    assert_eq!(home.run(&["sessions", "kill", &session]).status, 0);

    // A beginning of its id will do, as everywhere.
    let beginning = &session[..session.len() - 2];
    let said = home.run(&["sessions", "delete", beginning]);
    assert_eq!((said.status, said.stdout), (0, format!("Deleted {session}\n")));
    for command in ["show", "history", "attach", "export", "delete"] {
        let said = home.run(&["sessions", command, &session]);
        assert_eq!(said.status, 1, "{said:?}");
        assert!(said.stderr.contains("there is no session"), "{said:?}");
    }
    assert!(home.sessions().iter().all(|(id, _)| *id != session));
    let said = home.run(&["sessions", "delete", "sess_main"]);
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.stderr.contains("main session cannot be deleted"), "{said:?}");
}
