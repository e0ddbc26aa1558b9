//! Ends that nobody planned: crashes, Ctrl-C, callers that vanish, and whole trees stopped.

use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::home::{Home, ITSELF, Said, is_alive, wait_until};
use crate::wire::Wire;

/// A command that says something, leaves a stubborn child in a session of its own, and stays.
/// The process ids of both are in the file.
fn stubborn(file: &str) -> String {
    format!(
        "echo said; trap '' TERM INT HUP; \
         setsid sh -c 'trap \"\" TERM INT HUP; echo {ITSELF} > {file}.child; sleep 1000' & \
         echo {ITSELF} > {file}; sleep 1000"
    )
}

fn pids(home: &Home, file: &str) -> [i32; 2] {
    [file.to_owned(), format!("{file}.child")].map(|name| home.process_in(&name))
}

fn signal(process: i32, signal: Signal) {
    kill(Pid::from_raw(process), signal).unwrap();
}

fn pid_of(child: &Child) -> i32 {
    i32::try_from(child.id()).unwrap()
}

fn said(child: Child) -> Said {
    Said::from(child.wait_with_output().unwrap())
}

fn assert_gone(pids: &[i32]) {
    for pid in pids {
        assert!(!is_alive(*pid), "process {pid} is still there");
    }
}

#[test]
fn a_killed_gateway_leaves_nothing_running_and_its_runs_interrupted() {
    let home = Home::new();
    let gateway = home.start_gateway();
    let mut all = Vec::new();
    let mut sessions = Vec::new();
    for runtime in ["local", "isolated", "acp"] {
        let line = stubborn(runtime);
        let receipt = home.run(&["spawn", "--detach", "--json", "--runtime", runtime, "--", &line]);
        sessions.push(receipt.json()["sessionId"].as_str().unwrap().to_owned());
        all.extend(pids(&home, runtime));
    }
    wait_until("every run has said something", || {
        let said = |session: &String| home.run(&["sessions", "history", session]).stdout;
        sessions.iter().all(|session| said(session).contains("\nsaid\n"))
    });
    signal(gateway, Signal::SIGKILL);
    wait_until("the processes are gone", || !all.iter().any(|pid| is_alive(*pid)));

    home.start_gateway();
    let listed = home.sessions();
    assert_eq!(listed.len(), 4, "{listed:?}");
    for session in &sessions {
        assert!(listed.contains(&(session.clone(), "interrupted".to_owned())), "{listed:?}");
        let history = home.run(&["sessions", "history", session]).stdout;
        assert!(history.contains("\nsaid\n< interrupted: "), "{history}");
    }
    // Their results stand in the inbox of whoever asked.
    let inbox = home.run(&["sessions", "history", "sess_main"]).stdout;
    assert_eq!(inbox.matches("< interrupted: the gateway ended while it ran from ").count(), 3);
}

#[test]
fn interrupted_runs_are_marked_also_when_nobody_starts_a_gateway_again() {
    let home = Home::new();
    let gateway = home.start_gateway();
    home.run(&["spawn", "--detach", "--", &stubborn("a")]);
    let pids = pids(&home, "a");
    signal(gateway, Signal::SIGKILL);
    wait_until("the gateway is gone", || !is_alive(gateway));
    assert_eq!(home.sessions()[0].1, "interrupted");
    assert_gone(&pids);
}

#[test]
fn ctrl_c_stops_the_run_and_waits_until_its_processes_are_gone() {
    for with_gateway in [false, true] {
        let home = Home::new();
        if with_gateway {
            home.start_gateway();
        }
        let command = home.begin(&["spawn", "--", &stubborn("a")]);
        let pids = pids(&home, "a");
        signal(pid_of(&command), Signal::SIGINT);
        let said = said(command);
        assert_gone(&pids);
        assert_eq!(said.status, 130, "{said:?}");
        assert!(said.stderr.contains("cancelled"), "{said:?}");
        assert_eq!(home.sessions()[0].1, "cancelled");
    }
}

#[test]
fn a_second_ctrl_c_leaves_the_run_alone() {
    let home = Home::new();
    home.start_gateway();
    let command = home.begin(&["spawn", "--", &stubborn("a")]);
    let pids = pids(&home, "a");
    signal(pid_of(&command), Signal::SIGINT);
    // The stubborn command outlives the polite stop by two seconds, which is when this is said.
    wait_until("the stop is under way", || {
        home.run(&["gateway", "logs"]).stdout.contains("run stopping")
    });
    signal(pid_of(&command), Signal::SIGINT);
    let said = said(command);
    assert_eq!(said.status, 130, "{said:?}");
    assert!(said.stderr.contains("left; see `hatchery sessions show sess_"), "{said:?}");
    wait_until("the run is over without anybody watching", || home.sessions()[0].1 == "cancelled");
    assert_gone(&pids);
}

#[test]
fn a_run_goes_on_when_whoever_started_it_vanishes() {
    let home = Home::new();
    home.start_gateway();
    let line = "echo $$ > started; while [ ! -e go ]; do sleep 0.01; done; echo finished";
    let mut command = home.begin(&["spawn", "--", line]);
    home.wait_for_file("started");
    command.kill().unwrap();
    command.wait().unwrap();
    std::fs::write(home.path().join("go"), "").unwrap();
    wait_until("the run has ended well", || home.sessions()[0].1 == "ok");
    let session = home.sessions()[0].0.clone();
    assert!(home.run(&["sessions", "history", &session]).stdout.contains("\nfinished\n"));
}

