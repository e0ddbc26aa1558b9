//! A client of the owner's socket whose gateway may die at any moment.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::home::Home;

/// How long a gateway that lives may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Client {
    reader: BufReader<UnixStream>,
    /// What has come of a line that is not whole yet.
    line: Vec<u8>,
}

/// What was heard.
pub(crate) enum Heard {
    Frame(Value),
    /// Nothing until then.
    Nothing,
    /// The gateway is gone.
    Gone,
}

impl Client {
    /// Connects as the owner, if there is a gateway that lives for so long.
    pub(crate) fn connect(home: &Home) -> Option<Self> {
        let stream = UnixStream::connect(home.state_directory().join("gateway.sock")).ok()?;
        let mut client = Self { reader: BufReader::new(stream), line: Vec::new() };
        let hello = json!({
            "minProtocol": 4,
            "maxProtocol": 4,
            "client": {"id": "test", "version": "0", "platform": "linux", "mode": "cli"},
        });
        client.send("connect", "connect", &hello);
        match client.hear(Instant::now() + PATIENCE) {
            Heard::Frame(hello) => {
                assert_eq!(hello["ok"], true, "{hello}");
                Some(client)
            }
            Heard::Nothing => panic!("the gateway does not answer"),
            Heard::Gone => None,
        }
    }

    /// Sends a request; that nobody takes it any more shows when its answer is waited for.
    pub(crate) fn send(&mut self, id: &str, method: &str, params: &Value) {
        let frame = json!({"type": "req", "id": id, "method": method, "params": params});
        self.reader.get_mut().write_all(format!("{frame}\n").as_bytes()).ok();
    }

    /// Sends a request and waits until it is answered, or whoever had it is gone.
    pub(crate) fn tell(&mut self, method: &str, params: &Value) {
        self.send(method, method, params);
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.hear(deadline) {
                Heard::Frame(frame) if frame["type"] == "res" && frame["id"] == method => return,
                Heard::Frame(_) => {}
                Heard::Nothing => panic!("no answer to {method}"),
                Heard::Gone => return,
            }
        }
    }

    /// The next frame, if it comes by then.
    pub(crate) fn hear(&mut self, deadline: Instant) -> Heard {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Heard::Nothing;
            }
            self.reader.get_mut().set_read_timeout(Some(left)).unwrap();
            match self.reader.read_until(b'\n', &mut self.line) {
                Ok(0) => return Heard::Gone,
                Ok(_) if self.line.ends_with(b"\n") => {
                    let line = std::mem::take(&mut self.line);
                    return Heard::Frame(serde_json::from_slice(&line).unwrap());
                }
                // A frame that was cut off by the end of its writer.
                Ok(_) => return Heard::Gone,
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Heard::Gone,
            }
        }
    }

    /// The answer of a gateway that is to live.
    pub(crate) fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.send(method, method, params);
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.hear(deadline) {
                Heard::Frame(frame) if frame["type"] == "res" && frame["id"] == method => {
                    return frame;
                }
                Heard::Frame(_) => {}
                Heard::Nothing => panic!("no answer to {method}"),
                Heard::Gone => panic!("the gateway is gone, and was to answer {method}"),
            }
        }
    }

    /// What a gateway that is to live answers well.
    pub(crate) fn ok(&mut self, method: &str, params: &Value) -> Value {
        let mut answer = self.ask(method, params);
        assert_eq!(answer["ok"], true, "{method}: {answer}");
        answer["payload"].take()
    }
}
