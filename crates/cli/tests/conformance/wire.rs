//! A client of the owner's socket that can do what a good client never would.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::home::Home;

/// How long an answer may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection to the owner's socket, greeted or not.
pub(crate) struct Wire {
    reader: BufReader<UnixStream>,
}

impl Wire {
    /// Connects and says nothing.
    pub(crate) fn silent(home: &Home) -> Self {
        let stream = UnixStream::connect(home.state_directory().join("gateway.sock")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { reader: BufReader::new(stream) }
    }

    /// Connects as the owner.
    pub(crate) fn greeted(home: &Home) -> Self {
        let mut wire = Self::silent(home);
        let hello = wire.ask("connect", hello());
        assert_eq!(hello["ok"], true, "{hello}");
        wire
    }

    /// Writes bytes as they are.
    pub(crate) fn say(&mut self, bytes: &[u8]) {
        self.reader.get_mut().write_all(bytes).unwrap();
    }

    /// Writes bytes to somebody who may have hung up already.
    pub(crate) fn say_if_heard(&mut self, bytes: &[u8]) {
        self.reader.get_mut().write_all(bytes).ok();
    }

    /// Says that nothing more comes.
    pub(crate) fn stop_talking(&mut self) {
        self.reader.get_mut().shutdown(Shutdown::Write).unwrap();
    }

    /// The next frame.
    pub(crate) fn next(&mut self) -> Value {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    /// Asks, and waits for the answer. The id of the request is its method.
    pub(crate) fn ask(&mut self, method: &str, params: Value) -> Value {
        self.say(&request(method, params));
        loop {
            let frame = self.next();
            if frame["type"] == "res" {
                return frame;
            }
        }
    }

    /// Waits until the other end has hung up; gives what it still said.
    pub(crate) fn until_closed(mut self) -> String {
        let mut rest = Vec::new();
        // A reset is a way of hanging up too.
        self.reader.read_to_end(&mut rest).ok();
        String::from_utf8_lossy(&rest).into_owned()
    }
}

/// A request as one line.
pub(crate) fn request(method: &str, params: Value) -> Vec<u8> {
    let frame = json!({"type": "req", "id": method, "method": method, "params": params});
    let mut line = frame.to_string().into_bytes();
    line.push(b'\n');
    line
}

/// The parameters of a good `connect`.
pub(crate) fn hello() -> Value {
    json!({
        "minProtocol": 4,
        "maxProtocol": 4,
        "client": {"id": "test", "version": "0", "platform": "linux", "mode": "cli"},
    })
}