#[test]
fn a_run_whose_reader_has_seen_enough_is_stopped() {
    let home = Home::new();
    home.start_gateway();
    let mut command = home.begin(&["spawn", "--", "yes"]);
    drop(command.stdout.take());
    assert!(!command.wait().unwrap().success());
    wait_until("the run is over", || home.sessions()[0].1 == "cancelled");
}

#[test]
fn killing_a_session_kills_everything_below_it_and_nothing_beside_it() {
    let home =
        Home::with_config("{ agents: { defaults: { subagents: { maxSpawnDepth: 3 } } } }", "");
    home.start_gateway();
    let innermost = stubborn("deep").replace('\'', "'\\''");
    let middle = format!("hatchery spawn --runtime local -- '{innermost}'").replace('\'', "'\\''");
    let outer = format!("hatchery spawn --runtime local -- '{middle}'");
    let receipt = home.run(&["spawn", "--detach", "--json", "--runtime", "local", "--", &outer]);
    let session = receipt.json()["sessionId"].as_str().unwrap().to_owned();
    let below = pids(&home, "deep");
    home.run(&["spawn", "--detach", "--", &stubborn("beside")]);
    let beside = pids(&home, "beside");
    assert_eq!(home.sessions().len(), 5);

    let said = home.run(&["sessions", "kill", &session]);
    assert_eq!(said.lines(), ["Stopped sess_*"; 3], "{said:?}");
    assert_gone(&below);
    assert!(beside.iter().all(|pid| is_alive(*pid)));
    let statuses: Vec<String> = home.sessions().into_iter().map(|(_, status)| status).collect();
    assert_eq!(statuses, ["running", "cancelled", "cancelled", "cancelled", "idle"]);

    let again = home.run(&["sessions", "kill", &session]);
    assert_eq!(again.status, 1);
    assert!(again.stderr.contains("nothing is running in"), "{again:?}");
}

#[test]
fn commands_without_a_gateway_share_the_one_that_the_first_hosts() {
    let home = Home::new();
    let first = home.begin(&[
        "spawn",
        "--",
        "echo $$ > first; while [ ! -e go ]; do sleep 0.01; done; echo one",
    ]);
    home.wait_for_file("first");
    let second = home.begin(&[
        "spawn",
        "--",
        "echo $$ > second; while [ ! -e go ]; do sleep 0.01; done; sleep 0.2; echo two",
    ]);
    home.wait_for_file("second");
    std::fs::write(home.path().join("go"), "").unwrap();
    let (first, second) = (said(first), said(second));
    assert_eq!((first.status, second.status), (0, 0), "{first:?} {second:?}");
    assert!(first.stderr.contains("hosting one for this command"), "{first:?}");
    assert_eq!(second.stderr, "", "{second:?}");
    assert!(second.stdout.contains("\ntwo\n"), "{second:?}");
    assert_eq!(home.sessions().len(), 3);
}

/// A gateway whose files cannot grow beyond this many blocks of 512 bytes, as on a full disk.
fn start_on_a_full_disk(home: &Home, blocks: u32) -> Child {
    let hatchery = home.command(&[]);
    let line = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" gateway run --port 0");
    let mut command = std::process::Command::new("/bin/sh");
    command.arg("-c").arg(line).arg(hatchery.get_program());
    command.env_clear().envs(hatchery.get_envs().filter_map(|(k, v)| Some((k, v?))));
    command.current_dir(home.path()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn a_full_disk_is_said_and_nothing_is_promised_that_is_not_kept() {
    let home = Home::new();
    let mut gateway = start_on_a_full_disk(&home, 4_000);
    wait_until("the gateway is up", || home.run(&["gateway", "status"]).status == 0);
    let mut watching = Wire::greeted(&home);
    let mut healthy = || watching.ask("health", json!({}))["payload"]["ok"] == true;
    let mut accepted = Vec::new();
    let refused = loop {
        // What is told now may be kept, and must not be told once it is not so.
        healthy();
        let said = home.run(&["spawn", "--json", "--", "head -c 100000 /dev/zero | tr '\\0' x"]);
        match said.json()["sessionId"].as_str() {
            Some(session) if said.status == 0 => accepted.push(session.to_owned()),
            _ => break said,
        }
        assert!(accepted.len() < 50, "the disk never filled up");
    };
    assert!(!healthy());
    assert_eq!(refused.status, 1, "{refused:?}");
    assert!(!accepted.is_empty());
    let status = home.ask(&["gateway", "status"]);
    assert_eq!(status["journal"], "broken", "{refused:?} {status}");
    assert_eq!(status["runs"]["live"], 0, "{status}");
    let again = home.run(&["spawn", "--", "true"]);
    assert_eq!(again.status, 1, "{again:?}");
    signal(pid_of(&gateway), Signal::SIGTERM);
    assert!(gateway.wait().unwrap().success());

    // With room again, everything that was accepted is there and nothing is left half-way.
    let sessions = home.sessions();
    for session in &accepted {
        assert!(sessions.contains(&(session.clone(), "ok".to_owned())), "{session}: {sessions:?}");
    }
    assert!(sessions.iter().all(|(_, status)| status != "running"), "{sessions:?}");
    assert_eq!(home.run(&["spawn", "--", "true"]).status, 0);
}
