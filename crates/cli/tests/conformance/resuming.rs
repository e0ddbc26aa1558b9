//! What goes on after a crash of the gateway: what had not begun begins, what can be told to go on
//! goes on once, and nothing is done twice.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::home::{Home, is_alive, wait_until};
use crate::model_server::{ModelServer, Reply, Step};

fn kill_hard(gateway: i32) {
    kill(Pid::from_raw(gateway), Signal::SIGKILL).unwrap();
    wait_until("the gateway is gone", || !is_alive(gateway));
}

fn detach(home: &Home, words: &[&str]) -> String {
    let receipt = home.run(&[&["spawn", "--detach", "--json"][..], words].concat());
    receipt.json()["sessionId"].as_str().unwrap_or_else(|| panic!("{receipt:?}")).to_owned()
}

fn status(home: &Home, session: &str) -> String {
    home.ask(&["sessions", "show", session])["run"]["status"].as_str().unwrap().to_owned()
}

/// How often the result of a session's run stands in the owner's inbox.
fn announced(home: &Home, session: &str) -> usize {
    let items = home.ask(&["sessions", "history", "sess_main"])["items"].clone();
    items.as_array().unwrap().iter().filter(|item| item["from"] == session).count()
}

#[test]
fn what_had_not_begun_begins_after_a_crash_and_after_a_stop_once_and_in_order() {
    for crash in [true, false] {
        let home =
            Home::with_config("{ agents: { defaults: { subagents: { maxConcurrent: 1 } } } }", "");
        let gateway = home.start_gateway();
        let first = detach(&home, &["--", "echo first >> done; sleep 1000"]);
        home.wait_for_file("done");
        let waiting = ["a", "b", "c"].map(|name| {
            detach(&home, &["--runtime", "local", "--", &format!("echo {name} >> done")])
        });
        if crash {
            kill_hard(gateway);
        } else {
            assert_eq!(home.run(&["gateway", "stop"]).status, 0);
            wait_until("the gateway is gone", || !is_alive(gateway));
        }
        home.start_gateway();
        for session in &waiting {
            wait_until("those that waited have run", || status(&home, session) == "ok");
            assert_eq!(announced(&home, session), 1);
        }
        assert_eq!(status(&home, &first), "interrupted");
        assert_eq!(announced(&home, &first), 1);
        let done = std::fs::read_to_string(home.path().join("done")).unwrap();
        assert_eq!(done, "first\na\nb\nc\n", "crash: {crash}");
    }
}

#[test]
fn a_command_without_a_gateway_begins_nothing_that_another_had_left() {
    let home =
        Home::with_config("{ agents: { defaults: { subagents: { maxConcurrent: 1 } } } }", "");
    let gateway = home.start_gateway();
    detach(&home, &["--", "sleep 1000"]);
    let waiting = detach(&home, &["--", "echo late >> done"]);
    kill_hard(gateway);
    assert_eq!(status(&home, &waiting), "interrupted");
    home.start_gateway();
    assert_eq!(announced(&home, &waiting), 1);
    assert!(!home.path().join("done").exists());
}

/// An answer that is never ended.
fn stuck(text: &str) -> Reply {
    Reply::Steps(vec![Step::Head, Step::Text(text.to_owned()), Step::Hold])
}

#[test]
fn a_question_to_a_model_is_asked_again_once_and_its_half_answer_is_not_kept_for_whole() {
    for (replies, crashes, ends, tail) in [
        (vec![stuck("half an "), Reply::Echo], 1, "ok", "echo: why?"),
        (vec![stuck("half an "), stuck("and a third")], 2, "interrupted", "and a third"),
    ] {
        let server = ModelServer::start(replies);
        let home = Home::new();
        let base_url = server.base_url();
        let models = format!(
            r#"{{ models: {{ providers: {{ mock: {{
                baseUrl: "{base_url}", apiKey: "k", models: [{{ id: "echo" }}] }} }} }} }}"#
        );
        home.configure(&models, "");
        let mut gateway = home.start_gateway();
        let words = ["--runtime", "local", "--model", "mock/echo", "--", "why?"];
        let session = detach(&home, &words);
        for crash in 1..=crashes {
            server.wait_for_requests(crash);
            let says =
                |text: &str| home.run(&["sessions", "history", &session]).stdout.contains(text);
            wait_until("half of an answer is there", || {
                says(if crash == 2 { "and a third" } else { "half" })
            });
            kill_hard(gateway);
            gateway = home.start_gateway();
        }
        wait_until("the run is over", || status(&home, &session) == ends);
        let shown = home.ask(&["sessions", "show", &session]);
        let said = shown["run"]["outcome"]["tail"].as_str().unwrap().to_owned();
        assert!(said.ends_with(tail), "{shown}");
        assert_eq!(announced(&home, &session), 1);
    }
}

/// An agent over ACP that keeps its one session and never ends its first turn. It writes down what
/// it is asked.
const KEEPER_OF_SESSIONS: &str = r#"
answer() { printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$1"; }
say() {
  printf '{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"kept","update":{"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"%s"}}}}\n' "$1"
}
while read -r line; do
  id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
  case "$line" in
    *'"initialize"'*) answer '{"protocolVersion":1,"agentCapabilities":{"loadSession":true}}' ;;
    *'"session/new"'*) echo new >> asked; answer '{"sessionId":"kept"}' ;;
    *'"session/load"'*) echo load >> asked; say 'what was before'; answer '{}' ;;
    *'"session/prompt"'*)
      echo prompt >> asked
      if [ "$(grep -c prompt asked)" -eq 1 ]; then say 'begun '; else
        say 'and done'; answer '{"stopReason":"end_turn"}'
      fi ;;
    *'"id"'*) answer '{}' ;;
  esac
done
"#;

#[test]
fn an_agent_that_keeps_its_sessions_is_told_to_go_on_and_not_asked_again() {
    let home = Home::new();
    let script = home.path().join("agent.sh");
    std::fs::write(&script, KEEPER_OF_SESSIONS).unwrap();
    let agents = format!(
        r#"{{ agents: {{ entries: {{ keeper: {{ runtime: {{ type: "acp",
            acp: {{ command: ["sh", "{}"] }} }} }} }} }} }}"#,
        script.display()
    );
    home.configure(&agents, "");
    let gateway = home.start_gateway();
    let session = detach(&home, &["--agent", "keeper", "--runtime", "acp", "--", "build it"]);
    wait_until("it has begun", || {
        home.run(&["sessions", "history", &session]).stdout.contains("begun")
    });
    kill_hard(gateway);
    home.start_gateway();
    wait_until("it is done", || status(&home, &session) == "ok");
    let shown = home.ask(&["sessions", "show", &session]);
    // What it had said before the crash is its answer's beginning; what it played back is not.
    assert_eq!(shown["run"]["outcome"]["tail"], "begun and done");
    let asked = std::fs::read_to_string(home.path().join("asked")).unwrap();
    assert_eq!(asked, "new\nprompt\nload\nprompt\n");
    assert_eq!(announced(&home, &session), 1);
}
