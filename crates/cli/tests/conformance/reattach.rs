//! Watching a run again: readers that go and come back, come late, or lose their gateway.

use std::fs;
use std::io::Read as _;
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::device_wire::{DeviceWire, device, hello, signed};
use crate::home::{Home, Said, is_alive, wait_until};
use crate::wire::{Wire, request};

const SECRET: &str = "s3cret";

/// A run that counts: one line and one piece of output for each file `1`, `2`, … that appears.
const COUNTING: &str = "i=1; while [ $i -le 9 ]; do \
     while [ ! -e $i ]; do sleep 0.01; done; echo line $i; i=$((i+1)); done; exit 7";

fn begin(home: &Home, line: &str) -> String {
    let receipt = home.run(&["spawn", "--detach", "--json", "--runtime", "local", "--", line]);
    receipt.json()["sessionId"].as_str().unwrap().to_owned()
}

fn go(home: &Home, numbers: impl IntoIterator<Item = u32>) {
    for number in numbers {
        fs::write(home.path().join(number.to_string()), "").unwrap();
    }
}

/// Waits until so much is kept of what a session said.
fn wait_for_output(home: &Home, session: &str, text: &str) {
    wait_until(&format!("{text:?} is kept"), || {
        home.run(&["sessions", "history", session]).stdout.contains(text)
    });
}

/// Lets a counting run go on, a piece at a time.
fn count(home: &Home, session: &str, numbers: std::ops::RangeInclusive<u32>) {
    for number in numbers {
        go(home, [number]);
        wait_for_output(home, session, &format!("line {number}\n"));
    }
}

/// Anything that takes requests and gives frames.
trait Reader {
    fn ask_for(&mut self, method: &str, params: Value);
    fn hear_next(&mut self) -> Value;

    /// Asks to watch, and gives the receipt.
    fn watch(&mut self, session: &str, after: u64) -> Value {
        self.ask_for("sessions.watch", json!({"session": session, "afterSeq": after}));
        let receipt = self.until(|frame| frame["type"] == "res");
        assert_eq!(receipt["ok"], true, "{receipt}");
        receipt["payload"].clone()
    }

    fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let frame = self.hear_next();
            if wanted(&frame) {
                return frame;
            }
        }
    }

    /// The next piece of output.
    fn piece(&mut self) -> (u64, String) {
        let frame = self.until(|frame| frame["event"] == "run.output");
        piece_of(&frame)
    }

    /// All pieces up to the end, and the end.
    fn rest(&mut self) -> (Vec<(u64, String)>, Value) {
        let mut pieces = Vec::new();
        loop {
            let frame = self.hear_next();
            if frame["event"] == "run.output" {
                pieces.push(piece_of(&frame));
            } else if frame["type"] == "res" {
                assert_eq!(frame["ok"], true, "{frame}");
                return (pieces, frame["payload"].clone());
            }
        }
    }
}

fn piece_of(frame: &Value) -> (u64, String) {
    let payload = &frame["payload"];
    (payload["seq"].as_u64().unwrap(), payload["text"].as_str().unwrap().to_owned())
}

impl Reader for Wire {
    fn ask_for(&mut self, method: &str, params: Value) {
        self.say(&request(method, params));
    }

    fn hear_next(&mut self) -> Value {
        self.next()
    }
}

impl Reader for DeviceWire {
    fn ask_for(&mut self, method: &str, params: Value) {
        let frame = json!({"type": "req", "id": method, "method": method, "params": params});
        self.say(frame.to_string());
    }

    fn hear_next(&mut self) -> Value {
        self.frame()
    }
}

fn lines(numbers: std::ops::RangeInclusive<u64>) -> Vec<(u64, String)> {
    numbers.map(|number| (number, format!("line {number}\n"))).collect()
}

fn comes_back_and_misses_nothing<R: Reader>(home: &Home, connect: impl Fn() -> R) {
    for number in 1..=9 {
        fs::remove_file(home.path().join(number.to_string())).ok();
    }
    let session = begin(home, COUNTING);
    let mut reader = connect();
    let receipt = reader.watch(&session, 0);
    assert_eq!((&receipt["fromSeq"], &receipt["gap"]), (&1.into(), &Value::Null), "{receipt}");
    let mut heard = Vec::new();
    for number in 1..=3 {
        go(home, [number]);
        heard.push(reader.piece());
    }
    drop(reader);
    count(home, &session, 4..=6);
    let mut reader = connect();
    let receipt = reader.watch(&session, 3);
    assert_eq!((&receipt["fromSeq"], &receipt["keptBytes"]), (&4.into(), &42.into()), "{receipt}");
    assert_eq!(receipt["status"], "running", "{receipt}");
    assert_eq!(receipt["task"], COUNTING);
    count(home, &session, 7..=9);
    let (rest, end) = reader.rest();
    heard.extend(rest);
    assert_eq!(heard, lines(1..=9));
    assert_eq!((&end["status"], &end["exitCode"]), (&"failed".into(), &7.into()), "{end}");
}

