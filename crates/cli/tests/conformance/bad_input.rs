//! Whatever comes in from the command line: a clear word each, and the gateway serves on.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::home::{Home, ITSELF, Said, is_alive, wait_until};

const RUNTIMES: [&str; 3] = ["local", "isolated", "acp"];

/// A home whose gateway has to outlive everything.
struct Served {
    home: Home,
    gateway: i32,
}

impl Served {
    fn new() -> Self {
        Self::with_config("")
    }

    fn with_config(hatchery_json: &str) -> Self {
        let home = Home::with_config(hatchery_json, "");
        let gateway = home.start_gateway();
        Self { home, gateway }
    }

    fn run(&self, words: &[&str]) -> Said {
        self.home.run(words)
    }

    /// The same process as before takes and finishes work.
    fn still_serves(&self) {
        assert_eq!(self.home.ask(&["gateway", "status"])["pid"], self.gateway);
        let said = self.run(&["spawn", "--runtime", "local", "--", "echo", "still here"]);
        assert_eq!((said.status, said.stdout.lines().nth(3)), (0, Some("still here")), "{said:?}");
    }
}

/// Fails with this status, and with words that contain all of these.
fn refused(said: &Said, status: i32, clues: &[&str]) {
    assert_eq!(said.status, status, "{said:?}");
    for clue in clues {
        assert!(said.stderr.contains(clue), "no {clue:?} in {said:?}");
    }
}

#[test]
fn no_task_is_a_usage_error() {
    let served = Served::new();
    refused(&served.run(&["spawn"]), 2, &["TASK"]);
    refused(&served.run(&["spawn", "--"]), 2, &["TASK"]);
    for task in ["", "  ", "\n"] {
        refused(&served.run(&["spawn", "--", task]), 2, &["there is no task", "--"]);
    }
    refused(&served.run(&["spawn", "--", "", "word"]), 2, &["there is no task"]);
    served.still_serves();
}

#[test]
fn an_unknown_runtime_is_a_usage_error_that_names_the_known_ones() {
    let served = Served::new();
    let said = served.run(&["spawn", "--runtime", "docker", "--", "true"]);
    refused(&said, 2, &["docker", "local", "isolated", "acp"]);
    served.still_serves();
}

