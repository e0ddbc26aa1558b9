//! A spawn depends on nothing but the gateway: not on the runtime, the user, the network, the
//! pairing or the auth mode.

use std::net::{TcpListener, TcpStream};
use std::thread;

use crate::home::Home;

const RUNTIMES: [&str; 4] = ["local", "subagent", "isolated", "acp"];

/// Settings that have nothing to do with a spawn, the contents of `hatchery.json`.
const SETTINGS: [&str; 7] = [
    "{ gateway: { port: 0 } }",
    "{ gateway: { port: 0 }, security: { enforcePairing: true } }",
    "{ gateway: { port: 0, pairing: { loopbackExempt: false, internalSpawnBypass: false } } }",
    "{ gateway: { port: 0, bind: 'lan' } }",
    "{ gateway: { port: 0, auth: { mode: 'token', token: 'a token' } } }",
    "{ gateway: { port: 0, auth: { mode: 'password', password: 'a password' } } }",
    "{ gateway: { port: 0, auth: { mode: 'none' } } }",
];

/// Spawns in every runtime and looks at all that is said.
fn every_runtime_works(home: &Home, circumstances: &str) {
    for runtime in RUNTIMES {
        let said = home.run(&["spawn", "--runtime", runtime, "--", "echo", "hello"]);
        assert_eq!(said.status, 0, "{runtime}, {circumstances}: {said:?}");
        let named = if runtime == "subagent" { "local" } else { runtime };
        assert_eq!(
            said.lines(),
            [
                &format!("Spawning agent 'main' with runtime '{named}'..."),
                "Agent spawned successfully in session sess_*",
                "[sess_*] Executing task: echo hello",
                "hello",
                "[sess_*] Task completed. Exit code: 0",
            ],
            "{circumstances}"
        );
    }
}

fn hosted(make: impl Fn(&str) -> Home) {
    for settings in SETTINGS {
        let home = make(settings);
        every_runtime_works(&home, settings);
        assert_eq!(home.sessions().len(), RUNTIMES.len() + 1, "{settings}");
    }
}

fn through_a_running_gateway(make: impl Fn(&str) -> Home) {
    for settings in SETTINGS {
        let home = make(settings);
        let said = home.run(&["gateway", "start"]);
        assert_eq!(said.status, 0, "{settings}: {said:?}");
        every_runtime_works(&home, settings);
        let status = home.ask(&["gateway", "status"]);
        assert_eq!((&status["hosted"], &status["tcpAccepted"]), (&false.into(), &0.into()));
    }
}

#[test]
fn a_hosted_spawn_works_under_all_settings() {
    hosted(|settings| Home::with_config(settings, ""));
}

#[test]
fn a_hosted_spawn_works_for_an_ordinary_user_under_all_settings() {
    hosted(|settings| Home::with_config(settings, "").for_ordinary_user());
}

#[test]
fn a_spawn_through_a_running_gateway_works_under_all_settings() {
    through_a_running_gateway(|settings| Home::with_config(settings, ""));
}

#[test]
fn a_spawn_through_a_running_gateway_works_for_an_ordinary_user_under_all_settings() {
    through_a_running_gateway(|settings| Home::with_config(settings, "").for_ordinary_user());
}

#[test]
fn a_spawn_works_while_somebody_else_has_the_port() {
    let somebody_else = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = somebody_else.local_addr().unwrap().port();
    let settings = format!("{{ gateway: {{ port: {port} }} }}");
    let home = Home::with_config(&settings, "");
    every_runtime_works(&home, "the port is taken, hosted");
    home.start_gateway();
    every_runtime_works(&home, "the port is taken, with a gateway on another one");
    // Nobody so much as knocked at the other's door.
    somebody_else.set_nonblocking(true).unwrap();
    assert!(somebody_else.accept().is_err());
}

#[test]
fn the_seed_configuration_may_stand_in_either_file() {
    let agents = r#"{ acp: { enabled: true, allowedAgents: ["my-agent", "analysis-agent"] } }"#;
    let home = Home::with_config("", agents);
    for agent in ["my-agent", "analysis-agent"] {
        let said =
            home.run(&["spawn", "--agent", agent, "--runtime", "acp", "--", "echo", "hello"]);
        assert_eq!(said.status, 0, "{said:?}");
    }
}

#[test]
fn a_hundred_spawns_make_no_tcp_connection() {
    const AT_A_TIME: usize = 4;
    let home = Home::new();
    home.start_gateway();
    thread::scope(|scope| {
        for lane in 0..AT_A_TIME {
            let home = &home;
            scope.spawn(move || {
                for number in 0..100 / AT_A_TIME {
                    let runtime = RUNTIMES[(lane + number) % RUNTIMES.len()];
                    let said = home.run(&["spawn", "--runtime", runtime, "--", "true"]);
                    assert_eq!(said.status, 0, "{runtime}: {said:?}");
                }
            });
        }
    });
    let status = home.ask(&["gateway", "status"]);
    assert_eq!(status["tcpAccepted"], 0);
    // The counter does count.
    drop(TcpStream::connect(status["address"].as_str().unwrap()).unwrap());
    crate::home::wait_until("the connection is counted", || {
        home.ask(&["gateway", "status"])["tcpAccepted"] == 1
    });
}

#[test]
fn an_agent_can_be_any_acp_command() {
    for command in [
        r#"["hatchery", "agent"]"#,
        r#"["/usr/bin/env", "hatchery", "agent"]"#,
        r#""hatchery agent""#,
    ] {
        let settings = format!(
            r#"{{ gateway: {{ port: 0 }}, acp: {{ allowedAgents: ["x"] }},
                 agents: {{ entries: {{ x: {{ runtime: {{ type: "acp", acp: {{ command: {command} }} }} }} }} }} }}"#
        );
        let home = Home::with_config(&settings, "");
        let spawn = ["spawn", "--agent", "x", "--runtime", "acp", "--", "echo", "hello; exit 3"];
        for running in [false, true] {
            if running {
                home.start_gateway();
            }
            let said = home.run(&spawn);
            assert_eq!(said.status, 0, "{command}: {said:?}");
            assert_eq!(said.lines()[3], "hello; exit 3", "{command}: {said:?}");
            let said = home.run(&["spawn", "--agent", "x", "--runtime", "acp", "--", "exit 3"]);
            assert_eq!(said.status, 3, "{command}: {said:?}");
        }
        let list = home.ask(&["agents", "list"]);
        let agent = list["agents"].as_array().unwrap().iter().find(|a| a["id"] == "x").unwrap();
        let words: Vec<_> = agent["command"].as_array().unwrap().iter().collect();
        assert_eq!(words.last().unwrap().as_str(), Some("agent"));
    }
}

#[test]
fn a_command_that_speaks_no_acp_is_named() {
    for (command, clue) in [
        (r#"["cat", "/dev/null"]"#, "does not speak ACP"),
        (r#"["no-such-program-anywhere"]"#, "no-such-program-anywhere"),
    ] {
        let settings = format!(
            r#"{{ gateway: {{ port: 0 }},
                 agents: {{ entries: {{ x: {{ runtime: {{ type: "acp", acp: {{ command: {command} }} }} }} }} }} }}"#
        );
        let home = Home::with_config(&settings, "");
        home.start_gateway();
        let said = home.run(&["spawn", "--agent", "x", "--runtime", "acp", "--", "hello"]);
        assert_eq!(said.status, 1, "{said:?}");
        assert!(said.stderr.contains(clue), "{said:?}");
        assert_eq!(home.run(&["spawn", "--", "true"]).status, 0);
    }
}
