//! What strangers do a thousand times costs the gateway little and its owner nothing.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Mutex;
use std::thread;

use serde_json::{Value, json};

use crate::device_wire::{DeviceWire, device, hello, signed, tcp};
use crate::home::{Home, lan_address, wait_until};

const SECRET: &str = "a password";

/// How often strangers try.
const TRIES: usize = 1_000;

/// How many of them try at a time.
const AT_A_TIME: usize = 4;

/// How many wrong secrets of one address are looked at (`gateway.auth.rateLimit`).
const LOOKED_AT: usize = 10;

/// How many entries the journal may hold more for all of it: one for each source and minute, and
/// for the end and the start of a gateway.
const ENTRIES: usize = 12;

fn gateway(bind: &str) -> (Home, u16, u64) {
    let config = format!(
        "{{ gateway: {{ bind: '{bind}', auth: {{ mode: 'password', password: '{SECRET}' }} }} }}"
    );
    let home = Home::with_config("", &config);
    let said = home.run(&["gateway", "start", "--port", "0", "--json"]);
    assert_eq!(said.status, 0, "{said:?}");
    let said = said.json();
    let port = u16::try_from(said["port"].as_u64().unwrap()).unwrap();
    (home, port, said["pid"].as_u64().unwrap())
}

fn by_password(password: &str) -> Value {
    let mut params = hello("");
    params["auth"] = json!({"password": password});
    params
}

/// A device that was let in with the right password.
fn paired(port: u16) -> DeviceWire {
    let mut wire = DeviceWire::open(port);
    let nonce = wire.nonce.clone();
    let answer = wire.connect(&signed(&by_password(SECRET), &device(1), &nonce));
    assert_eq!(answer["ok"], true, "{answer}");
    wire
}

/// Tries a wrong password again and again; gives how often each code was the answer.
fn guess(port: u16, from: &[&str], headers: &[(&'static str, &str)]) -> BTreeMap<String, usize> {
    let codes = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for lane in 0..AT_A_TIME {
            let codes = &codes;
            scope.spawn(move || {
                for number in (lane..TRIES).step_by(AT_A_TIME) {
                    let place = from[number / AT_A_TIME % from.len()];
                    let mut wire = DeviceWire::open_at(place, port, headers).unwrap();
                    let mut params = by_password(&format!("guess {number}"));
                    if number % 2 == 0 {
                        params = signed(&params, &device(200), &wire.nonce);
                    }
                    let answer = wire.connect(&params);
                    assert_eq!(answer["ok"], false, "{answer}");
                    let code = answer["error"]["details"]["code"].as_str().unwrap().to_owned();
                    *codes.lock().unwrap().entry(code).or_default() += 1;
                }
            });
        }
    });
    codes.into_inner().unwrap()
}

fn counted(codes: &[(&str, usize)]) -> BTreeMap<String, usize> {
    codes.iter().map(|(code, count)| ((*code).to_owned(), *count)).collect()
}

fn entries(home: &Home) -> usize {
    home.ask(&["audit", "list", "--limit", "1000"])["entries"].as_array().unwrap().len()
}

/// Strangers guess; the owner and a device that is connected notice nothing.
fn guesses_change_nothing(
    bind: &str,
    from: &[&str],
    page: bool,
    expected: &[(&str, usize)],
) -> (Home, u16) {
    let (home, port, _) = gateway(bind);
    let mut live = paired(port);
    let before = entries(&home);
    let origin = format!("http://127.0.0.1:{port}");
    let headers = if page { vec![("origin", origin.as_str())] } else { Vec::new() };
    assert_eq!(guess(port, from, &headers), counted(expected), "{from:?}");
    assert_eq!(live.ask("health", &json!({}))["ok"], true);
    for words in [&["spawn", "--", "true"][..], &["devices", "list"], &["sessions", "list"]] {
        let said = home.run(words);
        assert_eq!(said.status, 0, "{said:?}");
    }
    // The spawn has its own entries; they are no more than those of one spawn.
    let after = entries(&home);
    assert!(after - before <= ENTRIES, "{before} entries before, {after} after");
    (home, port)
}

const LOCKED_OUT: [(&str, usize); 2] =
    [("AUTH_PASSWORD_MISMATCH", LOOKED_AT), ("AUTH_RATE_LIMITED", TRIES - LOOKED_AT)];

