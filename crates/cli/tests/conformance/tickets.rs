//! Sub-agents of sub-agents, and what a child cannot do with the ticket it is given.

use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use hatchery_spawn::Event;
use hatchery_store::Store;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recv, recvmsg, send};
use serde_json::{Value, json};

use crate::home::{Home, Said, wait_until};
use crate::wire::Wire;

const DEEP: &str = "{ agents: { defaults: { subagents: { maxSpawnDepth: 2 } } } }";

/// The program that tries things; cargo builds it beside the tests.
fn probe() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests.ancestors().nth(2).unwrap().join("examples/ticket_probe")
}

/// Runs the probe inside a run and gives the gateway's answers.
fn probe_inside(home: &Home, words: &str) -> Vec<Value> {
    let line = format!("{} {words}", probe().display());
    let said = home.run(&["spawn", "--runtime", "local", "--", &line]);
    let answers = said.stdout.lines().filter_map(|line| serde_json::from_str(line).ok());
    let answers: Vec<Value> = answers.collect();
    assert!(!answers.is_empty(), "{said:?}");
    answers
}

fn code(answer: &Value) -> &str {
    answer["error"]["details"]["code"].as_str().unwrap_or("none")
}

/// The refusals the journal holds, the oldest first. The gateway has to be down.
fn journalled_refusals(home: &Home) -> Vec<String> {
    let store = Store::open(&home.state_directory(), 0).unwrap();
    let events = store.events_of_kind("refused", 100).unwrap();
    let codes = events.into_iter().rev().map(|event| match event {
        Event::Refused { code, .. } => code,
        other => panic!("{other:?}"),
    });
    codes.collect()
}

fn end(home: &Home) -> Vec<String> {
    assert_eq!(home.run(&["gateway", "stop"]).status, 0);
    journalled_refusals(home)
}

#[test]
fn a_child_neither_speaks_nor_listens_in_sessions() {
    let home = Home::new();
    home.start_gateway();
    let mut owner = Wire::greeted(&home);
    let said = json!({"sessionKey": "main", "message": "sleep 100", "idempotencyKey": "owners"});
    assert_eq!(owner.ask("chat.send", said)["ok"], true);
    let answers = probe_inside(&home, "talk");
    let codes: Vec<&str> = answers.iter().map(code).collect();
    assert_eq!(
        codes[..8],
        [
            "NO_SUCH_SESSION",
            "TURN_BY_RUN",
            "TURN_BY_RUN",
            "NO_SUCH_SESSION",
            "NO_SUCH_SESSION",
            "MISSING_SCOPE",
            "NOT_FOR_RUNS",
            "NOT_FOR_RUNS",
        ]
    );
    assert_eq!(answers[8]["payload"]["aborted"], false);
    assert_eq!(answers[9]["payload"]["messages"], json!([]));
    assert_eq!(answers[10]["payload"]["status"], "timeout");
    // The owner's turn goes on.
    let stopped = owner.ask("chat.abort", json!({"sessionKey": "main"}));
    assert_eq!(stopped["payload"]["runIds"], json!(["owners"]));
}

#[test]
fn a_child_starts_a_grandchild_where_the_depth_allows_it() {
    for runtime in ["local", "isolated", "acp"] {
        let home = Home::with_config(DEEP, "");
        home.start_gateway();
        let said =
            home.run(&["spawn", "--runtime", runtime, "--", "hatchery spawn -- echo from below"]);
        assert_eq!(said.status, 0, "{said:?}");
        assert!(said.stdout.lines().any(|line| line == "from below"), "{said:?}");
        let tree = home.run(&["sessions", "list", "--tree"]);
        let places: Vec<String> = tree.lines().iter().skip(1).map(|line| place(line)).collect();
        assert_eq!(places, ["sess_main", "└─ sess_*", "   └─ sess_*"], "{tree:?}");
    }
}

/// The part of a line up to the end of the session id.
fn place(line: &str) -> String {
    let words: Vec<&str> = line.splitn(2, "sess_").collect();
    let id = words[1].split_whitespace().next().unwrap();
    format!("{}sess_{id}", words[0])
}

#[test]
fn a_child_at_the_deepest_level_is_refused_with_the_rule() {
    let home = Home::new();
    let said = home.run(&["spawn", "--", "hatchery spawn -- echo from below"]);
    assert_eq!(said.status, 1, "{said:?}");
    assert!(
        said.stderr.contains("agents.defaults.subagents.maxSpawnDepth, which is 1"),
        "{said:?}"
    );
    assert!(said.stderr.contains("set agents.defaults.subagents.maxSpawnDepth to 2"), "{said:?}");
    assert!(!said.stdout.contains("\nfrom below"), "{said:?}");
}

