//! What a child with bad intentions could try with its ticket. The conformance tests run it
//! inside and outside of runs; each answer of the gateway is one line on standard output.
#![allow(clippy::unwrap_used, missing_docs)]

use std::io::{BufRead, BufReader, IoSlice, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hatchery_sandbox::{TICKET_FD, take_ticket};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use serde_json::{Value, json};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let socket = |words: &[&str]| match words {
        [path, ..] => (*path).to_owned(),
        [] => std::env::var("HATCHERY_SOCKET").unwrap(),
    };
    match words.as_slice() {
        // Takes a ticket, shows it and stays, so that the run goes on.
        ["hold", file] => {
            std::fs::write(file, format!("{}\n", take())).unwrap();
            std::thread::park();
        }
        // Shows a ticket that came from elsewhere.
        ["show", file, rest @ ..] => {
            let ticket = std::fs::read_to_string(file).unwrap();
            println!("{}", Connection::open(&socket(rest), Some(ticket.trim())).1);
        }
        // Gives a good connection away, to a process outside of every run, and stays.
        ["give", path] => {
            let (connection, hello) = Connection::open(&socket(&[]), Some(&take()));
            let accomplice = UnixStream::connect(path).unwrap();
            let word = hello.to_string();
            let gift = [connection.0.get_ref().as_raw_fd()];
            sendmsg::<()>(
                accomplice.as_raw_fd(),
                &[IoSlice::new(word.as_bytes())],
                &[ControlMessage::ScmRights(&gift)],
                MsgFlags::empty(),
                None,
            )
            .unwrap();
            std::thread::park();
        }
        // Comes without a ticket.
        ["bare"] => println!("{}", Connection::open(&socket(&[]), None).1),
        // Uses one ticket twice.
        ["twice"] => {
            let ticket = take();
            for _ in 0..2 {
                println!("{}", Connection::open(&socket(&[]), Some(&ticket)).1);
            }
        }
        // Claims another parent, depth or workspace, and what only the owner may do.
        ["forge"] => {
            let (mut connection, hello) = Connection::open(&socket(&[]), Some(&take()));
            println!("{hello}");
            for (field, value) in [
                ("parent", json!("sess_main")),
                ("parentRunId", json!("x")),
                ("spawnedBy", json!("agent:main:main")),
                ("depth", json!(0)),
                ("spawnDepth", json!(0)),
                ("workspace", json!("/")),
                ("scopes", json!(["operator.admin"])),
            ] {
                let params = json!({"task": "true", field: value});
                println!("{}", connection.ask("sessions.spawn", params));
            }
            println!("{}", connection.ask("sessions.spawn", json!({"task": "true", "cwd": "/"})));
            for method in ["gateway.stop", "config.get"] {
                println!("{}", connection.ask(method, json!({})));
            }
            println!("{}", connection.ask("sessions.kill", json!({"session": "sess_main"})));
        }
        // Tries to speak in sessions, its own and the owner's, and to hear what is said there.
        ["talk"] => {
            let (mut connection, _) = Connection::open(&socket(&[]), Some(&take()));
            let own = std::env::var("HATCHERY_SESSION").unwrap();
            for (method, params) in [
                ("chat.send", json!({"sessionKey": "main", "message": "true"})),
                ("chat.send", json!({"sessionKey": own, "message": "true"})),
                ("chat.send", json!({"sessionKey": own, "message": "/subagents spawn main true"})),
                ("agent", json!({"message": "true", "idempotencyKey": "x"})),
                ("sessions.create", json!({})),
                ("sessions.reset", json!({"key": "main"})),
                ("sessions.subscribe", json!({})),
                ("sessions.messages.subscribe", json!({"key": "main"})),
                ("chat.abort", json!({"sessionKey": "main"})),
                ("chat.history", json!({"sessionKey": "main"})),
                ("agent.wait", json!({"runId": "owners", "timeoutMs": 10})),
            ] {
                println!("{}", connection.ask(method, params));
            }
        }
        other => panic!("unknown words: {other:?}"),
    }
}

fn take() -> String {
    STANDARD.encode(take_ticket(TICKET_FD).unwrap().unwrap())
}

struct Connection(BufReader<UnixStream>);

impl Connection {
    /// Connects and greets; gives the answer to the greeting.
    fn open(socket: &str, ticket: Option<&str>) -> (Self, Value) {
        let mut connection = Self(BufReader::new(UnixStream::connect(socket).unwrap()));
        let client = json!({"id": "test", "version": "0", "platform": "linux", "mode": "test"});
        let mut params = json!({"minProtocol": 4, "maxProtocol": 4, "client": client});
        if let Some(ticket) = ticket {
            params["auth"] = json!({"ticket": ticket});
        }
        let hello = connection.ask("connect", params);
        (connection, hello)
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        let request = json!({"type": "req", "id": "1", "method": method, "params": params});
        // A gateway that has turned us away has closed its end, but not without a word.
        self.0.get_mut().write_all(format!("{request}\n").as_bytes()).ok();
        loop {
            let mut line = String::new();
            let length = self.0.read_line(&mut line).unwrap();
            let frame: Value = serde_json::from_str(&line).unwrap_or_default();
            // What is told to everybody may come in between.
            if length == 0 || frame["type"] != "event" {
                return frame;
            }
        }
    }
}
