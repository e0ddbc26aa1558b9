//! Lists, limits and deadlines: each holds, says which it is, and says what to do.

use std::process::{Child, Command};

use crate::home::{Home, ITSELF, Said, is_alive, wait_until};

/// The command a refusal offers.
fn remedy(said: &Said) -> String {
    let line = said.stderr.lines().find_map(|line| line.trim().strip_prefix("try: "));
    line.unwrap_or_else(|| panic!("no remedy in {said:?}")).to_owned()
}

/// Pastes a line into a shell that finds `hatchery`.
fn paste(home: &Home, line: &str) -> Said {
    let program = home.command(&[]);
    let directory = std::path::Path::new(program.get_program()).parent().unwrap().to_owned();
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", directory.display());
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).env_clear().env("HOME", home.path()).env("PATH", path);
    Said::from(shell.current_dir(home.path()).output().unwrap())
}

fn spawn_as(home: &Home, agent: &str) -> Said {
    home.run(&["spawn", "--agent", agent, "--runtime", "acp", "--", "echo", "hello"])
}

#[test]
fn an_agent_that_is_not_allowed_is_refused_with_the_command_that_allows_it() {
    let list = r#"{
  // those we trust
  acp: { allowedAgents: ["my-agent", "analysis-agent"] },
}"#;
    for (hatchery_json, gateway_json) in [(list, ""), ("", list), ("{}", list)] {
        for running in [false, true] {
            let home = Home::with_config(hatchery_json, gateway_json);
            if running {
                home.start_gateway();
            }
            let said = spawn_as(&home, "nobody");
            assert_eq!(said.status, 7, "{said:?}");
            for clue in ["'nobody'", "acp.allowedAgents", "my-agent", "analysis-agent"] {
                assert!(said.stderr.contains(clue), "no {clue} in {said:?}");
            }
            let pasted = paste(&home, &remedy(&said));
            assert_eq!(pasted.status, 0, "{pasted:?}");
            let said = spawn_as(&home, "nobody");
            assert_eq!(said.status, 0, "{said:?}");
            assert_eq!(spawn_as(&home, "my-agent").status, 0);
            assert_eq!(spawn_as(&home, "nobody-else").status, 7);
            // What the owner wrote is still there, and the list is still where it was.
            let file = if hatchery_json == list { "hatchery.json" } else { "gateway.json" };
            let text = std::fs::read_to_string(home.config_directory().join(file)).unwrap();
            assert!(text.contains("// those we trust") && text.contains("nobody"), "{text}");
        }
    }
}

#[test]
fn the_refusal_of_an_agent_is_the_same_as_json() {
    let home = Home::with_seed_config();
    let words = ["spawn", "--json", "--agent", "nobody", "--runtime", "acp", "--", "true"];
    let said = home.run(&words);
    assert_eq!(said.status, 7, "{said:?}");
    let error = &said.json()["error"];
    assert_eq!(error["details"]["code"], "AGENT_NOT_ALLOWED");
    assert_eq!(error["details"]["rule"], "acp.allowedAgents");
    assert_eq!(error["details"]["remedy"], "hatchery agents allow nobody");
    // Nothing was started, and nothing is left of it.
    assert_eq!(home.sessions().len(), 1);
}

#[test]
fn an_agent_nobody_knows_is_refused_in_every_runtime_and_can_be_allowed() {
    for runtime in ["local", "isolated", "acp"] {
        let home = Home::new();
        let words = ["spawn", "--agent", "nobody", "--runtime", runtime, "--", "true"];
        let said = home.run(&words);
        assert_eq!(said.status, 7, "{said:?}");
        let pasted = paste(&home, &remedy(&said));
        assert_eq!(pasted.status, 0, "{pasted:?}");
        let said = home.run(&words);
        assert_eq!(said.status, 0, "{runtime}: {said:?}");
    }
}