#[test]
fn a_reader_that_comes_back_sees_every_piece_once() {
    let home = Home::new();
    home.start_gateway();
    comes_back_and_misses_nothing(&home, || Wire::greeted(&home));
}

/// A gateway with a shared secret, and its port.
fn open_to_devices() -> (Home, u16) {
    let home =
        Home::with_config("", &format!("{{ gateway: {{ auth: {{ token: '{SECRET}' }} }} }}"));
    let said = home.run(&["gateway", "start", "--port", "0", "--json"]);
    let port = u16::try_from(said.json()["port"].as_u64().unwrap()).unwrap();
    (home, port)
}

fn as_device(port: u16) -> DeviceWire {
    let mut wire = DeviceWire::open(port);
    let params = signed(&hello(SECRET), &device(1), &wire.nonce);
    let hello = wire.connect(&params);
    assert_eq!(hello["ok"], true, "{hello}");
    wire
}

#[test]
fn a_device_that_comes_back_sees_every_piece_once() {
    let (home, port) = open_to_devices();
    comes_back_and_misses_nothing(&home, || as_device(port));
}

/// Readers join while a run prints as fast as it can: there is no moment at which a piece is lost
/// or told twice.
#[test]
fn readers_who_join_in_the_middle_of_a_flood_see_each_piece_once_and_in_order() {
    let home = Home::new();
    home.start_gateway();
    let session = begin(&home, "i=0; while [ $i -lt 8000 ]; do echo $i; i=$((i+1)); done");
    std::thread::scope(|scope| {
        for reader in 0..8 {
            let (home, session) = (&home, &session);
            scope.spawn(move || {
                let mut wire = Wire::greeted(home);
                // Each joins a little further on.
                if reader > 0 {
                    wait_for_output(home, session, &format!("\n{}\n", reader * 20));
                }
                let receipt = wire.watch(session, 0);
                assert_eq!(receipt["gap"], Value::Null, "{receipt}");
                let (pieces, end) = wire.rest();
                assert_eq!(end["status"], "ok", "{end}");
                let seqs: Vec<u64> = pieces.iter().map(|(seq, _)| *seq).collect();
                assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
                let text: String = pieces.into_iter().map(|(_, text)| text).collect();
                let expected: String = (0..8000).map(|line| format!("{line}\n")).collect();
                assert!(text == expected, "{} of {} bytes", text.len(), expected.len());
            });
        }
    });
}

#[test]
fn one_connection_watches_a_run_once() {
    let home = Home::new();
    home.start_gateway();
    let session = begin(&home, COUNTING);
    let mut wire = Wire::greeted(&home);
    wire.watch(&session, 0);
    let again = wire.ask("sessions.watch", json!({"session": session}));
    assert_eq!(again["error"]["details"]["code"], "ALREADY_WATCHED", "{again}");
    // Two connections at a time are two readers.
    let mut other = Wire::greeted(&home);
    other.watch(&session, 0);
    count(&home, &session, 1..=9);
    assert_eq!(wire.rest().0, lines(1..=9));
    assert_eq!(other.rest().0, lines(1..=9));
    assert_eq!(wire.watch(&session, 8)["status"], "failed");
    assert_eq!(wire.rest().0, lines(9..=9));
}

#[test]
fn what_has_no_run_and_what_is_not_there_cannot_be_watched() {
    let home = Home::new();
    home.start_gateway();
    for (session, clue) in [("sess_main", "nothing has run in"), ("nobody", "there is no session")]
    {
        let said = home.run(&["sessions", "attach", session]);
        assert_eq!(said.status, 1, "{said:?}");
        assert!(said.stderr.contains(clue), "{said:?}");
    }
}