#[test]
fn other_words_out_of_place_are_usage_errors() {
    let served = Served::new();
    for words in [
        &["spawn", "--timeout", "soon", "--", "true"][..],
        &["spawn", "--agent", "no spaces here", "--", "true"],
        &["spawn", "--no-such-flag", "--", "true"],
        &["sessions", "show"],
        &["sessions", "lst"],
        &["gateway", "run", "--port", "70000"],
        &["fly"],
    ] {
        let said = served.run(words);
        assert_eq!(said.status, 2, "{words:?}: {said:?}");
        assert!(!said.stderr.is_empty(), "{words:?}");
    }
    served.still_serves();
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_name() {
    let home = Home::with_config("{\n  acp: { alowedAgents: [\"x\"] },\n}", "");
    for words in [
        &["spawn", "--", "true"][..],
        &["sessions", "list"],
        &["gateway", "start", "--port", "0"],
        &["gateway", "run", "--port", "0"],
        &["config", "show"],
    ] {
        let said = home.run(words);
        refused(&said, 78, &["hatchery.json:2:10", "alowedAgents", "`acp.allowedAgents`"]);
    }
    let home = Home::with_config("", "{ gatway: { port: 1 } }");
    refused(&home.run(&["spawn", "--", "true"]), 78, &["gateway.json:1:3", "`gateway`"]);
}

#[test]
fn malformed_json5_is_refused_with_its_place() {
    let home = Home::with_config("{\n  acp: {\n    enabled: true,,\n  }\n}\n", "");
    for words in [&["spawn", "--", "true"][..], &["gateway", "start"], &["config", "show"]] {
        refused(&home.run(words), 78, &["hatchery.json:3:19", "JSON5"]);
    }
    let home = Home::with_config("{ acp: { enabled: \"yes\" } }", "");
    refused(&home.run(&["spawn", "--", "true"]), 78, &["hatchery.json:1:19", "acp.enabled"]);
}

#[test]
fn settings_broken_under_a_running_gateway_leave_the_old_ones_in_force() {
    let served = Served::with_config(r#"{ acp: { allowedAgents: ["x"] } }"#);
    served.home.configure("{ acp: { allowedAgents: [", "");
    let said = served.run(&["spawn", "--agent", "x", "--runtime", "acp", "--", "true"]);
    assert_eq!(said.status, 0, "{said:?}");
    let said = served.run(&["spawn", "--agent", "y", "--runtime", "acp", "--", "true"]);
    assert_eq!(said.status, 7, "{said:?}");
    let log = served.run(&["gateway", "logs"]);
    assert!(log.stdout.contains("the changed configuration is not used"), "{log:?}");
    served.still_serves();
}

#[test]
fn a_directory_that_is_none_is_refused() {
    let served = Served::new();
    let file = served.home.path().join("file");
    std::fs::write(&file, "").unwrap();
    for runtime in RUNTIMES {
        let spawn =
            |cwd: &str| served.run(&["spawn", "--runtime", runtime, "--cwd", cwd, "--", "pwd"]);
        refused(&spawn("/no/such/place"), 1, &["/no/such/place", "--cwd"]);
        refused(&spawn("missing"), 1, &["/missing", "--cwd"]);
        refused(&spawn(file.to_str().unwrap()), 1, &["not a directory", "--cwd"]);
    }
    served.still_serves();
}

#[test]
fn a_working_directory_that_is_gone_is_refused() {
    let served = Served::new();
    let gone = served.home.path().join("gone");
    std::fs::create_dir(&gone).unwrap();
    // The same program and environment, behind a shell that takes the ground away.
    let command = served.home.command(&[]);
    let said = Said::from(
        Command::new("sh")
            .args(["-c", "rmdir \"$PWD\" && exec \"$0\" spawn -- true"])
            .arg(command.get_program())
            .env_clear()
            .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .current_dir(&gone)
            .output()
            .unwrap(),
    );
    refused(&said, 1, &["directory"]);
    served.still_serves();
}

#[test]
fn a_command_that_cannot_run_ends_as_a_shell_would_say() {
    let served = Served::new();
    let plain = served.home.path().join("plain");
    std::fs::write(&plain, "#!/bin/sh\n").unwrap();
    let plain = plain.to_str().unwrap();
    for runtime in RUNTIMES {
        let spawn = |words: &[&str]| {
            let start = ["spawn", "--runtime", runtime, "--"];
            served.run(&[&start[..], words].concat())
        };
        refused(&spawn(&["no-such-program", "x"]), 127, &["no-such-program", "no such program"]);
        refused(&spawn(&["no-such-program"]), 127, &["no-such-program"]);
        refused(&spawn(&[plain, "x"]), 126, &["plain", "not executable"]);
        refused(&spawn(&["/", "x"]), 126, &["not executable"]);
    }
    served.still_serves();
}

#[test]
fn a_child_that_ends_by_a_signal_has_128_and_its_number() {
    let served = Served::new();
    for runtime in RUNTIMES {
        for (signal, status) in [("KILL", 137), ("TERM", 143), ("SEGV", 139)] {
            let task = format!("echo partial; kill -{signal} $$");
            let said = served.run(&["spawn", "--runtime", runtime, "--", &task]);
            assert_eq!(said.status, status, "{runtime}: {said:?}");
            let lines = said.lines();
            assert_eq!(lines[3], "partial");
            assert_eq!(lines[4], format!("[sess_*] Task completed. Exit code: {status}"));
        }
    }
    served.still_serves();
}

#[test]
fn an_agent_whose_program_is_missing_is_not_taken_on_until_it_is_there() {
    let served = Served::with_config(
        r#"{ agents: { entries: { x: { runtime: { type: "acp", acp: {
             command: ["no-such-agent", "--acp"] } } } } } }"#,
    );
    let spawn = || served.run(&["spawn", "--agent", "x", "--runtime", "acp", "--", "anything"]);
    refused(&spawn(), 1, &["'no-such-agent'", "install", "agents.entries.x.runtime.acp.command"]);
    let list = served.run(&["sessions", "list"]);
    assert!(!list.stdout.contains("agent:x"), "{list:?}");
    served.still_serves();
}

