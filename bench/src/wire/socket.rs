//! One connection to the device door. It blocks: on two cores a client's own scheduler would be
//! measured along with the gateway.

use std::net::TcpStream;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hatchery_access::PayloadVersion;
use hatchery_protocol::{
    ClientInfo, ConnectAuth, ConnectParams, OLDEST_PROTOCOL_VERSION, PROTOCOL_VERSION, Secret,
};
use serde_json::{Value, json};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Message, Utf8Bytes, WebSocket};

use super::Target;
use crate::failure::Failure;

/// How much is read at a time, in bytes: small, since thousands of these are held.
const READ_BUFFER: usize = 4 * 1024;

/// After so long without a word a gateway counts as gone.
const PATIENCE: Duration = Duration::from_secs(60);

/// A greeted connection.
pub(crate) struct Socket {
    socket: WebSocket<TcpStream>,
    requests: u64,
}

impl Socket {
    /// Connects and greets, with a signed device and the shared token.
    pub(crate) fn connect(target: &Target) -> Result<Self, Failure> {
        let stream = TcpStream::connect(target.address).map_err(Failure::io("connecting"))?;
        stream.set_nodelay(true).map_err(Failure::io("connecting"))?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(Failure::io("connecting"))?;
        let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER);
        let url = format!("ws://{}/", target.address);
        let opened = tungstenite::client::client_with_config(url, stream, Some(config));
        let (socket, _) = opened.map_err(|error| Failure::Refused(error.to_string()))?;
        let mut socket = Self { socket, requests: 0 };
        let challenge = socket.next_value()?;
        let nonce = challenge["payload"]["nonce"].as_str().unwrap_or_default().to_owned();
        let params = serde_json::to_value(params(target, &nonce))?;
        let hello = socket.call("connect", params)?;
        if hello["type"] == "hello-ok" { Ok(socket) } else { Err(Failure::Disconnected) }
    }

    /// Asks and waits for the answer.
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Result<Value, Failure> {
        self.requests += 1;
        let id = self.requests.to_string();
        let frame = json!({"type": "req", "id": id, "method": method, "params": params});
        self.send(&frame.to_string().into())?;
        loop {
            let mut answer = self.next_value()?;
            if answer["type"] == "res" && answer["id"] == id.as_str() {
                if answer["ok"] == true {
                    return Ok(answer["payload"].take());
                }
                return Err(Failure::Refused(answer["error"].to_string()));
            }
        }
    }

    /// Sends a frame that was written before.
    pub(crate) fn send(&mut self, frame: &Utf8Bytes) -> Result<(), Failure> {
        self.socket.send(Message::Text(frame.clone())).map_err(failure)
    }

    /// Puts a frame that goes out with the next flush.
    pub(crate) fn put(&mut self, frame: &Utf8Bytes) -> Result<(), Failure> {
        self.socket.write(Message::Text(frame.clone())).map_err(failure)
    }

    /// Sends what was put.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.socket.flush().map_err(failure)
    }

    /// Waits for an answer to anything; gives whether it is a good one.
    pub(crate) fn next_answer(&mut self) -> Result<bool, Failure> {
        loop {
            let text = self.next_text()?;
            // The kind of a frame stands among its first members; the whole is not worth reading.
            let head = text.as_bytes().get(..128).unwrap_or(text.as_bytes());
            let says = |what: &[u8]| head.windows(what.len()).any(|window| window == what);
            if says(br#""type":"res""#) {
                return Ok(says(br#""ok":true"#));
            }
        }
    }

    fn next_value(&mut self) -> Result<Value, Failure> {
        Ok(serde_json::from_str(&self.next_text()?)?)
    }

    fn next_text(&mut self) -> Result<Utf8Bytes, Failure> {
        loop {
            match self.socket.read().map_err(failure)? {
                Message::Text(text) => return Ok(text),
                Message::Close(frame) => {
                    return Err(frame.map_or(Failure::Disconnected, |frame| {
                        Failure::Refused(format!("closed {}: {}", frame.code, frame.reason))
                    }));
                }
                _ => {}
            }
        }
    }
}

fn params(target: &Target, nonce: &str) -> ConnectParams {
    let mut params = ConnectParams::local(ClientInfo {
        id: "cli".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        platform: std::env::consts::OS.to_owned(),
        mode: "cli".to_owned(),
        ..ClientInfo::default()
    });
    params.min_protocol = OLDEST_PROTOCOL_VERSION;
    params.max_protocol = PROTOCOL_VERSION;
    params.role = Some("operator".to_owned());
    params.scopes =
        Some(["operator.admin", "operator.read", "operator.write"].map(str::to_owned).into());
    let token = Some(Secret::new(target.token.clone()));
    params.auth = Some(ConnectAuth { token, ..ConnectAuth::default() });
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_ms = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    params.device = Some(target.key.prove(&params, nonce, now_ms, PayloadVersion::V3));
    params
}

fn failure(error: tungstenite::Error) -> Failure {
    match error {
        tungstenite::Error::Io(source) => Failure::Io { what: "the connection", source },
        error => Failure::Refused(error.to_string()),
    }
}