#[test]
fn many_commands_of_one_child_each_get_a_ticket() {
    let home = Home::with_config(DEEP, "");
    let line = "for i in 1 2 3 4 5; do hatchery spawn --runtime local -- echo got $i & done; wait; \
                for i in 6 7 8; do hatchery spawn --runtime local -- echo got $i; done";
    let said = home.run(&["spawn", "--runtime", "local", "--", line]);
    assert_eq!(said.status, 0, "{said:?}");
    for number in 1..=8 {
        let wanted = format!("got {number}");
        assert!(said.stdout.lines().any(|line| line == wanted), "{wanted}: {said:?}");
    }
}

#[test]
fn what_an_isolated_run_starts_cannot_leave_isolation() {
    let home = Home::with_config(DEEP, "");
    let said = home.run(&["spawn", "--", "hatchery spawn --runtime local -- echo out"]);
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.stderr.contains("would not be"), "{said:?}");
}

#[test]
fn lineage_cannot_be_forged_and_the_owners_methods_stay_closed() {
    let home = Home::with_config(DEEP, "");
    home.start_gateway();
    let answers = probe_inside(&home, "forge");
    let (hello, rest) = answers.split_first().unwrap();
    assert_eq!(hello["ok"], true);
    let (forged, rest) = rest.split_at(7);
    for answer in forged {
        assert_eq!(answer["error"]["code"], "INVALID_REQUEST", "{answer}");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains("unknown field"), "{message}");
    }
    let codes: Vec<&str> = rest.iter().map(code).collect();
    assert_eq!(codes, ["OUTSIDE_WORKSPACE", "MISSING_SCOPE", "NOT_FOR_RUNS", "NO_SUCH_SESSION"]);
    // None of it started anything: there is the main session and the probe's own.
    assert_eq!(home.sessions().len(), 2);
}

#[test]
fn a_ticket_is_good_once() {
    let home = Home::new();
    home.start_gateway();
    let answers = probe_inside(&home, "twice");
    assert_eq!(answers[0]["ok"], true);
    assert_eq!(code(&answers[1]), "TICKET_USED");
    assert_eq!(end(&home), ["TICKET_USED"]);
}

#[test]
fn a_child_without_its_ticket_is_not_taken_for_the_owner() {
    let home = Home::new();
    home.start_gateway();
    let answers = probe_inside(&home, "bare");
    assert_eq!(code(&answers[0]), "TICKET_REQUIRED");
    let said = home.run(&[
        "spawn",
        "--runtime",
        "local",
        "--",
        "env -u HATCHERY_TICKET_FD hatchery gateway stop",
    ]);
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.stderr.contains("ticket"), "{said:?}");
    assert_eq!(end(&home), ["TICKET_REQUIRED", "TICKET_REQUIRED"]);
}

#[test]
fn a_ticket_is_worth_nothing_to_another_process_or_after_its_run() {
    let home = Home::new();
    home.start_gateway();
    let hold = format!("{} hold ticket", probe().display());
    let said = home.run(&["spawn", "--detach", "--json", "--runtime", "local", "--", &hold]);
    let session = said.json()["sessionId"].as_str().unwrap().to_owned();
    let ticket = home.wait_for_file("ticket");
    assert!(ticket.len() > 100);

    let elsewhere = show(&home);
    assert_eq!(code(&elsewhere), "TICKET_WRONG_PROCESS");
    // Another run is another process too.
    let file = home.path().join("ticket");
    let inside_another = probe_inside(&home, &format!("show {}", file.display()));
    assert_eq!(code(&inside_another[0]), "TICKET_WRONG_PROCESS");

    assert_eq!(home.run(&["sessions", "kill", &session]).status, 0);
    assert_eq!(code(&show(&home)), "TICKET_RUN_ENDED");
    assert_eq!(end(&home), ["TICKET_WRONG_PROCESS", "TICKET_WRONG_PROCESS", "TICKET_RUN_ENDED"]);
}

/// Shows the ticket in the file from a process of the owner's, outside of every run.
fn show(home: &Home) -> Value {
    let socket = home.state_directory().join("gateway.sock");
    let output = std::process::Command::new(probe())
        .arg("show")
        .arg(home.path().join("ticket"))
        .arg(socket)
        .output()
        .unwrap();
    Said::from(output).json()
}

