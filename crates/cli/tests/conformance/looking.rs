//! What people look at: sessions, agents, settings, the log.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::home::{Home, Said};

#[test]
fn the_list_of_sessions_has_five_columns_and_the_main_session_from_the_start() {
    let home = Home::new();
    let said = home.run(&["sessions", "list"]);
    assert_eq!(said.status, 0, "{said:?}");
    let lines: Vec<&str> = said.stdout.lines().collect();
    let columns: Vec<&str> = lines[0].split("  ").filter(|c| !c.trim().is_empty()).collect();
    let columns: Vec<&str> = columns.into_iter().map(str::trim).collect();
    assert_eq!(columns, ["SESSION ID", "TYPE", "AGENT", "STATUS", "CREATED"]);
    let words: Vec<&str> = lines[1].split_whitespace().collect();
    assert_eq!(words[..4], ["sess_main", "main", "main", "idle"]);
    assert_eq!(lines.len(), 2);
    // A look leaves no trace of a gateway.
    assert_eq!(home.run(&["gateway", "status"]).status, 1);

    home.start_gateway();
    assert_eq!(home.run(&["spawn", "--runtime", "acp", "--label", "mine", "--", "true"]).status, 0);
    assert_eq!(home.run(&["spawn", "--runtime", "local", "--", "exit 4"]).status, 4);
    let said = home.run(&["sessions", "list"]);
    let rows: Vec<Vec<&str>> =
        said.stdout.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    let heads: Vec<&[&str]> = rows.iter().map(|row| &row[1..4]).collect();
    assert_eq!(
        heads,
        [["subagent", "main", "failed"], ["acp", "main", "ok"], ["main", "main", "idle"]]
    );
    // The time is one, in the person's zone.
    assert_eq!(rows[0].len(), 6, "{said:?}");
    let limited = home.run(&["sessions", "list", "--limit", "1"]);
    assert_eq!(limited.stdout.lines().count(), 2);
}

#[test]
fn a_session_is_found_by_id_key_and_prefix() {
    let home = Home::new();
    home.start_gateway();
    let said = home.run(&["spawn", "--json", "--label", "mine", "--", "echo", "some words"]);
    let session = said.json()["sessionId"].as_str().unwrap().to_owned();
    let shown = home.ask(&["sessions", "show", &session]);
    assert_eq!((&shown["label"], &shown["parent"]), (&"mine".into(), &"sess_main".into()));
    let key = shown["key"].as_str().unwrap();
    for name in [&session, key, &session[..8]] {
        assert_eq!(home.ask(&["sessions", "show", name]), shown, "{name}");
        let history = home.run(&["sessions", "history", name]);
        assert_eq!(history.stdout, "> echo 'some words'\nsome words\n< ok\n", "{name}");
    }
    let text = home.run(&["sessions", "show", &session[..8]]);
    assert_eq!(text.status, 0);
    for clue in [&session, key, "mine", "echo 'some words'", "isolated", "builtin/shell"] {
        assert!(text.stdout.contains(clue), "no {clue} in {text:?}");
    }
    // What a child ended with stands in its parent's history.
    let main = home.run(&["sessions", "history", "sess_main"]);
    assert!(main.stdout.contains(&format!("< ok from {session}")), "{main:?}");
}

#[test]
fn a_prefix_of_several_and_a_session_of_nobody_are_refused() {
    let home = Home::new();
    home.start_gateway();
    // Ids are drawn, so some two share a beginning sooner or later, and soon.
    let several = loop {
        assert_eq!(home.run(&["spawn", "--runtime", "local", "--", "true"]).status, 0);
        let ids = home.sessions().into_iter().map(|(id, _)| id);
        let mut beginnings: Vec<String> = ids.map(|id| id[.."sess_".len() + 1].into()).collect();
        beginnings.sort();
        if let Some(pair) = beginnings.windows(2).find(|pair| pair[0] == pair[1]) {
            break pair[0].clone();
        }
    };
    for verb in ["show", "history", "kill"] {
        for several in [several.as_str(), &several["sess_".len()..]] {
            let said = home.run(&["sessions", verb, several]);
            assert_eq!(said.status, 1, "{said:?}");
            let clue = format!("'{several}' could be sess_");
            assert!(said.stderr.contains(&clue), "no {clue:?} in {said:?}");
        }
        for nobody in ["sess_nobody", "nobody", "%", "sess_%", "", "sess_", "agent:main:subagent:x"]
        {
            let said = home.run(&["sessions", verb, nobody]);
            assert_eq!(said.status, 1, "{nobody:?}: {said:?}");
            assert!(said.stderr.contains("there is no session"), "{nobody:?}: {said:?}");
            assert!(said.stderr.contains("try: hatchery sessions list"), "{said:?}");
        }
    }
}

