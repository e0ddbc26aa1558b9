//! The journal as evidence, as people look at it.

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::device::Device;
use crate::home::Home;

/// A home in which a few things have happened, and no gateway runs.
fn with_a_past() -> Home {
    let home = Home::new();
    let said = home.run(&["spawn", "--runtime", "local", "--", "true"]);
    assert_eq!(said.status, 0, "{said:?}");
    home
}

fn entries(home: &Home, words: &[&str]) -> Vec<Value> {
    let mut all = vec!["audit", "list"];
    all.extend(words);
    home.ask(&all)["entries"].as_array().unwrap().clone()
}

#[test]
fn a_row_that_was_changed_removed_or_cut_off_is_named() {
    let cases = [
        ("UPDATE journal SET body = replace(body, '\"main\"', '\"other\"') WHERE seq = 1", 1),
        ("UPDATE journal SET at_ms = 0 WHERE seq = 2", 2),
        ("DELETE FROM journal WHERE seq = 3", 3),
        ("DELETE FROM journal WHERE seq >= 4", 4),
    ];
    for (sql, first_bad) in cases {
        let home = with_a_past();
        let sound = home.ask(&["audit", "verify"]);
        assert_eq!(sound["ok"], true, "{sound}");
        let database = Connection::open(home.state_directory().join("hatchery.db")).unwrap();
        database.execute_batch(sql).unwrap();
        drop(database);
        let said = home.run(&["audit", "verify"]);
        assert_eq!(said.status, 1, "{sql}: {said:?}");
        assert!(said.stderr.contains(&format!(" {first_bad} ")), "{sql}: {said:?}");
        let found = home.ask(&["audit", "verify"]);
        assert_eq!(found["fault"]["entry"], first_bad, "{sql}: {found}");
        // Evidence that is damaged keeps nobody from working, and stays found.
        let spawned = home.run(&["spawn", "--runtime", "local", "--", "true"]);
        assert_eq!(spawned.status, 0, "{spawned:?}");
        assert_eq!(home.run(&["audit", "verify"]).status, 1, "{sql}");
    }
}

#[test]
fn a_journal_is_read_and_verified_while_the_gateway_writes_it() {
    let home = with_a_past();
    home.start_gateway();
    let head = home.ask(&["audit", "verify"])["head"].as_str().unwrap().to_owned();
    assert_eq!(home.run(&["spawn", "--runtime", "local", "--", "true"]).status, 0);
    assert_eq!(home.run(&["audit", "verify", "--head", &head]).status, 0);
    let other = format!("1:{}", "0".repeat(64));
    assert_eq!(home.run(&["audit", "verify", "--head", &other]).status, 1);
    assert_eq!(entries(&home, &["--kind", "gateway_started"]).len(), 1);
    assert_eq!(entries(&home, &["--kind", "run_accepted", "--since", "1h"]).len(), 2);
    assert_eq!(entries(&home, &["--limit", "3"]).len(), 3);
    let exported = home.run(&["audit", "export", "--kind", "run_finished"]).stdout;
    let exported: Vec<Value> =
        exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(exported.len(), 2);
    assert!(exported.iter().all(|entry| entry["mac"].as_str().unwrap().len() == 64));
}

#[test]
fn nothing_has_happened_yet() {
    let home = Home::new();
    let said = home.run(&["audit", "list"]);
    assert!(said.status == 0 && said.stdout.starts_with("Nothing"), "{said:?}");
    assert_eq!(home.run(&["audit", "verify"]).status, 1);
}

#[test]
fn what_a_stranger_does_is_counted_and_makes_no_entries() {
    const TRIES: u64 = 200;
    let settings = r#"{ gateway: { auth: { token: "the-right-token-0123456789-0123456789" } } }"#;
    let home = Home::with_config("", settings);
    home.start_gateway();
    let address = home.ask(&["gateway", "status"])["address"].clone();
    let port = address.as_str().unwrap().rsplit(':').next().unwrap().parse().unwrap();
    let device = Device::new(9);
    for _ in 0..TRIES {
        let (_, answer) = device.connect(port, &json!({"token": "wrong"}), &["operator.admin"]);
        assert_eq!(answer["ok"], false, "{answer}");
    }
    assert_eq!(home.run(&["gateway", "stop"]).status, 0);
    let counted = entries(&home, &["--kind", "folded", "--limit", "1000"]);
    // One entry for each minute this took.
    assert!(counted.len() <= 10, "{counted:?}");
    let refusals = counted.iter().flat_map(|entry| {
        assert_eq!(entry["body"]["source"], "127.0.0.1", "{entry}");
        entry["body"]["refusals"].as_object().unwrap().values().cloned()
    });
    assert_eq!(refusals.filter_map(|count| count.as_u64()).sum::<u64>(), TRIES);
    assert!(entries(&home, &["--kind", "refused", "--limit", "1000"]).is_empty());
    assert_eq!(home.run(&["audit", "verify"]).status, 0);
}
