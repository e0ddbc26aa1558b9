//! A gateway's life: one at a time, a clear word when it cannot be, and a clean end.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::home::{Home, ITSELF, Said, is_alive, wait_until};
use crate::wire::Wire;

fn is_running(home: &Home) -> bool {
    home.run(&["gateway", "status"]).status == 0
}

/// A gateway in front, ready.
fn run_in_front(home: &Home) -> Child {
    let child = home
        .command(&["gateway", "run", "--port", "0"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the gateway is ready", || is_running(home));
    child
}

fn pid_of(child: &Child) -> i32 {
    i32::try_from(child.id()).unwrap()
}

fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

/// Asks over HTTP, and gives the whole answer.
fn http_get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn start_status_restart_and_stop_do_what_they_say() {
    let home = Home::new();
    let said = home.run(&["gateway", "status"]);
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.stdout.contains("hatchery gateway start"), "{said:?}");
    assert_eq!(home.ask(&["gateway", "status"])["running"], false);
    // Looking makes nothing.
    assert!(!home.state_directory().exists());
    let said = home.run(&["gateway", "stop"]);
    assert_eq!((said.status, said.stdout.as_str()), (0, "No gateway is running\n"));

    let said = home.run(&["gateway", "start", "--port", "0"]);
    assert_eq!(said.status, 0, "{said:?}");
    assert!(said.stdout.starts_with("Gateway started on port "), "{said:?}");
    // When `start` returns, it is ready.
    let status = home.ask(&["gateway", "status"]);
    assert_eq!((&status["running"], &status["journal"]), (&true.into(), &"ok".into()));
    let first = i32::try_from(status["pid"].as_i64().unwrap()).unwrap();
    let address = status["address"].as_str().unwrap();
    assert!(http_get(address, "/healthz").contains("\"ok\":true"));
    assert!(http_get(address, "/readyz").starts_with("HTTP/1.1 200"));
    assert!(http_get(address, "/other").starts_with("HTTP/1.1 404"));
    let said = home.run(&["gateway", "status"]);
    assert!(said.stdout.contains(address) && said.stdout.contains("Gateway is running"));

    let said = home.run(&["gateway", "restart", "--port", "0"]);
    assert_eq!(said.status, 0, "{said:?}");
    let second = i32::try_from(home.ask(&["gateway", "status"])["pid"].as_i64().unwrap()).unwrap();
    assert!(second != first && !is_alive(first) && is_alive(second));

    let said = home.run(&["gateway", "stop"]);
    assert_eq!(said.stdout, format!("Gateway stopped (process {second})\n"));
    assert!(!is_alive(second) && !is_running(&home));
    // A restart of nothing is a start.
    assert_eq!(home.run(&["gateway", "restart", "--port", "0"]).status, 0);
    assert!(is_running(&home));
}

#[test]
fn the_log_goes_to_standard_error_in_front() {
    let home = Home::new();
    let mut gateway = home
        .command(&["gateway", "run", "--port", "0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until("the gateway is ready", || is_running(&home));
    signal(pid_of(&gateway), Signal::SIGINT);
    let (mut stdout, mut stderr) = (String::new(), String::new());
    gateway.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    gateway.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(gateway.wait().unwrap().code(), Some(0));
    assert_eq!(stdout, "");
    for line in ["Gateway started on port", "told to end by SIGINT", "Gateway stopped"] {
        assert!(stderr.contains(line), "{stderr}");
    }
}

#[test]
fn a_second_gateway_does_not_start_and_names_the_first() {
    let home = Home::new();
    let pid = home.start_gateway();
    for words in [&["gateway", "run", "--port", "0"][..], &["gateway", "start", "--port", "0"]] {
        let said = home.run(words);
        assert_eq!(said.status, 75, "{said:?}");
        for clue in [&format!("process {pid}"), "hatchery gateway stop"] {
            assert!(said.stderr.contains(clue), "no {clue} in {said:?}");
        }
    }
    assert_eq!(home.ask(&["gateway", "status"])["pid"], pid);
}

#[test]
fn what_a_killed_gateway_leaves_in_the_hands_of_another_program_is_waited_for() {
    let home = Home::new();
    let pid = home.start_gateway();
    let held = std::fs::read(home.state_directory().join("gateway.lock")).unwrap();
    signal(pid, Signal::SIGKILL);
    wait_until("the gateway is dead", || !is_alive(pid));
    // Lock and door, as a process has them that the gateway was starting when it was killed.
    let lock = File::options().write(true).open(home.state_directory().join("gateway.lock"));
    let lock = lock.unwrap();
    lock.lock().unwrap();
    assert_eq!(std::fs::read(home.state_directory().join("gateway.lock")).unwrap(), held);
    let socket = home.state_directory().join("gateway.sock");
    std::fs::remove_file(&socket).ok();
    let door = UnixListener::bind(&socket).unwrap();
    let starting = home.begin(&["gateway", "start", "--port", "0"]);
    // It finds both and goes on waiting: it looks a second time.
    door.accept().unwrap();
    door.accept().unwrap();
    drop((door, lock));
    let said = Said::from(starting.wait_with_output().unwrap());
    assert_eq!(said.status, 0, "{said:?}");
    assert!(is_running(&home));
}

#[test]
fn of_many_that_start_at_once_one_comes_up() {
    let home = Home::new();
    let words = ["gateway", "start", "--port", "0"];
    let starting: Vec<Child> = (0..8).map(|_| home.begin(&words)).collect();
    let ends: Vec<Said> =
        starting.into_iter().map(|child| Said::from(child.wait_with_output().unwrap())).collect();
    let mut statuses: Vec<i32> = ends.iter().map(|said| said.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [0, 75, 75, 75, 75, 75, 75, 75], "{ends:?}");
    assert!(is_running(&home));
}

#[test]
fn many_spawns_at_once_share_one_hosted_gateway() {
    let home = Home::with_config("{ gateway: { port: 0 } }", "");
    let words = ["spawn", "--runtime", "local", "--", "echo", "hello"];
    let spawns: Vec<Child> = (0..8).map(|_| home.begin(&words)).collect();
    for child in spawns {
        let said = Said::from(child.wait_with_output().unwrap());
        assert_eq!((said.status, said.lines()[3].as_str()), (0, "hello"), "{said:?}");
    }
    assert_eq!(home.sessions().len(), 9);
}

#[test]
fn a_busy_port_is_named() {
    let somebody_else = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = somebody_else.local_addr().unwrap().port().to_string();
    let home = Home::new();
    for verb in ["run", "start", "restart"] {
        let said = home.run(&["gateway", verb, "--port", &port]);
        assert_eq!(said.status, 69, "{said:?}");
        for clue in [port.as_str(), "in use", "--port", "gateway.port"] {
            assert!(said.stderr.contains(clue), "no {clue} in {said:?}");
        }
        assert!(!is_running(&home));
    }
    let said = home.run(&["gateway", "run", "--port", "0", "--bind", "192.0.2.1"]);
    assert_eq!(said.status, 69, "{said:?}");
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let closed = tempfile::tempdir().unwrap();
    std::fs::set_permissions(closed.path(), std::fs::Permissions::from_mode(0o555)).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    for place in [closed.path().join("state"), file.path().join("state")] {
        let home = Home::new().with_state_in(place.clone()).for_ordinary_user();
        for words in [
            &["gateway", "run", "--port", "0"][..],
            &["gateway", "start", "--port", "0"],
            &["spawn", "--", "true"],
        ] {
            let said = home.run(words);
            assert_eq!(said.status, 73, "{words:?}: {said:?}");
            for clue in [place.to_str().unwrap(), "HATCHERY_STATE_DIR"] {
                assert!(said.stderr.contains(clue), "no {clue} in {said:?}");
            }
        }
    }
}

#[test]
fn a_gateway_that_was_killed_leaves_nothing_in_the_way() {
    let home = Home::new();
    let mut killed = Vec::new();
    for _ in 0..3 {
        let pid = home.start_gateway();
        signal(pid, Signal::SIGKILL);
        wait_until("the gateway is gone", || !is_alive(pid));
        // Its lock file and its socket are still there.
        assert!(home.state_directory().join("gateway.lock").exists());
        assert!(home.state_directory().join("gateway.sock").exists());
        assert!(!is_running(&home));
        killed.push(pid);
    }
    let said = home.run(&["gateway", "stop"]);
    assert_eq!((said.status, said.stdout.as_str()), (0, "No gateway is running\n"));
    assert_eq!(home.run(&["spawn", "--", "true"]).status, 0);
    let pid = home.start_gateway();
    assert!(!killed.contains(&pid));
    assert_eq!(home.run(&["spawn", "--", "true"]).status, 0);
}

#[test]
fn a_lock_file_with_anything_in_it_does_not_hinder() {
    let home = Home::new();
    std::fs::create_dir_all(home.state_directory()).unwrap();
    let own = std::process::id();
    for text in [String::new(), "garbage".to_owned(), "{}".to_owned(), own.to_string()] {
        std::fs::write(home.state_directory().join("gateway.lock"), &text).unwrap();
        assert!(!is_running(&home), "{text:?}");
        home.start_gateway();
        assert_eq!(home.run(&["gateway", "stop"]).status, 0, "{text:?}");
    }
}

#[test]
fn a_polite_end_tells_every_connection_and_is_no_failure() {
    for how in [Signal::SIGTERM, Signal::SIGINT] {
        let home = Home::new();
        let mut gateway = run_in_front(&home);
        let wires: Vec<Wire> = (0..3).map(|_| Wire::greeted(&home)).collect();
        // One that has not even said who it is must not hold the end up.
        let silent = Wire::silent(&home);
        signal(pid_of(&gateway), how);
        for mut wire in wires {
            let frame = wire.next();
            assert_eq!((&frame["type"], &frame["event"]), (&"event".into(), &"shutdown".into()));
            assert_eq!(wire.until_closed(), "");
        }
        assert_eq!(silent.until_closed(), "");
        assert_eq!(gateway.wait().unwrap().code(), Some(0));
        assert!(!home.state_directory().join("gateway.sock").exists());
    }
}

#[test]
fn runs_going_at_the_end_are_interrupted_and_their_processes_gone() {
    let home = Home::new();
    let mut gateway = run_in_front(&home);
    let mut going = Vec::new();
    for runtime in ["local", "isolated", "acp"] {
        // One ignores the polite request, another has a session of its own.
        let task = format!(
            "echo words of {runtime}; (trap '' TERM; echo {ITSELF} > {runtime}.pid; sleep 600; sleep 600) & \
             setsid sh -c 'trap \"\" TERM; echo {ITSELF} > {runtime}.other; sleep 600; sleep 600' & wait"
        );
        let child = home.begin(&["spawn", "--runtime", runtime, "--", &task]);
        let pids: Vec<i32> =
            ["pid", "other"].map(|file| home.process_in(&format!("{runtime}.{file}"))).into();
        going.push((child, pids));
    }
    signal(pid_of(&gateway), Signal::SIGTERM);
    assert_eq!(gateway.wait().unwrap().code(), Some(0));
    for (child, pids) in going {
        for pid in pids {
            assert!(!is_alive(pid));
        }
        let said = Said::from(child.wait_with_output().unwrap());
        assert_eq!(said.status, 1, "{said:?}");
        assert!(said.stderr.contains("interrupted"), "{said:?}");
    }
    for running in [false, true] {
        if running {
            home.start_gateway();
        }
        let sessions = home.sessions();
        let interrupted: Vec<&str> = sessions
            .iter()
            .filter(|(_, status)| status == "interrupted")
            .map(|(id, _)| id.as_str())
            .collect();
        assert_eq!(interrupted.len(), 3, "{sessions:?}");
        for session in interrupted {
            let history = home.run(&["sessions", "history", session]);
            assert!(history.stdout.contains("\nwords of "), "{history:?}");
            assert!(history.stdout.contains("< interrupted"), "{history:?}");
        }
    }
}

#[test]
fn a_gateway_that_ends_takes_no_new_runs() {
    let home = Home::new();
    let mut gateway = run_in_front(&home);
    // Holds the end up for a moment.
    let child = home.begin(&[
        "spawn",
        "--runtime",
        "local",
        "--",
        "trap '' TERM; echo > up; sleep 600; sleep 600",
    ]);
    home.wait_for_file("up");
    let mut wire = Wire::greeted(&home);
    signal(pid_of(&gateway), Signal::SIGTERM);
    assert_eq!(wire.next()["event"], "shutdown");
    let answer = wire.ask("sessions.spawn", serde_json::json!({"task": "echo > never"}));
    assert_eq!(answer["ok"], false, "{answer}");
    assert_eq!(answer["error"]["details"]["code"], "SHUTTING_DOWN", "{answer}");
    assert_eq!(gateway.wait().unwrap().code(), Some(0));
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(1));
    assert!(!home.path().join("never").exists());
}

#[test]
fn a_second_signal_hurries_the_end_and_still_leaves_no_process() {
    let home = Home::new();
    let mut gateway = run_in_front(&home);
    let mut child = home.begin(&[
        "spawn",
        "--runtime",
        "acp",
        "--",
        &format!("trap '' TERM; echo {ITSELF} > pid; sleep 600; sleep 600"),
    ]);
    let pid = home.process_in("pid");
    let mut wire = Wire::greeted(&home);
    signal(pid_of(&gateway), Signal::SIGTERM);
    // The first has been heard.
    assert_eq!(wire.next()["event"], "shutdown");
    signal(pid_of(&gateway), Signal::SIGTERM);
    assert_eq!(gateway.wait().unwrap().code(), Some(143));
    child.wait().unwrap();
    wait_until("the process is gone", || !is_alive(pid));
    assert_eq!(home.sessions()[0].1, "interrupted");
}

#[test]
fn a_second_gateway_has_a_home_of_its_own() {
    let (one, other) = (Home::new(), Home::new());
    let pids = [one.start_gateway(), other.start_gateway()];
    assert_ne!(pids[0], pids[1]);
    assert_eq!(one.run(&["spawn", "--runtime", "local", "--", "true"]).status, 0);
    assert_eq!((one.sessions().len(), other.sessions().len()), (2, 1));
}

/// Everything below a directory, itself included.
fn everything_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = vec![directory.to_owned()];
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(everything_below(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[test]
fn nobody_else_can_read_the_state() {
    for hosted in [true, false] {
        let home = Home::with_config("{ gateway: { port: 0 } }", "");
        if !hosted {
            home.start_gateway();
        }
        let child = home.begin(&["spawn", "--", "echo > up; exec sleep 600"]);
        home.wait_for_file("up");
        let entries = everything_below(&home.state_directory());
        assert!(entries.len() > 3, "{entries:?}");
        for path in entries {
            let metadata = path.metadata().unwrap();
            let expected = if metadata.is_dir() { 0o700 } else { 0o600 };
            let mode = metadata.permissions().mode() & 0o777;
            assert_eq!(mode, expected, "{mode:o}: {}", path.display());
        }
        let (session, _) = home.sessions().remove(0);
        assert_eq!(home.run(&["sessions", "kill", &session]).status, 0);
        assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
    }
}

#[test]
fn a_state_directory_others_could_read_is_closed() {
    let home = Home::new();
    std::fs::create_dir_all(home.state_directory()).unwrap();
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(home.state_directory(), open).unwrap();
    home.start_gateway();
    let mode = home.state_directory().metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o700, "{mode:o}");
}

#[test]
fn a_path_too_long_for_a_socket_works() {
    let place = tempfile::tempdir().unwrap();
    let deep = place.path().join("x".repeat(100)).join("y".repeat(100));
    let settings =
        "{ gateway: { port: 0 }, agents: { defaults: { subagents: { maxSpawnDepth: 2 } } } }";
    let home = Home::with_config(settings, "").with_state_in(deep);
    for running in [false, true] {
        if running {
            home.start_gateway();
            assert!(is_running(&home));
        }
        for runtime in ["local", "isolated", "acp"] {
            let inner = format!("hatchery spawn --runtime {runtime} -- echo inner");
            let said = home.run(&["spawn", "--runtime", runtime, "--", &inner]);
            assert_eq!(said.status, 0, "{runtime}: {said:?}");
            assert!(said.stdout.contains("\ninner\n"), "{runtime}: {said:?}");
        }
    }
}

#[test]
fn a_gateway_that_a_command_hosts_can_be_stopped_like_any_other() {
    let home = Home::new();
    let command = home.begin(&["spawn", "--", &format!("echo {ITSELF} > going; sleep 1000")]);
    let pid = home.process_in("going");
    let stopped = home.run(&["gateway", "stop"]);
    assert_eq!(stopped.status, 0, "{stopped:?}");
    assert!(!is_alive(pid));
    let said = Said::from(command.wait_with_output().unwrap());
    assert_eq!(said.status, 130, "{said:?}");
}