#[test]
fn acp_can_be_switched_off() {
    let home = Home::with_config("{ gateway: { port: 0 }, acp: { enabled: false } }", "");
    let said = home.run(&["spawn", "--runtime", "acp", "--", "true"]);
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.stderr.contains("acp.enabled"), "{said:?}");
    assert_eq!(home.run(&["spawn", "--runtime", "isolated", "--", "true"]).status, 0);
}

/// A run that says in a file which process it is, and goes on until it is stopped.
fn lasting(home: &Home, name: &str, runtime: &str) -> (Child, i32) {
    let task = format!("echo {ITSELF} > {name}.pid; exec sleep 600");
    let child = home.begin(&["spawn", "--label", name, "--runtime", runtime, "--", &task]);
    (child, home.process_in(&format!("{name}.pid")))
}

fn with_status(home: &Home, status: &str) -> Vec<String> {
    let sessions = home.sessions().into_iter();
    sessions.filter(|(_, of_session)| of_session == status).map(|(id, _)| id).collect()
}

fn a_third_session_is_refused(home: &Home) {
    let (first, first_pid) = lasting(home, "first", "acp");
    let (second, second_pid) = lasting(home, "second", "isolated");
    for runtime in ["acp", "isolated"] {
        let said = home.run(&["spawn", "--runtime", runtime, "--", "true"]);
        assert_eq!(said.status, 65, "{said:?}");
        assert!(said.stderr.contains("acp.maxConcurrentSessions"), "{said:?}");
        assert!(said.stderr.contains("try: "), "{said:?}");
    }
    // The limit is one of ACP sessions.
    let said = home.run(&["spawn", "--runtime", "local", "--", "true"]);
    assert_eq!(said.status, 0, "{said:?}");
    // A place that is given back can be taken.
    let running = with_status(home, "running");
    assert_eq!(running.len(), 2);
    assert_eq!(home.run(&["sessions", "kill", &running[0]]).status, 0);
    assert!(!is_alive(second_pid) && is_alive(first_pid));
    assert_eq!(second.wait_with_output().unwrap().status.code(), Some(130));
    let said = home.run(&["spawn", "--runtime", "acp", "--", "true"]);
    assert_eq!(said.status, 0, "{said:?}");
    assert_eq!(home.run(&["sessions", "kill", &running[1]]).status, 0);
    assert_eq!(first.wait_with_output().unwrap().status.code(), Some(130));
    assert!(!is_alive(first_pid));
}

const TWO_SESSIONS: &str = "{ gateway: { port: 0 }, acp: { maxConcurrentSessions: 2 } }";

#[test]
fn a_third_session_is_refused_by_a_running_gateway() {
    let home = Home::with_config(TWO_SESSIONS, "");
    home.start_gateway();
    a_third_session_is_refused(&home);
}

#[test]
fn a_third_session_is_refused_by_a_hosting_command() {
    a_third_session_is_refused(&Home::with_config("", TWO_SESSIONS));
}

#[test]
fn runs_beyond_the_concurrent_ones_wait_for_their_turn() {
    let home = Home::with_config(
        "{ gateway: { port: 0 }, agents: { defaults: { subagents: { maxConcurrent: 2 } } } }",
        "",
    );
    home.start_gateway();
    let (first, _) = lasting(&home, "first", "local");
    let (second, _) = lasting(&home, "second", "acp");
    let third = home.begin(&["spawn", "--runtime", "isolated", "--", "echo", "my turn"]);
    wait_until("the third waits", || home.ask(&["gateway", "status"])["runs"]["queued"] == 1);
    let status = home.ask(&["gateway", "status"]);
    assert_eq!((&status["runs"]["atWork"], &status["runs"]["live"]), (&2.into(), &3.into()));
    assert_eq!(with_status(&home, "accepted").len(), 1);
    // One that waits can be stopped, and never begins.
    let fourth = home.begin(&["spawn", "--runtime", "local", "--", "echo > fourth"]);
    wait_until("the fourth waits", || with_status(&home, "accepted").len() == 2);
    let newest = with_status(&home, "accepted").remove(0);
    assert_eq!(home.run(&["sessions", "kill", &newest]).status, 0);
    assert_eq!(fourth.wait_with_output().unwrap().status.code(), Some(130));
    assert!(!home.path().join("fourth").exists());

    for session in &with_status(&home, "running")[..1] {
        assert_eq!(home.run(&["sessions", "kill", session]).status, 0);
    }
    let said = Said::from(third.wait_with_output().unwrap());
    assert_eq!((said.status, said.lines()[3].as_str()), (0, "my turn"), "{said:?}");
    for session in with_status(&home, "running") {
        assert_eq!(home.run(&["sessions", "kill", &session]).status, 0);
    }
    for child in [first, second] {
        assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
    }
}

