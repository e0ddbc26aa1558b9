//! Results that are also told elsewhere: until they are taken, or somebody has decided.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::device_wire::{DeviceWire, device, hello, signed};
use crate::home::{Home, Said, is_alive, wait_until};
use crate::receiver::{Crowd, Receiver, TAKEN};

const ANY_PORT: &str = "{ gateway: { port: 0 } }";

fn spawn(home: &Home, url: &str, task: &str) -> Said {
    home.run(&["spawn", "--json", "--runtime", "local", "--announce-to", url, "--", task])
}

fn tasks(home: &Home) -> Vec<Value> {
    home.ask(&["tasks", "list"])["tasks"].as_array().unwrap().clone()
}

fn wait_for_delivery(home: &Home, state: &str) {
    wait_until(&format!("the result is {state}"), || tasks(home)[0]["deliveryStatus"] == state);
}

#[test]
fn a_result_is_told_again_until_it_is_taken() {
    let receiver = Receiver::start([(500, "x: y", ""), (503, "x: y", "later"), TAKEN]);
    let home = Home::with_config(ANY_PORT, "");
    home.start_gateway();
    let url = receiver.url("/hooks/T01/B02/hunter2-hunter2?key=hunter3");
    let said = home.run(&[
        "spawn",
        "--json",
        "--runtime",
        "local",
        "--label",
        "night",
        "--announce-to",
        &url,
        "--",
        "echo partly; exit 3",
    ]);
    assert_eq!(said.status, 3, "{said:?}");
    let result = said.json();
    wait_until("it was tried three times", || receiver.letters().len() == 3);
    wait_for_delivery(&home, "delivered");
    let letters = receiver.letters();
    assert_eq!(letters.len(), 3);
    for letter in &letters {
        assert_eq!(letter.request, "POST /hooks/T01/B02/hunter2-hunter2?key=hunter3 HTTP/1.1");
        assert_eq!(letter.header("idempotency-key"), result["runId"].as_str().unwrap());
        assert_eq!(letter.header("content-type"), "application/json");
        assert!(letter.header("user-agent").starts_with("hatchery/"), "{letter:?}");
        assert_eq!(letter.body, letters[0].body);
    }
    let body = &letters[0].body;
    for (field, value) in [
        ("event", json!("run.finished")),
        ("runId", result["runId"].clone()),
        ("sessionId", result["sessionId"].clone()),
        ("agentId", json!("main")),
        ("label", json!("night")),
        ("status", result["status"].clone()),
        ("exitCode", json!(3)),
        ("result", json!("partly\n")),
        ("outputBytes", json!(7)),
        ("filesTouched", json!([])),
    ] {
        assert_eq!(body[field], value, "{field}: {body}");
    }
    assert!(body["sessionKey"].as_str().unwrap().starts_with("agent:main:subagent:"), "{body}");
    assert!(body["acceptedAtMs"].as_u64() <= body["endedAtMs"].as_u64(), "{body}");
    // What is secret of an address stands in no list and no log.
    let run = result["runId"].as_str().unwrap();
    let seen = [
        home.run(&["tasks", "list", "--json"]).stdout,
        home.run(&["tasks", "show", run, "--json"]).stdout,
        home.run(&["gateway", "logs"]).stdout,
    ];
    for text in seen {
        assert!(text.contains(run) && !text.contains("hunter"));
    }
}