#[test]
fn a_session_that_is_over_cannot_be_killed() {
    let home = Home::new();
    home.start_gateway();
    let said = home.run(&["spawn", "--json", "--runtime", "local", "--", "true"]);
    let session = said.json()["sessionId"].as_str().unwrap().to_owned();
    for session in [&session, "sess_main"] {
        let said = home.run(&["sessions", "kill", session]);
        assert_eq!(said.status, 1, "{said:?}");
        assert!(said.stderr.contains(session), "{said:?}");
    }
}

#[test]
fn sessions_outlive_the_gateway() {
    let home = Home::new();
    home.start_gateway();
    let said = home.run(&["spawn", "--json", "--", "echo", "kept"]);
    let session = said.json()["sessionId"].as_str().unwrap().to_owned();
    let before = home.ask(&["sessions", "list"]);
    assert_eq!(home.run(&["gateway", "stop"]).status, 0);
    assert_eq!(home.ask(&["sessions", "list"]), before);
    home.start_gateway();
    assert_eq!(home.ask(&["sessions", "list"]), before);
    assert_eq!(home.run(&["sessions", "history", &session]).stdout, "> echo kept\nkept\n< ok\n");
}

#[test]
fn the_agents_are_listed_with_what_they_are() {
    let home = Home::with_config(
        r#"{ acp: { allowedAgents: ["my-agent", "coder"] },
             agents: { entries: {
               coder: { runtime: { type: "acp", acp: { command: "coder --acp" } }, workspace: "/tmp" },
               idle: { model: "builtin/shell" } } } }"#,
        "",
    );
    for running in [false, true] {
        if running {
            home.start_gateway();
        }
        let said = home.run(&["agents", "list"]);
        assert_eq!(said.status, 0, "{said:?}");
        let rows: Vec<String> = said
            .stdout
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(
            rows,
            [
                "AGENT MODEL RUNS ACP WORKSPACE",
                "coder builtin/shell coder --acp allowed /tmp",
                "idle builtin/shell built-in agent not allowed",
                "main (default) builtin/shell built-in agent not allowed",
                "my-agent builtin/shell built-in agent allowed",
            ]
        );
        let listed = home.ask(&["agents", "list"]);
        assert_eq!(listed["defaultId"], "main");
    }
}

/// The origin of a key in a shown table, and its value.
fn setting(said: &Said, key: &str) -> Option<(String, String)> {
    let line = said.stdout.lines().find(|line| line.split_whitespace().next() == Some(key))?;
    let mut words = line.split("  ").map(str::trim).filter(|word| !word.is_empty()).skip(1);
    Some((words.next()?.to_owned(), words.next()?.to_owned()))
}

#[test]
fn settings_are_shown_with_their_origin_and_without_secrets() {
    let home = Home::with_config(
        "{\n  gateway: { auth: { token: \"very secret\" } },\n  acp: { maxConcurrentSessions: 3 },\n}",
        "{\n  gateway: {\n    bind: \"lan\", pairing: { internalSpawnBypass: false } },\n}",
    );
    for running in [false, true] {
        if running {
            home.start_gateway();
        }
        for show in [
            &["config", "show", "--merged"][..],
            &["gateway", "config", "show", "--merged"],
            &["config", "show"],
        ] {
            let said = home.run(show);
            assert_eq!(said.status, 0, "{said:?}");
            let found = |key: &str| setting(&said, key).unwrap_or_default();
            let pair = |value: &str, origin: &str| (value.to_owned(), origin.to_owned());
            assert_eq!(found("acp.maxConcurrentSessions"), pair("3", "hatchery.json:3"));
            assert_eq!(found("gateway.bind"), pair("\"lan\"", "gateway.json:3"));
            assert_eq!(
                found("gateway.auth.token"),
                pair("\"__OPENCLAW_REDACTED__\"", "hatchery.json:2")
            );
            assert!(!said.stdout.contains("very secret"));
            // A setting that changes nothing is shown, and explained.
            assert_eq!(
                found("gateway.pairing.internalSpawnBypass"),
                pair("false", "gateway.json:3")
            );
            assert!(said.stdout.contains("never pairs"), "{said:?}");
            let merged = show.contains(&"--merged");
            assert_eq!(setting(&said, "acp.enabled").is_some(), merged);
            if merged {
                assert_eq!(found("acp.enabled"), pair("true", "default"));
                let port = if running { pair("0", "--port") } else { pair("18789", "default") };
                assert_eq!(found("gateway.port"), port);
            }
        }
        let json = home.ask(&["config", "show"]);
        assert!(!json.to_string().contains("very secret"));
    }
}