#[test]
fn an_agent_that_crashes_fails_its_run_and_nothing_else() {
    let served = Served::with_config(
        r#"{ agents: { entries: { x: { runtime: { type: "acp", acp: {
             command: ["sh", "-c", "echo trouble >&2; kill -9 $$"] } } } } } }"#,
    );
    let said = served.run(&["spawn", "--agent", "x", "--runtime", "acp", "--", "anything"]);
    refused(&said, 1, &["Task failed", "trouble"]);
    served.still_serves();
}

/// A line of 100 bytes.
const LINE: &str = "0123456789 abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789 äöü ,.-;:_+*#'~<>|!?\n";

#[test]
fn two_hundred_megabytes_arrive_whole_and_the_gateway_stays_small() {
    assert_eq!(LINE.len(), 100);
    let served = Served::new();
    let text = LINE.trim_end();
    // The way of `acp` is the longest and has all the others in it.
    for (runtime, lines) in [("acp", 2_000_000), ("isolated", 200_000), ("local", 200_000)] {
        let task = format!("yes \"$0\" | head -n {lines}");
        let mut child =
            served.home.begin(&["spawn", "--runtime", runtime, "--", "sh", "-c", &task, text]);
        // While nobody reads, the run waits; everybody else is served.
        served.still_serves();
        let (count, others) = count_lines(child.stdout.take().unwrap());
        let said = Said::from(child.wait_with_output().unwrap());
        assert_eq!(said.status, 0, "{runtime}: {said:?}");
        assert_eq!(count, lines, "{runtime}");
        assert_eq!(others.len(), 4, "{runtime}: {others:?}");
        assert!(others[3].ends_with("Task completed. Exit code: 0"), "{others:?}");
        let peak = peak_memory(served.gateway);
        assert!(peak < 100 * 1024, "{runtime}: the gateway took {peak} KiB");
    }
    served.still_serves();
}

/// How many lines are the one above, byte for byte, and all lines that are not.
fn count_lines(mut from: impl Read) -> (usize, Vec<String>) {
    let (mut count, mut others) = (0, Vec::new());
    let mut text = Vec::new();
    let mut piece = vec![0; 256 * 1024];
    loop {
        let read = from.read(&mut piece).unwrap();
        if read == 0 {
            assert!(text.is_empty());
            return (count, others);
        }
        text.extend_from_slice(&piece[..read]);
        let mut start = 0;
        while let Some(length) = text[start..].iter().position(|&byte| byte == b'\n') {
            let line = &text[start..=start + length];
            if line == LINE.as_bytes() {
                count += 1;
            } else {
                assert!(others.len() < 10, "garbled output");
                others.push(String::from_utf8_lossy(line).trim_end().to_owned());
            }
            start += length + 1;
        }
        text.drain(..start);
    }
}

/// The most memory a process ever had, in KiB.
fn peak_memory(pid: i32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

#[test]
fn a_reader_that_has_seen_enough_ends_the_run() {
    let served = Served::new();
    for runtime in RUNTIMES {
        let task = format!("echo {ITSELF} > {runtime}.pid; yes");
        let mut child = served.home.begin(&["spawn", "--runtime", runtime, "--", &task]);
        let pid = served.home.process_in(&format!("{runtime}.pid"));
        drop(child.stdout.take());
        assert_eq!(child.wait().unwrap().code(), Some(1));
        assert!(!is_alive(pid));
    }
    served.still_serves();
}

#[test]
fn a_child_that_waits_for_input_gets_its_end() {
    let served = Served::new();
    for runtime in RUNTIMES {
        let said = served.run(&["spawn", "--runtime", runtime, "--", "cat; echo done"]);
        assert_eq!((said.status, said.lines()[3].as_str()), (0, "done"), "{runtime}: {said:?}");
    }
    // What stands on our own input is nobody's business.
    let mut command = served.home.command(&["spawn", "--runtime", "acp", "--", "cat; echo done"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let input = child.stdin.take();
    let said = Said::from(child.wait_with_output().unwrap());
    assert_eq!((said.status, said.lines()[3].as_str()), (0, "done"), "{said:?}");
    drop(input);
    served.still_serves();
}

#[test]
fn an_agent_that_never_reads_can_be_stopped() {
    let served = Served::with_config(
        r#"{ agents: { entries: { x: { runtime: { type: "acp", acp: {
             command: ["sh", "-c", "echo $$ $(readlink /proc/self/ns/pid) > agent.pid; exec sleep 600"] } } } } } }"#,
    );
    let big = "x".repeat(120 * 1024);
    let child = served.home.begin(&["spawn", "--agent", "x", "--runtime", "acp", "--", &big, &big]);
    let pid = served.home.process_in("agent.pid");
    served.still_serves();
    let (session, _) = served
        .home
        .sessions()
        .into_iter()
        .find(|(_, status)| status == "running")
        .expect("the run is going on");
    let killed = served.run(&["sessions", "kill", &session]);
    assert_eq!(killed.status, 0, "{killed:?}");
    assert!(!is_alive(pid));
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
    served.still_serves();
}