#[test]
fn a_deadline_ends_the_run_and_keeps_what_it_said() {
    let home = Home::new();
    home.start_gateway();
    for runtime in ["local", "isolated", "acp"] {
        // One child of it ignores the polite request, another has a session of its own.
        let task = format!(
            "echo partial words; (trap '' TERM; echo {ITSELF} > {runtime}.pid; sleep 600; sleep 600) & \
             setsid sh -c 'echo {ITSELF} > {runtime}.other; exec sleep 600' & wait; sleep 600"
        );
        let child = home.begin(&["spawn", "--runtime", runtime, "--timeout", "1s", "--", &task]);
        let pids: Vec<i32> =
            ["pid", "other"].map(|file| home.process_in(&format!("{runtime}.{file}"))).into();
        let said = Said::from(child.wait_with_output().unwrap());
        assert_eq!(said.status, 1, "{said:?}");
        assert!(said.stderr.contains("Task timed_out"), "{said:?}");
        assert!(said.stdout.contains("partial words\n"), "{said:?}");
        for pid in pids {
            assert!(!is_alive(pid), "{runtime}");
        }
        let (session, status) = home.sessions().remove(0);
        assert_eq!(status, "timed_out");
        let history = home.run(&["sessions", "history", &session]);
        assert!(history.stdout.contains("partial words\n< timed_out"), "{history:?}");
    }
}

#[test]
fn the_deadline_may_stand_in_the_settings_and_be_lifted_by_the_command() {
    let home = Home::with_config(
        "{ gateway: { port: 0 }, agents: { defaults: { subagents: { runTimeoutSeconds: 1 } } } }",
        "",
    );
    let said = home.run(&["spawn", "--", "exec sleep 600"]);
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.stderr.contains("timed_out"), "{said:?}");
    let said = home.run(&["spawn", "--timeout", "0", "--", "sleep 1.2; echo done"]);
    assert_eq!((said.status, said.lines()[3].as_str()), (0, "done"), "{said:?}");
}

#[test]
fn parents_that_wait_for_their_children_do_not_block_each_other() {
    let home = Home::with_config(
        "{ agents: { defaults: { subagents: { maxSpawnDepth: 3, maxConcurrent: 1 } } } }",
        "",
    );
    let line = "hatchery spawn -- 'hatchery spawn -- echo from the third'";
    let said = home.run(&["spawn", "--", line]);
    assert_eq!(said.status, 0, "{said:?}");
    assert!(said.stdout.contains("\nfrom the third\n"), "{said:?}");
}

#[test]
fn the_first_agent_on_an_empty_list_shuts_nobody_out() {
    let home = Home::with_config("{ agents: { entries: { writer: {} } } }", "");
    let as_agent = |agent: &str| {
        home.run(&["spawn", "--agent", agent, "--runtime", "acp", "--", "true"]).status
    };
    assert_eq!([as_agent("main"), as_agent("writer"), as_agent("new")], [0, 0, 7]);
    assert_eq!(home.run(&["agents", "allow", "new"]).status, 0);
    assert_eq!([as_agent("main"), as_agent("writer"), as_agent("new")], [0, 0, 0]);
}