#[test]
fn a_refusal_for_good_blocks_at_once_until_the_owner_decides() {
    let receiver = Receiver::start([(404, "x: y", "no such\n\u{1b}[31m hook key=abc")]);
    let home = Home::with_config(ANY_PORT, "");
    home.start_gateway();
    let first = spawn(&home, &receiver.url("/hook?key=abc"), "echo one").json();
    wait_for_delivery(&home, "blocked");
    let status = home.run(&["gateway", "status"]);
    assert!(status.stdout.contains("1 blocked: see hatchery tasks list --blocked"));
    let blocked = home.run(&["tasks", "list", "--blocked"]);
    let run = first["runId"].as_str().unwrap();
    for words in [&run[..8], "echo one", "404", "no such [31m hook [hidden]", "/hook?…"] {
        assert!(blocked.stdout.contains(words), "no {words} in {blocked:?}");
    }
    assert_eq!(receiver.letters().len(), 1);

    // It has changed its mind, and is asked again by the beginning of the run's name.
    receiver.answer([TAKEN]);
    let said = home.run(&["tasks", "retry", &run[..8]]);
    assert_eq!(said.status, 0, "{said:?}");
    wait_for_delivery(&home, "delivered");
    assert_eq!(receiver.letters().len(), 2);
    assert_eq!(home.run(&["tasks", "list", "--blocked"]).stdout, "No result is blocked\n");
    assert!(!home.run(&["gateway", "status"]).stdout.contains("blocked"));

    // What the owner dismisses is told to nobody, and decided once.
    receiver.answer([(410, "x: y", "")]);
    let second = spawn(&home, &receiver.url("/hook"), "echo two").json();
    wait_for_delivery(&home, "blocked");
    let said = home.run(&["tasks", "dismiss", "--all"]);
    assert_eq!(said.status, 0, "{said:?}");
    wait_for_delivery(&home, "dismissed");
    let session = second["sessionId"].as_str().unwrap();
    for verb in ["retry", "dismiss"] {
        let again = home.run(&["tasks", verb, session]);
        assert_eq!(again.status, 1, "{again:?}");
        assert!(again.stderr.contains("hatchery tasks list --blocked"), "{again:?}");
    }
    assert_eq!(receiver.letters().len(), 3);
    // The result itself is where it was.
    let history = home.run(&["sessions", "history", "sess_main"]).stdout;
    assert_eq!(history.matches("< ok from sess_").count(), 2, "{history}");
}

#[test]
fn blocked_results_survive_a_restart_and_are_decided_without_a_gateway_too() {
    let receiver = Receiver::start([(403, "x: y", "")]);
    let home = Home::with_config(ANY_PORT, "");
    // A gateway that stays is started for it.
    let said = spawn(&home, &receiver.url("/"), "echo hi");
    assert_eq!(said.status, 0, "{said:?}");
    assert!(said.stderr.contains("starting one in the background"), "{said:?}");
    wait_for_delivery(&home, "blocked");
    assert_eq!(home.run(&["gateway", "stop"]).status, 0);
    // Looking tells nobody anything.
    wait_for_delivery(&home, "blocked");
    assert_eq!(receiver.letters().len(), 1);
    receiver.answer([TAKEN]);
    let said = home.run(&["tasks", "retry", "--all"]);
    assert_eq!(said.status, 0, "{said:?}");
    wait_for_delivery(&home, "delivered");
    assert_eq!(receiver.letters().len(), 2);
    assert_eq!(home.run(&["gateway", "stop"]).status, 0);
    let dismissed = home.run(&["tasks", "dismiss", "--all"]);
    assert_eq!(dismissed.stdout, "No result is blocked\n", "{dismissed:?}");
    wait_for_delivery(&home, "delivered");
}

#[test]
fn a_result_that_was_not_told_yet_outlives_the_gateway() {
    let address = Receiver::address_of_nobody();
    let home = Home::with_config(ANY_PORT, "");
    let gateway = home.start_gateway();
    let result = spawn(&home, &format!("http://{address}/hook"), "echo kept").json();
    wait_until("it was tried in vain", || {
        tasks(&home)[0]["delivery"]["attempts"].as_u64() >= Some(1)
    });
    assert_eq!(tasks(&home)[0]["deliveryStatus"], "pending");
    kill(Pid::from_raw(gateway), Signal::SIGKILL).unwrap();
    wait_until("the gateway is gone", || !is_alive(gateway));
    let receiver = Receiver::start_at(address, [TAKEN]);
    home.start_gateway();
    wait_for_delivery(&home, "delivered");
    let letters = receiver.letters();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].header("idempotency-key"), result["runId"].as_str().unwrap());
    assert_eq!(letters[0].body["result"], "kept\n");
}

#[test]
fn no_more_results_are_sent_at_a_time_than_there_is_room_for() {
    let crowd = Crowd::start();
    let home = Home::with_config(ANY_PORT, "");
    home.start_gateway();
    for _ in 0..17 {
        assert_eq!(spawn(&home, &crowd.url(), "true").status, 0);
    }
    wait_until("sixteen are on their way", || crowd.waiting().0 == 16);
    let status = home.ask(&["gateway", "status"]);
    assert_eq!(status["notices"], json!({"open": 17, "blocked": 0}));
    crowd.let_go();
    wait_until("all are told", || {
        tasks(&home).iter().all(|task| task["deliveryStatus"] == "delivered")
    });
    assert_eq!(crowd.waiting(), (0, 16));
}

