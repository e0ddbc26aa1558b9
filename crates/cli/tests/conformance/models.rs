//! A spawn whose agent asks a model: what is printed, how it fails, how it is stopped, and that the
//! key stays where it belongs.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::home::{Home, Said};
use crate::model_server::{ModelServer, Reply, Step};

const KEY: &str = "sk-never-to-be-seen-4711";

fn home(server: &ModelServer) -> Home {
    let base_url = server.base_url();
    let home = Home::new();
    home.configure(
        &format!(
            r#"{{ models: {{ providers: {{ mock: {{
                baseUrl: "{base_url}", apiKey: "{KEY}", models: [{{ id: "echo" }}, {{ id: "m" }}],
            }} }} }} }}"#
        ),
        "",
    );
    home
}

fn ask(home: &Home, words: &[&str]) -> Said {
    let command = ["spawn", "--runtime", "local", "--model", "mock/echo", "--"];
    home.run(&[&command[..], words].concat())
}

#[test]
fn a_model_answers_and_the_spawn_ends_well() {
    let server = ModelServer::start([]);
    let home = home(&server);
    let said = ask(&home, &["hello", "there"]);
    assert_eq!(said.status, 0, "{said:?}");
    assert_eq!(
        said.lines(),
        [
            "Spawning agent 'main' with runtime 'local'...",
            "Agent spawned successfully in session sess_*",
            "[sess_*] Executing task: hello there",
            "echo: hello there",
            "[sess_*] Task completed.",
        ]
    );
    let request = &server.requests()[0];
    assert_eq!(
        (request.path.as_str(), &request.body["model"]),
        ("/v1/chat/completions", &Value::from("echo"))
    );

    // What was said is kept.
    let (session, status) = home.sessions().remove(0);
    assert_eq!(status, "ok");
    let history = home.run(&["sessions", "history", &session]);
    assert!(history.stdout.contains("echo: hello there"), "{history:?}");
}

#[test]
fn the_configured_model_is_asked_where_none_is_named() {
    let server = ModelServer::start([]);
    let base_url = server.base_url();
    let home = Home::with_config(
        &format!(
            r#"{{ agents: {{ defaults: {{ model: {{ primary: "mock/default" }} }} }},
                 models: {{ providers: {{ mock: {{ baseUrl: "{base_url}" }} }} }} }}"#
        ),
        "",
    );
    let said = home.run(&["spawn", "--runtime", "local", "--json", "--", "hi"]);
    assert_eq!(said.status, 0, "{said:?}");
    assert_eq!(server.requests()[0].body["model"], "default");
    assert!(server.requests()[0].headers.iter().all(|(name, _)| name != "authorization"));
}

#[test]
fn openais_own_variables_are_enough() {
    let server = ModelServer::start([]);
    let home = Home::new();
    let mut command =
        home.command(&["spawn", "--runtime", "local", "--model", "openai/any", "--", "hi"]);
    command.env("OPENAI_API_KEY", KEY).env("OPENAI_BASE_URL", server.base_url());
    let said = Said::from(command.output().unwrap());
    assert_eq!(said.status, 0, "{said:?}");
    let bearer = ("authorization".to_owned(), format!("Bearer {KEY}"));
    assert!(server.requests()[0].headers.contains(&bearer));
}

#[test]
fn a_failure_of_the_provider_is_named_with_what_to_do() {
    let cases = [
        (
            Reply::error(401, "invalid_api_key", "wrong key"),
            "refused the key (401): wrong key; set models.providers.mock.apiKey",
        ),
        (Reply::error(402, "x", "no credit"), "wants to be paid first: no credit"),
        (Reply::error(404, "model_not_found", "what?"), "has no model `echo`"),
        (Reply::Steps(vec![Step::Head, Step::Finish("stop"), Step::Done]), "without a word"),
        (Reply::Steps(vec![Step::Head, Step::Text("half".into()), Step::End]), "broke off"),
    ];
    for (reply, words) in cases {
        let server = ModelServer::start([reply]);
        let home = home(&server);
        let said = ask(&home, &["hello"]);
        assert_eq!(said.status, 1, "{said:?}");
        assert!(said.stderr.contains("Task failed: ") && said.stderr.contains(words), "{said:?}");
        assert_eq!(home.sessions()[0].1, "failed");
    }
}

