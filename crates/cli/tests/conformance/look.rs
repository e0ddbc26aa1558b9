//! What clients of the wire look at: shapes they rely on, read over the owner's socket.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::home::Home;
use crate::wire::{Wire, request};

fn asked(wire: &mut Wire, method: &str, params: Value) -> Value {
    let answer = wire.ask(method, params);
    assert_eq!(answer["ok"], true, "{method}: {answer}");
    answer["payload"].clone()
}

fn refused(wire: &mut Wire, method: &str, params: Value) -> Value {
    let answer = wire.ask(method, params);
    assert_eq!(answer["ok"], false, "{method}: {answer}");
    answer["error"].clone()
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn every_advertised_method_is_known_and_clients_find_what_they_ask_at_their_start() {
    let home = Home::new();
    home.start_gateway();
    let mut wire = Wire::silent(&home);
    let hello = wire.ask("connect", crate::wire::hello());
    let methods: Vec<String> =
        serde_json::from_value(hello["payload"]["features"]["methods"].clone()).unwrap();
    for method in &methods {
        // What ends the gateway is not tried, and what waits for somebody is asked for nobody.
        if method == "gateway.stop" || method.starts_with("node.") {
            continue;
        }
        let answer = wire.ask(method, json!({}));
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(!message.contains("unknown method"), "{method}: {answer}");
        assert!(!message.contains("missing scope"), "{method}: {answer}");
    }
    for method in [
        "agent.identity.get",
        "agents.list",
        "channels.status",
        "commands.list",
        "config.get",
        "cron.list",
        "cron.status",
        "exec.approval.list",
        "health",
        "last-heartbeat",
        "logs.tail",
        "models.authStatus",
        "models.list",
        "plugin.approval.list",
        "question.list",
        "sessions.groups.list",
        "sessions.list",
        "status",
        "system-presence",
        "system.info",
        "taskSuggestions.list",
        "tasks.list",
        "update.status",
    ] {
        assert!(methods.iter().any(|known| known == method), "{method} is not advertised");
        for params in [json!({}), Value::Null] {
            asked(&mut wire, method, params);
        }
    }
}

#[test]
fn answers_have_what_clients_rely_on() {
    let home = Home::with_config(
        r#"{ acp: { allowedAgents: ["coder"] },
             gateway: { auth: { token: "very secret" } },
             agents: { entries: { coder: { model: "builtin/shell",
               runtime: { type: "acp", acp: { command: "coder --key hidden" } } } } } }"#,
        "",
    );
    home.start_gateway();
    let mut wire = Wire::greeted(&home);

    let health = asked(&mut wire, "health", json!({}));
    for key in ["ts", "durationMs", "channels", "channelOrder", "channelLabels", "agents"] {
        assert!(!health[key].is_null(), "no {key} in {health}");
    }
    assert_eq!((&health["ok"], &health["defaultAgentId"]), (&json!(true), &json!("main")));
    assert_eq!(health["sessions"]["count"], 1);
    assert_eq!(health["agents"].as_array().unwrap().len(), 2);

    let status = asked(&mut wire, "status", json!({}));
    assert_eq!(status["runtimeVersion"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["sessions"]["defaults"]["model"], "shell");
    assert_eq!(status["sessions"]["byAgent"][0]["agentId"], "main");

    // The published schema takes no other field in these.
    let agents = asked(&mut wire, "agents.list", json!({}));
    assert_eq!(keys(&agents), BTreeSet::from(["agents", "defaultId", "mainKey", "scope"]));
    let coder = &agents["agents"][0];
    assert_eq!(keys(coder), BTreeSet::from(["id", "identity", "model", "name"]));
    assert_eq!(coder["model"], json!({"primary": "builtin/shell"}));
    let identity =
        asked(&mut wire, "agent.identity.get", json!({"sessionKey": "agent:coder:main"}));
    assert_eq!(identity, json!({"agentId": "coder", "name": "coder"}));
    refused(&mut wire, "agent.identity.get", json!({"agentId": "nobody"}));

    let models = asked(&mut wire, "models.list", json!({}));
    let model = &models["models"][0];
    assert_eq!((&model["id"], &model["provider"]), (&json!("shell"), &json!("builtin")));
    assert_eq!(model["available"], true);
    let commands = asked(&mut wire, "commands.list", json!({}));
    let names: Vec<&str> = commands["commands"]
        .as_array()
        .unwrap()
        .iter()
        .map(|command| command["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"subagents") && names.contains(&"stop"), "{names:?}");

    let config = asked(&mut wire, "config.get", json!({}));
    assert_eq!((&config["valid"], &config["exists"]), (&json!(true), &json!(true)));
    assert_eq!(config["config"]["gateway"]["auth"]["token"], "__OPENCLAW_REDACTED__");
    assert_eq!(config["config"]["agents"]["defaults"]["subagents"]["maxConcurrent"], 8);
    assert_eq!(config["parsed"]["agents"]["defaults"], Value::Null);
    assert!(!config.to_string().contains("very secret"));
    assert!(!config["settings"].as_array().unwrap().is_empty());

    let identity = asked(&mut wire, "gateway.identity.get", json!({}));
    assert_eq!(identity["deviceId"].as_str().unwrap().len(), 64);
    assert_eq!(asked(&mut wire, "gateway.identity.get", json!({})), identity);
}

#[test]
fn the_list_of_sessions_speaks_the_words_of_the_wire() {
    let home = Home::new();
    home.start_gateway();
    assert_eq!(home.run(&["spawn", "--label", "first", "--", "echo", "a"]).status, 0);
    assert_eq!(home.run(&["spawn", "--runtime", "local", "--", "exit 3"]).status, 3);
    let mut wire = Wire::greeted(&home);
    let listed = asked(
        &mut wire,
        "sessions.list",
        json!({"includeDerivedTitles": true, "includeLastMessage": true, "includeGlobal": true,
            "somethingNew": {"of": "a later client"}}),
    );
    for (key, value) in [
        ("count", json!(3)),
        ("totalCount", json!(3)),
        ("hasMore", json!(false)),
        ("nextOffset", Value::Null),
        ("limitApplied", json!(100)),
    ] {
        assert_eq!(listed[key], value, "{key}");
    }
    assert!(listed["path"].as_str().unwrap().ends_with("hatchery.db"));
    assert_eq!(listed["defaults"]["modelProvider"], "builtin");
    let rows = listed["sessions"].as_array().unwrap();
    let row = |clue: &str, value: &str| rows.iter().find(|row| row[clue] == value).unwrap();
    let (failed, done) = (row("status", "failed"), row("status", "done"));
    let main = row("key", "agent:main:main");
    assert!(rows.is_sorted_by_key(|row| std::cmp::Reverse(row["updatedAt"].as_u64())));
    assert_eq!(failed["derivedTitle"], "exit 3");
    assert_eq!(done["lastMessagePreview"], "a");
    assert_eq!((&done["displayName"], &done["label"]), (&json!("first"), &json!("first")));
    assert_eq!(main["isMain"], true);
    assert_eq!(main["childSessions"], json!([failed["key"], done["key"]]));
    for row in rows {
        assert_eq!((&row["kind"], &row["agentId"]), (&json!("direct"), &json!("main")));
        assert!(
            row["updatedAt"].is_u64() && row["key"].is_string() && row["sessionId"].is_string()
        );
        assert_eq!(row["hasActiveRun"], false);
    }
    for child in [failed, done] {
        assert_eq!(child["spawnedBy"], "agent:main:main");
        assert_eq!((&child["spawnDepth"], &child["subagentRole"]), (&json!(1), &json!("leaf")));
        assert!(child["endedAt"].as_u64() >= child["startedAt"].as_u64());
    }

    let count = |wire: &mut Wire, params| asked(wire, "sessions.list", params)["count"].clone();
    for (params, expected) in [
        (json!({"label": "first"}), 1),
        (json!({"label": "second"}), 0),
        (json!({"search": "FIRST"}), 1),
        (json!({"search": "subagent"}), 2),
        (json!({"search": "%"}), 0),
        (json!({"agentId": "main"}), 3),
        (json!({"agentId": "coder"}), 0),
        (json!({"spawnedBy": "agent:main:main"}), 2),
        (json!({"spawnedBy": "sess_main"}), 2),
        (json!({"activeMinutes": 10}), 3),
        (json!({"archived": true}), 0),
        (json!({"archived": "all"}), 3),
        (json!({"archived": false, "limit": 2}), 2),
        (json!({"limit": 1, "offset": 2}), 1),
        (json!({"offset": 3}), 0),
    ] {
        assert_eq!(count(&mut wire, params.clone()), expected, "{params}");
    }
    let page = asked(&mut wire, "sessions.list", json!({"limit": 1, "offset": 1}));
    assert_eq!((&page["hasMore"], &page["nextOffset"]), (&json!(true), &json!(2)));
    assert_eq!(page["sessions"][0]["key"], rows[1]["key"]);
    refused(&mut wire, "sessions.list", json!({"search": "x".repeat(513)}));
}

#[test]
fn a_list_is_as_new_as_the_receipt_of_a_spawn() {
    let home = Home::new();
    home.start_gateway();
    let mut wire = Wire::greeted(&home);
    for expected in 1..20 {
        assert_eq!(asked(&mut wire, "sessions.list", json!({}))["count"], expected);
        let spawned =
            asked(&mut wire, "sessions.spawn", json!({"task": "true", "runtime": "local"}));
        let listed = asked(&mut wire, "sessions.list", json!({}));
        let rows = listed["sessions"].as_array().unwrap();
        assert!(rows.iter().any(|row| row["key"] == spawned["childSessionKey"]), "{listed}");
    }
}

#[test]
fn single_sessions_are_described_resolved_and_previewed() {
    let home = Home::new();
    home.start_gateway();
    let spawned = home.run(&["spawn", "--json", "--label", "mine", "--", "echo", "hello"]).json();
    let mut wire = Wire::greeted(&home);
    let session = &asked(&mut wire, "sessions.list", json!({"label": "mine"}))["sessions"][0];
    let (key, id) = (&session["key"], &spawned["sessionId"]);

    let described = asked(&mut wire, "sessions.describe", json!({"key": key}));
    assert_eq!(described["session"]["sessionId"], *id);
    let main = asked(&mut wire, "sessions.describe", json!({"key": "main"}));
    assert_eq!(main["session"]["key"], "agent:main:main");
    let nobody = asked(&mut wire, "sessions.describe", json!({"key": "agent:main:nobody"}));
    assert_eq!(nobody, json!({"session": null}));

    let found = json!({"ok": true, "key": key, "agentId": "main", "displayName": "mine"});
    for params in [json!({"key": key}), json!({"sessionId": id}), json!({"label": "mine"})] {
        assert_eq!(asked(&mut wire, "sessions.resolve", params), found);
    }
    let error = refused(&mut wire, "sessions.resolve", json!({"label": "yours"}));
    assert_eq!(error["message"], "No session found: yours");
    let missing = json!({"label": "yours", "allowMissing": true});
    assert_eq!(asked(&mut wire, "sessions.resolve", missing), json!({"ok": false}));
    refused(&mut wire, "sessions.resolve", json!({}));
    assert_eq!(home.run(&["spawn", "--label", "mine", "--", "true"]).status, 0);
    let error = refused(&mut wire, "sessions.resolve", json!({"label": "mine"}));
    assert!(error["message"].as_str().unwrap().contains(key.as_str().unwrap()), "{error}");

    let previews = asked(&mut wire, "sessions.preview", json!({"keys": [key, "main", "nobody"]}));
    let mut previews = previews["previews"].as_array().unwrap().clone();
    previews.sort_by_key(|preview| preview["status"].as_str().unwrap().to_owned());
    let [empty, missing, ok] = &previews[..] else { panic!("{previews:?}") };
    assert_eq!((&empty["key"], &empty["status"]), (&json!("main"), &json!("empty")));
    assert_eq!((&missing["key"], &missing["status"]), (&json!("nobody"), &json!("missing")));
    assert_eq!(
        ok["items"],
        json!([{"role": "user", "text": "echo hello"}, {"role": "assistant", "text": "hello"}])
    );

    let tasks = asked(&mut wire, "tasks.list", json!({"status": "completed", "limit": 1}));
    assert_eq!((&tasks["tasks"][0]["title"], &tasks["nextCursor"]), (&json!("mine"), &json!("1")));
}

#[test]
fn the_log_is_read_on_from_where_the_last_answer_ended() {
    let home = Home::new();
    home.start_gateway();
    let mut wire = Wire::greeted(&home);
    let first = asked(&mut wire, "logs.tail", json!({"limit": 5000}));
    let message = |line: &Value| {
        let record: Value = serde_json::from_str(line.as_str().unwrap()).unwrap();
        record["0"].as_str().unwrap().to_owned()
    };
    let lines = first["lines"].as_array().unwrap();
    assert!(lines.iter().any(|line| message(line).starts_with("Gateway started")), "{lines:?}");
    assert!(first["file"].as_str().unwrap().ends_with("gateway.log"));

    assert_eq!(home.run(&["spawn", "--runtime", "local", "--", "true"]).status, 0);
    let second = asked(&mut wire, "logs.tail", json!({"cursor": first["cursor"]}));
    let lines = second["lines"].as_array().unwrap();
    assert!(lines.iter().any(|line| message(line).starts_with("run finished")), "{lines:?}");
    assert!(!lines.iter().any(|line| message(line).starts_with("Gateway started")));
    let beyond = asked(&mut wire, "logs.tail", json!({"cursor": 1_000_000_000, "limit": 1}));
    assert_eq!(beyond["reset"], true);
    assert_eq!(beyond["lines"].as_array().unwrap().len(), 1);
}

/// The next frame that is `wanted`: an answer's id or an event's name.
fn until(wire: &mut Wire, wanted: &str) -> Value {
    loop {
        let frame = wire.next();
        if frame["id"] == wanted || frame["event"] == wanted {
            return frame;
        }
    }
}

#[test]
fn a_request_for_approval_is_told_decided_once_and_carried_back() {
    let home = Home::new();
    home.start_gateway();
    let mut asker = Wire::greeted(&home);
    let ask = |command: &str| {
        request("exec.approval.request", json!({"command": command, "twoPhase": true}))
    };

    // Nobody is there to decide: that is a no, at once.
    asker.say(&ask("rm -rf x"));
    let alone = until(&mut asker, "exec.approval.request");
    assert_eq!(alone["payload"]["decision"], Value::Null);
    assert_ne!(alone["payload"]["status"], "accepted");

    let mut decider = Wire::greeted(&home);
    asker.say(&ask("rm -rf x"));
    let accepted = until(&mut asker, "exec.approval.request");
    assert_eq!(accepted["payload"]["status"], "accepted", "{accepted}");
    let id = &accepted["payload"]["id"];
    let told = until(&mut decider, "exec.approval.requested");
    assert_eq!(&told["payload"]["id"], id);
    assert_eq!(told["payload"]["request"]["command"], "rm -rf x");
    let waiting = asked(&mut decider, "exec.approval.list", json!({}));
    assert_eq!(&waiting[0]["id"], id);
    let shown = asked(&mut decider, "exec.approval.get", json!({"id": id}));
    assert_eq!(shown["commandText"], "rm -rf x");
    let snapshot = asked(&mut decider, "approval.get", json!({"id": id}));
    assert_eq!(snapshot["approval"]["status"], "pending");

    for (params, reason) in [
        (json!({"id": "nobody", "decision": "deny"}), "APPROVAL_NOT_FOUND"),
        (json!({"id": id, "decision": "perhaps"}), ""),
    ] {
        let error = refused(&mut decider, "exec.approval.resolve", params);
        assert_eq!(error["details"]["reason"].as_str().unwrap_or_default(), reason);
    }
    let decided = json!({"id": id, "decision": "allow-always"});
    decider.say(&request("exec.approval.resolve", decided.clone()));
    let told = until(&mut decider, "exec.approval.resolved");
    let resolved = until(&mut decider, "exec.approval.resolve");
    assert_eq!(resolved["payload"], json!({"ok": true}));
    let verdict = until(&mut asker, "exec.approval.request");
    assert_eq!(verdict["payload"]["decision"], "allow-always");
    assert_eq!((&told["payload"]["id"], &told["payload"]["resolvedBy"]), (id, &json!("owner")));
    let error = refused(&mut decider, "exec.approval.resolve", decided);
    assert_eq!(error["message"], "approval already resolved");
    assert_eq!(error["details"]["reason"], "APPROVAL_ALREADY_RESOLVED");
    let late = json!({"id": id, "kind": "exec", "decision": "deny"});
    let late = asked(&mut decider, "approval.resolve", late);
    assert_eq!((&late["applied"], &late["approval"]["status"]), (&json!(false), &json!("allowed")));
    let late = asked(&mut decider, "exec.approval.waitDecision", json!({"id": id}));
    assert_eq!(late["decision"], "allow-always");

    // The very same command needs no second decision; any other does.
    asker.say(&ask("rm -rf x"));
    let again = until(&mut asker, "exec.approval.request");
    assert_eq!(again["payload"]["decision"], "allow-always", "{again}");
    asker.say(&ask("rm -rf y"));
    let other = until(&mut asker, "exec.approval.request");
    assert_eq!(other["payload"]["status"], "accepted", "{other}");
}

#[test]
fn a_request_that_nobody_decides_ends_with_its_time() {
    let home = Home::new();
    home.start_gateway();
    let (mut asker, _decider) = (Wire::greeted(&home), Wire::greeted(&home));
    let params = json!({"title": "t", "description": "d", "timeoutMs": 30});
    let verdict = asked(&mut asker, "plugin.approval.request", params);
    assert_eq!(verdict["decision"], Value::Null);
    assert_eq!(verdict["terminalReason"], "timeout");
    let id = &verdict["id"];
    assert!(id.as_str().unwrap().starts_with("plugin:"));
    let snapshot = asked(&mut asker, "approval.get", json!({"id": id}));
    assert_eq!(snapshot["approval"]["status"], "expired");
    let error =
        refused(&mut asker, "plugin.approval.resolve", json!({"id": id, "decision": "deny"}));
    assert_eq!(error["details"]["reason"], "APPROVAL_NOT_FOUND");
    assert_eq!(asked(&mut asker, "plugin.approval.list", json!({})), json!([]));
}