#[test]
fn output_that_is_no_text_arrives_byte_for_byte() {
    let served = Served::new();
    // All bytes there are, a character cut in two, and a lone end of one.
    let task = "i=0; while [ $i -lt 256 ]; do printf \"\\\\$(printf %03o $i)\"; i=$((i+1)); done; \
                printf '\\303'; printf '\\244\\n'; printf '\\377\\n' >&2";
    let mut expected: Vec<u8> = (0..=255).collect();
    expected.extend("ä\n".as_bytes());
    for runtime in RUNTIMES {
        let output =
            served.home.command(&["spawn", "--runtime", runtime, "--", task]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        // Behind the line that repeats the task.
        let start = output.stdout.windows(11).position(|at| at == b"'\\377\\n' >&").unwrap();
        let start = start + output.stdout[start..].iter().position(|&b| b == b'\n').unwrap() + 1;
        let end = start + expected.len();
        assert_eq!(output.stdout[start..end], expected, "{runtime}");
        assert!(output.stdout[end..].starts_with(b"[sess_"), "{runtime}");
        assert_eq!(output.stderr, b"\xff\n", "{runtime}");
        let (session, _) = served.home.sessions().remove(0);
        let history = served.home.ask(&["sessions", "history", &session]);
        let told: Vec<u8> = history["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|item| item["stream"] == "stdout")
            .flat_map(|item| match item["base64"].as_str() {
                Some(exact) => STANDARD.decode(exact).unwrap(),
                None => item["text"].as_str().unwrap().as_bytes().to_vec(),
            })
            .collect();
        assert_eq!(told, expected, "{runtime}");
    }
    served.still_serves();
}

#[test]
fn an_argument_that_is_no_text_is_refused() {
    let served = Served::new();
    let no_text = OsStr::from_bytes(b"caf\xe9");
    for (words, clue) in [
        (&["spawn", "--", "echo"][..], "not valid UTF-8"),
        (&["spawn", "--agent"], "UTF-8"),
        (&["sessions", "show"], "UTF-8"),
    ] {
        let said = Said::from(served.home.command(words).arg(no_text).output().unwrap());
        refused(&said, 2, &[clue]);
    }
    served.still_serves();
}

#[test]
fn a_task_too_long_is_refused() {
    let served = Served::new();
    let word = "x".repeat(100 * 1024);
    let said = served.run(&["spawn", "--", "echo", &word, &word, &word]);
    refused(&said, 2, &["262144"]);
    served.still_serves();
}

#[test]
fn a_gateway_that_lost_its_watcher_ends_nothing() {
    let served = Served::new();
    let task = format!("echo {ITSELF} > pid; exec sleep 600");
    let mut child = served.home.begin(&["spawn", "--runtime", "acp", "--", &task]);
    let pid = served.home.process_in("pid");
    child.kill().unwrap();
    child.wait().unwrap();
    served.still_serves();
    assert!(is_alive(pid));
    let (session, _) =
        served.home.sessions().into_iter().find(|(_, status)| status == "running").unwrap();
    assert_eq!(served.run(&["sessions", "kill", &session]).status, 0);
    wait_until("the process is gone", || !is_alive(pid));
}