#[test]
fn a_model_nobody_configured_is_refused_before_anything_runs() {
    let server = ModelServer::start([]);
    let home = home(&server);
    let cases = [
        (["--runtime", "local", "--model", "other/x"], "no provider 'other'; known: mock"),
        (["--runtime", "local", "--model", "mock/x"], "no model 'x'; known: echo, m"),
        (["--runtime", "isolated", "--model", "mock/echo"], "use --runtime local"),
        (["--runtime", "acp", "--model", "mock/echo"], "use --runtime local"),
    ];
    for (flags, words) in cases {
        let said = home.run(&[&["spawn"], &flags[..], &["--", "hello"]].concat());
        assert_ne!(said.status, 0, "{said:?}");
        assert!(
            said.stderr.contains("MODEL_UNUSABLE") || said.stderr.contains("cannot be used"),
            "{said:?}"
        );
        assert!(said.stderr.contains(words), "{said:?}");
    }
    assert!(server.requests().is_empty());
}

#[test]
fn a_killed_run_lets_go_of_the_provider_and_keeps_what_came() {
    let server =
        ModelServer::start([Reply::Steps(vec![Step::Head, Step::Text("half".into()), Step::Hold])]);
    let home = home(&server);
    home.start_gateway();
    let said = home.run(&[
        "spawn",
        "--detach",
        "--runtime",
        "local",
        "--model",
        "mock/echo",
        "--json",
        "--",
        "hello",
    ]);
    let session = said.json()["sessionId"].as_str().unwrap().to_owned();
    server.wait_for_requests(1);
    crate::home::wait_until("the half answer is kept", || {
        home.run(&["sessions", "history", &session]).stdout.contains("half")
    });

    // In the middle of a request the key is in the gateway's memory and nowhere else.
    nowhere_in_processes(&home);

    let killed = home.run(&["sessions", "kill", &session]);
    assert_eq!(killed.status, 0, "{killed:?}");
    server.wait_for_leaving(1);
    let sessions = home.sessions();
    assert!(sessions.contains(&(session.clone(), "cancelled".to_owned())), "{sessions:?}");
    assert!(home.run(&["sessions", "history", &session]).stdout.contains("half"));
}

#[test]
fn a_key_is_in_no_file_of_ours_and_in_no_output() {
    let hostile = format!("the key {KEY} is wrong");
    let server = ModelServer::start([Reply::error(401, "x", &hostile), Reply::Echo]);
    let home = home(&server);
    home.start_gateway();
    for status in [1, 0] {
        let said = ask(&home, &["hello"]);
        assert_eq!(said.status, status, "{said:?}");
        assert!(!format!("{said:?}").contains(KEY), "{said:?}");
    }
    for words in [
        &["config", "show"][..],
        &["config", "show", "--json"],
        &["logs"],
        &["sessions", "list", "--json"],
    ] {
        let said = home.run(words);
        assert!(!format!("{said:?}").contains(KEY), "{said:?}");
    }
    let read = nowhere_below(&home.state_directory());
    assert!(read > 1, "the journal and the log are there");
}

/// Looks through every file; gives how many there are.
fn nowhere_below(directory: &Path) -> usize {
    let mut read = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            read += nowhere_below(&entry.path());
        } else if kind.is_file() {
            let bytes = fs::read(entry.path()).unwrap();
            let found = bytes.windows(KEY.len()).any(|window| window == KEY.as_bytes());
            assert!(!found, "the key is in {}", entry.path().display());
            read += 1;
        }
    }
    read
}

/// Looks at the arguments and the environment of every process of this home.
fn nowhere_in_processes(home: &Home) {
    let ours = home.path().to_str().unwrap().as_bytes();
    let mut looked_at = 0;
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let file = |name: &str| fs::read(process.path().join(name)).unwrap_or_default();
        let told = [file("cmdline"), file("environ")].concat();
        if told.windows(ours.len()).any(|window| window == ours) {
            looked_at += 1;
            assert!(!told.windows(KEY.len()).any(|window| window == KEY.as_bytes()));
        }
    }
    assert!(looked_at > 0, "the gateway is one of them");
}