#[test]
fn attaching_after_the_end_shows_all_of_it_also_without_a_gateway() {
    let home = Home::new();
    let spawned = home.run(&["spawn", "--", "printf 'out'; printf 'err' >&2; exit 3"]);
    assert_eq!(spawned.status, 3, "{spawned:?}");
    let session = home.sessions()[0].0.clone();
    for with_gateway in [false, true] {
        if with_gateway {
            home.start_gateway();
        }
        let said = home.run(&["sessions", "attach", &session]);
        assert_eq!(said.status, 3, "{said:?}");
        let expected = [
            "Attached to session sess_* (failed)",
            "[sess_*] Executing task: printf 'out'; printf 'err' >&2; exit 3",
            "out",
            "[sess_*] Task completed. Exit code: 3",
        ];
        assert_eq!(said.lines(), expected, "{said:?}");
        assert!(said.stderr.starts_with("err"), "{said:?}");
        let end = home.run(&["sessions", "attach", "--json", &session]);
        assert_eq!((end.status, &end.json()["status"]), (3, &"failed".into()), "{end:?}");
        let after = home.run(&["sessions", "attach", &session, "--after", "2"]);
        assert_eq!(after.lines().len(), 3, "{after:?}");
    }
}

#[test]
fn ctrl_c_detaches_and_says_how_to_see_the_rest() {
    let home = Home::new();
    home.start_gateway();
    let session = begin(&home, COUNTING);
    count(&home, &session, 1..=2);
    let mut attached = home.begin(&["sessions", "attach", &session]);
    read_until(&mut attached, "line 2\n");
    kill(Pid::from_raw(i32::try_from(attached.id()).unwrap()), Signal::SIGINT).unwrap();
    let said = Said::from(attached.wait_with_output().unwrap());
    assert_eq!(said.status, 130, "{said:?}");
    let rest = format!("hatchery sessions attach {session} --after 2");
    assert!(said.stderr.contains(&rest), "{said:?}");
    assert_eq!(home.sessions()[0].1, "running");
    count(&home, &session, 3..=9);
    let said = home.run(&["sessions", "attach", &session, "--after", "2"]);
    assert_eq!(said.status, 7, "{said:?}");
    assert_eq!(said.stdout.matches("\nline ").count(), 7, "{said:?}");
}

/// Reads what a command prints until it has printed this.
fn read_until(child: &mut Child, text: &str) -> String {
    let stdout = child.stdout.as_mut().unwrap();
    let mut seen = Vec::new();
    let mut byte = [0];
    while !String::from_utf8_lossy(&seen).contains(text) {
        assert_eq!(stdout.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&seen));
        seen.push(byte[0]);
    }
    String::from_utf8(seen).unwrap()
}

#[test]
fn a_reader_who_has_seen_enough_does_not_stop_what_is_not_its_own() {
    let home = Home::new();
    home.start_gateway();
    let session = begin(&home, COUNTING);
    let mut attached = home.begin(&["sessions", "attach", &session]);
    drop(attached.stdout.take());
    go(&home, 1..=2);
    assert_eq!(attached.wait().unwrap().code(), Some(1));
    assert_eq!(home.sessions()[0].1, "running");
}

#[test]
fn readers_that_vanish_from_a_silent_run_leave_no_connection_behind() {
    let home = Home::new();
    home.start_gateway();
    let session = begin(&home, "echo begun; exec sleep 600");
    let open = || home.ask(&["gateway", "status"])["connections"].as_u64().unwrap();
    let before = open();
    for _ in 0..10 {
        let mut attached = home.begin(&["sessions", "attach", &session]);
        read_until(&mut attached, "begun\n");
        attached.kill().unwrap();
        attached.wait().unwrap();
    }
    wait_until("they are gone", || open() == before);
    assert_eq!(home.sessions()[0].1, "running");
}