#[test]
fn a_variable_is_shown_as_the_origin() {
    let home = Home::new();
    for (variable, value) in [
        ("HATCHERY_GATEWAY_PORT", "4711"),
        ("OPENCLAW_GATEWAY_PORT", "4711"),
        ("HATCHERY_GATEWAY_PASSWORD", "very secret"),
        ("OPENCLAW_INTERNAL_SPAWN_BYPASS", "0"),
    ] {
        let said =
            Said::from(home.command(&["config", "show"]).env(variable, value).output().unwrap());
        assert_eq!(said.status, 0, "{said:?}");
        assert!(said.stdout.contains(variable), "{said:?}");
        assert!(!said.stdout.contains("very secret"), "{said:?}");
    }
    let mut command = home.command(&["config", "show"]);
    let said = Said::from(command.env("HATCHERY_GATEWAY_PORT", "many").output().unwrap());
    assert_eq!(said.status, 78, "{said:?}");
    assert!(said.stderr.contains("HATCHERY_GATEWAY_PORT"), "{said:?}");
}

#[test]
fn the_log_tells_how_the_gateway_started() {
    for (exempt, word) in [(true, "enabled"), (false, "disabled")] {
        let home = Home::with_config(
            &format!(
                "{{ gateway: {{ pairing: {{ loopbackExempt: {exempt}, internalSpawnBypass: {exempt} }} }} }}"
            ),
            "",
        );
        home.start_gateway();
        let status = home.ask(&["gateway", "status"]);
        let port = status["address"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
        let said = home.run(&["gateway", "logs"]);
        for line in [
            format!("Gateway started on port {port}"),
            format!("Loopback pairing exemption: {word}"),
            "Internal spawn bypass: enabled".to_owned(),
        ] {
            assert!(said.stdout.contains(&line), "no {line:?} in {said:?}");
        }
    }
}

#[test]
fn the_log_has_no_secret_in_it() {
    let home = Home::with_config(
        "{ gateway: { auth: { token: 'very secret', password: 'as secret' } } }",
        "",
    );
    home.start_gateway();
    assert_eq!(home.run(&["spawn", "--", "true"]).status, 0);
    assert_eq!(home.run(&["gateway", "stop"]).status, 0);
    let log = std::fs::read_to_string(home.state_directory().join("gateway.log")).unwrap();
    assert!(log.contains("run finished") && !log.contains("secret"), "{log}");
}

#[test]
fn the_end_of_the_log_is_as_long_as_asked_and_can_be_followed() {
    let home = Home::new();
    // Nothing yet, which is no error.
    let said = home.run(&["gateway", "logs", "--tail", "5"]);
    assert_eq!((said.status, said.stdout.as_str()), (0, "Nothing has been logged yet\n"));

    home.start_gateway();
    for count in [0, 1, 2] {
        let said = home.run(&["gateway", "logs", "--tail", &count.to_string()]);
        assert_eq!((said.status, said.stdout.lines().count()), (0, count), "{said:?}");
    }
    let all = home.run(&["gateway", "logs"]).stdout;
    let last = home.run(&["gateway", "logs", "--tail", "1"]).stdout;
    assert!(all.ends_with(&last));

    let mut following = home
        .command(&["gateway", "logs", "--tail", "1", "--follow"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.next().unwrap(), last.trim_end());
    assert_eq!(home.run(&["spawn", "--runtime", "local", "--", "true"]).status, 0);
    assert!(lines.any(|line| line.contains("run finished")));
    // It goes on across an end of the gateway.
    assert_eq!(home.run(&["gateway", "restart", "--port", "0"]).status, 0);
    assert!(lines.any(|line| line.contains("Gateway stopped")));
    assert!(lines.any(|line| line.contains("Gateway started on port")));
    following.kill().unwrap();
    following.wait().unwrap();
}