#[test]
fn what_a_receiver_says_is_read_and_shown_only_in_part() {
    let endless: &'static str = Box::leak("x".repeat(4 << 20).into_boxed_str());
    let receiver = Receiver::start([(400, "x: y", endless)]);
    let home = Home::with_config(ANY_PORT, "");
    home.start_gateway();
    spawn(&home, &receiver.url("/"), "true");
    wait_for_delivery(&home, "blocked");
    let reason = tasks(&home)[0]["delivery"]["reason"].as_str().unwrap().to_owned();
    assert!(reason.ends_with("x…") && reason.matches('x').count() == 200, "{reason}");
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = Receiver::start([TAKEN]);
    let location: &'static str =
        Box::leak(format!("location: {}", elsewhere.url("/there")).into_boxed_str());
    let receiver = Receiver::start([(307, location, "")]);
    let home = Home::with_config(ANY_PORT, "");
    home.start_gateway();
    spawn(&home, &receiver.url("/here"), "true");
    wait_for_delivery(&home, "blocked");
    let reason = tasks(&home)[0]["delivery"]["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("307") && reason.contains("not followed"), "{reason}");
    assert_eq!((receiver.letters().len(), elsewhere.letters().len()), (1, 0));
}

#[test]
fn only_the_owner_has_results_told_elsewhere() {
    let receiver = Receiver::start([TAKEN]);
    let home = Home::with_config(
        "{ agents: { defaults: { subagents: { maxSpawnDepth: 2 } } } }",
        r#"{ gateway: { auth: { token: "s3cret" } } }"#,
    );
    let started = home.run(&["gateway", "start", "--port", "0", "--json"]).json();
    let url = receiver.url("/out");
    for runtime in ["local", "isolated"] {
        let line = format!("hatchery spawn --runtime {runtime} --announce-to {url} -- echo out");
        let said = home.run(&["spawn", "--runtime", runtime, "--", &line]);
        assert_eq!(said.status, 1, "{said:?}");
        assert!(said.stderr.contains("only the owner has results told elsewhere"), "{said:?}");
        assert!(said.stderr.contains("leave the route out"), "{said:?}");
    }
    let mut wire = DeviceWire::open(u16::try_from(started["port"].as_u64().unwrap()).unwrap());
    let params = signed(&hello("s3cret"), &device(1), &wire.nonce);
    assert_eq!(wire.connect(&params)["ok"], true);
    let asked = json!({"task": "hi", "announceTo": url});
    let answer = wire.ask("sessions.spawn", &asked);
    assert_eq!(answer["error"]["details"]["code"], "ROUTE_OF_THE_OWNER", "{answer}");
    assert!(receiver.letters().is_empty());
}

#[test]
fn an_address_nothing_can_be_sent_to_is_refused_before_anything_runs() {
    let home = Home::with_config(ANY_PORT, "");
    home.start_gateway();
    let long = format!("http://h/{}", "x".repeat(2_040));
    for (url, why) in [
        ("", "http:// or https://"),
        ("example.com/hook", "http:// or https://"),
        ("ftp://example.com/hook", "http:// or https://"),
        ("http://me:s3cret@example.com/", "a name or a password"),
        ("http://exa mple.com/s3cret", "not a URL"),
        (long.as_str(), "longer than 2048 bytes"),
    ] {
        let said = home.run(&["spawn", "--announce-to", url, "--", "echo ran"]);
        assert_eq!(said.status, 1, "{said:?}");
        assert!(said.stderr.contains(why), "{url}: {said:?}");
        assert!(said.stderr.contains("try: name an address like https://"), "{said:?}");
        assert!(!said.stderr.contains("s3cret") && !said.stdout.contains("ran\n"), "{said:?}");
    }
    assert_eq!(home.sessions().len(), 1);
}

#[test]
fn a_task_is_found_by_its_run_or_its_session() {
    let home = Home::with_config(ANY_PORT, "");
    home.start_gateway();
    assert_eq!(home.run(&["spawn", "--runtime", "local", "--", "true"]).status, 0);
    let task = &tasks(&home)[0];
    let (run, session) = (task["runId"].as_str().unwrap(), task["sessionId"].as_str().unwrap());
    for name in [run, &run[..6], session, &session[..9]] {
        let shown = home.ask(&["tasks", "show", name]);
        assert_eq!(shown["task"]["runId"], run, "{name}");
        assert_eq!(shown["task"]["deliveryStatus"], "delivered");
    }
    for name in ["nothing", "sess_main", ""] {
        let said = home.run(&["tasks", "show", name]);
        assert_eq!(said.status, 1, "{said:?}");
        assert!(said.stderr.contains("hatchery tasks list"), "{said:?}");
    }
    let said = home.run(&["tasks", "retry", run]);
    assert!(said.stderr.contains("waits to be told elsewhere"), "{said:?}");
}