#[test]
fn output_beyond_what_is_kept_is_said_to_be_missing() {
    let home = Home::new();
    home.start_gateway();
    let flood = "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo $$ > flooded; \
                 while [ ! -e go ]; do sleep 0.01; done; echo last words";
    let session = begin(&home, flood);
    home.wait_for_file("flooded");
    let mut wire = Wire::greeted(&home);
    wait_until("all of it was told", || {
        let receipt = wire.watch(&session, 1_000_000);
        let gapless = receipt["gap"] == Value::Null;
        // A reader cannot watch twice, so each look has a connection of its own.
        wire = Wire::greeted(&home);
        gapless && receipt["keptBytes"] == 1024 * 1024
    });
    let receipt = wire.watch(&session, 0);
    let (from, to) = (receipt["gap"]["fromSeq"].as_u64(), receipt["gap"]["toSeq"].as_u64());
    let (from, to) = (from.unwrap(), to.unwrap());
    assert!(from < to, "{receipt}");
    fs::write(home.path().join("go"), "").unwrap();
    let (pieces, end) = wire.rest();
    assert_eq!(end["outputBytes"], 3_000_012, "{end}");
    let kept: usize = pieces.iter().map(|(_, text)| text.len()).sum();
    assert_eq!(kept, 1024 * 1024 + 11);
    let (last, text) = pieces.last().unwrap();
    assert_eq!((*last, text.as_str()), (to + 1, "last words\n"));
    assert_eq!(pieces[pieces.len() - 2].0, from);
    // It is known later too, and told to people.
    let receipt = Wire::greeted(&home).watch(&session, 0);
    assert_eq!(receipt["gap"], json!({"fromSeq": from, "toSeq": to + 1}), "{receipt}");
    assert_eq!(Wire::greeted(&home).watch(&session, to + 1)["gap"], Value::Null);
    let said = home.run(&["sessions", "attach", &session]);
    let words = format!("output is missing here, more than is kept (pieces {from} to {})", to + 1);
    assert!(said.stderr.contains(&words), "{}", said.stderr);
}

#[test]
fn a_reader_who_does_not_read_slows_its_run_and_loses_nothing() {
    let home = Home::new();
    home.start_gateway();
    let line = "head -c 900000 /dev/zero | tr '\\0' x; echo $$ > half; \
                while [ ! -e go ]; do sleep 0.01; done; head -c 4000000 /dev/zero | tr '\\0' y; \
                echo $$ > said";
    let session = begin(&home, line);
    home.wait_for_file("half");
    let mut wire = Wire::greeted(&home);
    wire.ask_for("sessions.watch", json!({"session": session}));
    let receipt = wire.until(|frame| frame["type"] == "res");
    assert_eq!(receipt["ok"], true, "{receipt}");
    fs::write(home.path().join("go"), "").unwrap();
    // Others are served meanwhile.
    assert_eq!(home.run(&["spawn", "--", "true"]).status, 0);
    assert!(!home.path().join("said").exists());
    let (pieces, end) = wire.rest();
    let bytes: usize = pieces.iter().map(|(_, text)| text.len()).sum();
    assert_eq!((bytes, &end["status"]), (4_900_000, &"ok".into()));
}

#[test]
fn a_run_sees_its_own_tree_and_nothing_beside_it() {
    let home =
        Home::with_config("{ agents: { defaults: { subagents: { maxSpawnDepth: 2 } } } }", "");
    home.start_gateway();
    let beside = begin(&home, "echo beside");
    let line = format!(
        "hatchery sessions attach {beside}; echo $?; \
         hatchery spawn --runtime local -- echo below >/dev/null; \
         hatchery sessions attach $(hatchery sessions list --json | \
           grep -o 'sess_[a-z0-9]*' | sort -u | grep -v -e main -e $HATCHERY_SESSION)"
    );
    let said = home.run(&["spawn", "--runtime", "local", "--", &line]);
    assert!(said.stderr.contains("there is no session"), "{said:?}");
    assert!(said.stdout.contains("\n1\n") && said.stdout.contains("\nbelow\n"), "{said:?}");
}

/// What a command says that lost its gateway, and what becomes of its run.
fn lost_its_gateway(home: &Home, command: Child) -> Said {
    let said = Said::from(command.wait_with_output().unwrap());
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.stderr.contains("the connection to the gateway broke; coming back"), "{said:?}");
    assert!(said.stderr.contains("Task interrupted: the gateway ended while it ran"), "{said:?}");
    assert_eq!(home.sessions()[0].1, "interrupted");
    said
}

#[test]
fn a_spawn_whose_gateway_is_killed_and_started_again_ends_with_what_became_of_it() {
    let home = Home::new();
    let gateway = home.start_gateway();
    let mut command = home.begin(&["spawn", "--runtime", "local", "--", COUNTING]);
    go(&home, 1..=2);
    let first = read_until(&mut command, "line 2\n");
    kill(Pid::from_raw(gateway), Signal::SIGKILL).unwrap();
    wait_until("it is gone", || !is_alive(gateway));
    home.start_gateway();
    let said = lost_its_gateway(&home, command);
    // What was shown before is not shown again.
    assert!(first.contains("line 1\nline 2\n"), "{first}");
    assert_eq!(said.stdout, "", "{said:?}");
}