#[test]
fn a_connection_that_was_given_away_ends_with_its_run() {
    let home = Home::new();
    home.start_gateway();
    let path = home.path().join("accomplice");
    let accomplice = UnixListener::bind(&path).unwrap();
    let line = format!("{} give {}", probe().display(), path.display());
    let receipt = home.run(&["spawn", "--detach", "--json", "--runtime", "local", "--", &line]);
    let session = receipt.json()["sessionId"].as_str().unwrap().to_owned();
    let (child, _) = accomplice.accept().unwrap();
    let given = receive_descriptor(&child);

    let ask = |method: &str| {
        let request = format!("{{\"type\":\"req\",\"id\":\"2\",\"method\":\"{method}\"}}\n");
        let mut answer = [0; 4096];
        match send(given, request.as_bytes(), MsgFlags::MSG_NOSIGNAL) {
            Ok(_) => {
                let length = recv(given, &mut answer, MsgFlags::empty()).unwrap_or(0);
                String::from_utf8_lossy(&answer[..length]).into_owned()
            }
            Err(_) => String::new(),
        }
    };
    // As long as the run lives it is the run's, whoever holds it.
    assert!(ask("health").contains("\"ok\":true"));
    assert!(ask("gateway.stop").contains("MISSING_SCOPE"));
    assert_eq!(home.run(&["sessions", "kill", &session]).status, 0);
    wait_until("the connection is closed", || ask("health").is_empty());
}

fn receive_descriptor(from: &UnixStream) -> RawFd {
    let mut word = [0; 4096];
    let mut space = nix::cmsg_space!([RawFd; 1]);
    let mut parts = [IoSliceMut::new(&mut word)];
    let message =
        recvmsg::<()>(from.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::empty()).unwrap();
    let descriptors: Vec<_> = message
        .cmsgs()
        .unwrap()
        .flat_map(|control| match control {
            ControlMessageOwned::ScmRights(descriptors) => descriptors,
            _ => Vec::new(),
        })
        .collect();
    descriptors[0]
}

#[test]
fn a_child_that_kills_its_keeper_dies_and_never_becomes_the_owner() {
    // An ordinary user's local run is in no namespace; elsewhere nobody can reach the keeper.
    for (runtime, home) in [
        ("local", Home::new().for_ordinary_user()),
        ("local", Home::new()),
        ("isolated", Home::new()),
    ] {
        let own_probe = home.path().join("probe");
        let mut copying = std::process::Command::new("cp");
        assert!(copying.arg(probe()).arg(&own_probe).status().unwrap().success());
        home.start_gateway();
        // A daemon in a session of its own, two forks away, that asks as soon as it has no keeper.
        let daemon = format!(
            "echo $$ > daemon; while kill -0 $0 2> /dev/null; do :; done; \
             while :; do {} bare >> answers; done",
            own_probe.display()
        );
        let line = format!(
            "(setsid sh -c '{daemon}' $PPID > /dev/null 2>&1 &); \
             while [ ! -s daemon ]; do :; done; kill -9 $PPID; sleep 0.1; echo in vain"
        );
        let said = home.run(&["spawn", "--runtime", runtime, "--", &line]);
        let in_vain = said.status == 0 && said.stdout.contains("\nin vain\n");
        let killed = said.status == 1 && said.stderr.contains("keeper");
        assert!(in_vain || killed, "{said:?}");
        home.wait_for_file("daemon");
        assert_eq!(commands_of(&home), Vec::<String>::new(), "{runtime}: it outlived its run");
        let answers = std::fs::read_to_string(home.path().join("answers")).unwrap_or_default();
        assert!(!answers.contains("hello-ok"), "{runtime}: {answers}");
    }
}

#[test]
fn no_ticket_is_ever_on_disk_in_arguments_or_in_the_log() {
    let home = Home::new();
    home.start_gateway();
    let hold = format!("{} hold ticket; true", probe().display());
    let said = home.run(&["spawn", "--detach", "--json", "--", &hold]);
    let session = said.json()["sessionId"].as_str().unwrap().to_owned();
    let ticket = home.wait_for_file("ticket");
    // The beginning of every ticket is the same format header; its end is its own signature.
    let own = &ticket[ticket.len() - 40..];
    for pid in processes() {
        let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        for place in [arguments, environment] {
            assert!(!String::from_utf8_lossy(&place).contains(own), "process {pid} shows it");
        }
    }
    assert_eq!(home.run(&["sessions", "kill", &session]).status, 0);
    assert_eq!(home.run(&["gateway", "stop"]).status, 0);
    for file in std::fs::read_dir(home.state_directory()).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            assert!(!contains(&bytes, own.as_bytes()), "{} holds it", path.display());
        }
    }
}

/// The processes of this home's runs that are there and no zombies.
fn commands_of(home: &Home) -> Vec<String> {
    let home = home.path().to_str().unwrap();
    let belongs = |pid: &String| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        contains(&environment, b"HATCHERY_SESSION=") && contains(&environment, home.as_bytes())
    };
    processes().into_iter().filter(belongs).collect()
}

fn processes() -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap();
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).collect()
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}