#[test]
fn a_thousand_guesses_from_one_address_are_ten() {
    let (home, port) = guesses_change_nothing("lan", &["127.0.0.1"], false, &LOCKED_OUT);
    // This machine has millions of addresses of its own; they are one.
    let mut other = DeviceWire::open_at("127.0.0.2", port, &[]).unwrap();
    let answer = other.connect(&by_password("guess"));
    assert_eq!(answer["error"]["details"]["code"], "AUTH_RATE_LIMITED", "{answer}");
    // Another machine is not held up by it.
    if let Some(lan) = lan_address() {
        let mut other = DeviceWire::open_at(&lan, port, &[]).unwrap();
        let answer = other.connect(&by_password(SECRET));
        assert_eq!(answer["ok"], true, "{answer}");
    }
    // What was counted is written at the end, and the chain is whole.
    assert_eq!(home.run(&["gateway", "stop"]).status, 0);
    let folded = home.ask(&["audit", "list", "--kind", "folded", "--limit", "1000"]);
    let folded = folded["entries"].as_array().unwrap();
    assert!(folded.len() <= ENTRIES, "{folded:?}");
    let refusals = folded.iter().filter_map(|entry| entry["body"]["refusals"].as_object());
    let counts = refusals.flat_map(|refusals| refusals.values()).filter_map(Value::as_u64);
    assert!(counts.sum::<u64>() > TRIES as u64);
    assert_eq!(home.run(&["audit", "verify"]).status, 0);
}

#[test]
fn a_thousand_guesses_from_the_same_address_in_other_words_are_ten_together() {
    let places = ["127.0.0.1", "::ffff:127.0.0.1", "::1", "127.0.0.2"];
    guesses_change_nothing("::", &places, false, &LOCKED_OUT);
}

#[test]
fn a_thousand_guesses_from_a_page_are_ten() {
    guesses_change_nothing("loopback", &["127.0.0.1"], true, &LOCKED_OUT);
}

#[test]
fn a_thousand_guesses_from_a_page_of_somebody_else_are_none() {
    let (_home, port, _) = gateway("loopback");
    let origin = [("origin", "https://elsewhere.example")];
    let codes = guess(port, &["127.0.0.1"], &origin);
    assert_eq!(codes, counted(&[("CONTROL_UI_ORIGIN_NOT_ALLOWED", TRIES)]));
    // And so nobody is locked out by it.
    paired(port);
}

/// What the gateway's process has in memory, in KiB.
fn resident(pid: u64) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// How many sockets and files it has open.
fn open_files(pid: u64) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// How many sockets of one address may wait to be let in, and as many who are on
/// their way out.
const WAITING: usize = 128 + 128;

/// How much memory those sockets may take, in KiB.
const MEMORY: u64 = 16 * 1024;

#[test]
fn sockets_that_never_speak_are_few_at_a_time_and_cost_little() {
    let (home, port, pid) = gateway("loopback");
    let mut live = paired(port);
    // Some say nothing, some begin a request, some become a WebSocket and stop there.
    let half_a_head = |mut stream: TcpStream| {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: ").ok();
        stream
    };
    let (before, mut silent, mut upgraded) = (resident(pid), Vec::new(), Vec::new());
    let (files, mut most) = (open_files(pid), 0);
    for number in 0..TRIES {
        match number % 3 {
            0 => silent.push(tcp(port)),
            1 => silent.push(half_a_head(tcp(port))),
            // There is no room for a newcomer before the others had their time.
            _ => upgraded.extend(DeviceWire::open_with(port, &[]).ok()),
        }
        most = most.max(open_files(pid));
    }
    assert!(!upgraded.is_empty());
    assert!(most <= files + WAITING, "{most} files were open, {files} before");
    let grown = resident(pid).saturating_sub(before);
    assert!(grown <= MEMORY, "{grown} KiB more than {before} KiB");
    assert_eq!(live.ask("health", &json!({}))["ok"], true);
    assert_eq!(home.run(&["spawn", "--", "true"]).status, 0);
    wait_until("a newcomer is let in", || {
        let wire = DeviceWire::open_with(port, &[]);
        wire.is_ok_and(|mut wire| wire.comes_in(&by_password(SECRET)))
    });
}