#[test]
fn a_spawn_as_json_and_an_attached_reader_survive_the_gateway_too() {
    let home = Home::new();
    let gateway = home.start_gateway();
    let command = home.begin(&["spawn", "--json", "--runtime", "local", "--", COUNTING]);
    go(&home, 1..=2);
    wait_until("it runs", || home.sessions()[0].1 == "running");
    let session = home.sessions()[0].0.clone();
    let mut attached = home.begin(&["sessions", "attach", &session]);
    read_until(&mut attached, "line 2\n");
    kill(Pid::from_raw(gateway), Signal::SIGKILL).unwrap();
    wait_until("it is gone", || !is_alive(gateway));
    home.start_gateway();
    let said = Said::from(command.wait_with_output().unwrap());
    assert_eq!((said.status, &said.json()["status"]), (1, &"interrupted".into()), "{said:?}");
    lost_its_gateway(&home, attached);
}

#[test]
fn a_command_waiting_for_its_gateway_can_be_left() {
    let home = Home::new();
    let gateway = home.start_gateway();
    let mut command = home.begin(&["spawn", "--runtime", "local", "--", COUNTING]);
    go(&home, [1]);
    read_until(&mut command, "line 1\n");
    kill(Pid::from_raw(gateway), Signal::SIGKILL).unwrap();
    let mut stderr = command.stderr.take().unwrap();
    let mut seen = String::new();
    while !seen.contains("coming back\n") {
        let mut byte = [0];
        assert_eq!(stderr.read(&mut byte).unwrap(), 1, "{seen}");
        seen.push(char::from(byte[0]));
    }
    kill(Pid::from_raw(i32::try_from(command.id()).unwrap()), Signal::SIGINT).unwrap();
    assert_eq!(command.wait().unwrap().code(), Some(130));
    stderr.read_to_string(&mut seen).unwrap();
    assert!(seen.contains("left; see `hatchery sessions show sess_"), "{seen}");
}

/// A gateway in front that asks silent clients for a sign of life this often, and its port.
fn with_pulse(home: &Home, pulse: &str) -> (Child, u16) {
    let words = ["gateway", "run", "--port", "0", "--pulse", pulse];
    let mut command = home.command(&words);
    let gateway = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("the gateway is up", || home.run(&["gateway", "status"]).status == 0);
    let address = home.ask(&["gateway", "status"])["address"].as_str().unwrap().to_owned();
    (gateway, address.rsplit(':').next().unwrap().parse().unwrap())
}

#[test]
fn a_client_that_answers_pings_is_kept_through_a_long_silence_and_one_that_does_not_is_let_go() {
    let home =
        Home::with_config("", &format!("{{ gateway: {{ auth: {{ token: '{SECRET}' }} }} }}"));
    let (mut gateway, port) = with_pulse(&home, "500ms");
    let session = begin(&home, COUNTING);
    let mut watching = as_device(port);
    watching.watch(&session, 0);
    // This one hears pings and says nothing to them.
    let (mut mute, hello) =
        crate::device::Device::new(2).connect(port, &json!({"token": SECRET}), &["operator.read"]);
    assert_eq!(hello["ok"], true, "{hello}");
    let silent = std::thread::spawn(move || {
        // Nothing but pings comes meanwhile; they are answered while it waits.
        let piece = watching.piece();
        (piece, watching)
    });
    for _ in 0..2 {
        assert_eq!(mute.closing(), (4000, "no sign of life".to_owned()));
        let (again, hello) = crate::device::Device::new(2).connect(
            port,
            &json!({"token": SECRET}),
            &["operator.read"],
        );
        assert_eq!(hello["ok"], true, "{hello}");
        mute = again;
    }
    assert!(!silent.is_finished(), "whoever answers is kept");
    count(&home, &session, 1..=9);
    let (first, mut watching) = silent.join().unwrap();
    assert_eq!(first, (1, "line 1\n".to_owned()));
    let (rest, end) = watching.rest();
    assert_eq!((rest, &end["exitCode"]), (lines(2..=9), &7.into()));
    kill(Pid::from_raw(i32::try_from(gateway.id()).unwrap()), Signal::SIGTERM).unwrap();
    assert!(gateway.wait().unwrap().success());
}
