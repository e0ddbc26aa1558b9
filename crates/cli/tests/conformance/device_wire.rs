//! A client of the device door that can do what a good client never would.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use hatchery_access::{DeviceKey, PayloadVersion};
use hatchery_protocol::ConnectParams;
use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::error::ProtocolError;
use tungstenite::protocol::CloseFrame;
use tungstenite::{Error, Message, WebSocket};

/// How long an answer may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection to the device door, greeted or not.
pub(crate) struct DeviceWire<S = TcpStream> {
    socket: WebSocket<S>,
    /// What the challenge gave to sign.
    pub(crate) nonce: String,
}

/// What comes over a connection.
#[derive(Debug, PartialEq)]
pub(crate) enum Heard {
    Frame(Value),
    /// The close frame.
    Closed(u16, String),
    /// The end without one.
    Lost,
}

/// Opens a TCP connection and says nothing.
pub(crate) fn tcp(port: u16) -> TcpStream {
    patient(TcpStream::connect(("127.0.0.1", port)).unwrap())
}

fn patient(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

impl DeviceWire {
    /// Opens a WebSocket and takes the challenge.
    pub(crate) fn open(port: u16) -> Self {
        Self::open_with(port, &[]).unwrap()
    }

    /// The same with further headers. An answer that is no upgrade is an error.
    pub(crate) fn open_with(port: u16, headers: &[(&'static str, &str)]) -> Result<Self, Error> {
        Self::open_at("127.0.0.1", port, headers)
    }

    /// The same at any address of this machine. `host` among the headers replaces the true one.
    pub(crate) fn open_at(
        address: &str,
        port: u16,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, Error> {
        let address: IpAddr = address.parse().unwrap();
        let place = SocketAddr::new(address, port);
        let mut request = format!("ws://{place}/").into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        Self::over(patient(TcpStream::connect(place).unwrap()), request)
    }

    /// Opens one and connects with these parameters.
    pub(crate) fn connected(port: u16, params: &Value) -> Self {
        let mut wire = Self::open(port);
        let hello = wire.connect(params);
        assert_eq!(hello["ok"], true, "{hello}");
        wire
    }
}

impl<S: Read + Write> DeviceWire<S> {
    /// Makes a WebSocket of a stream.
    pub(crate) fn over(
        stream: S,
        request: tungstenite::handshake::client::Request,
    ) -> Result<Self, Error> {
        let (socket, _) = tungstenite::client(request, stream).map_err(|error| match error {
            tungstenite::HandshakeError::Failure(error) => error,
            tungstenite::HandshakeError::Interrupted(_) => Error::AttackAttempt,
        })?;
        let mut wire = Self { socket, nonce: String::new() };
        // Where many wait, whoever waits longest is shown out before the challenge.
        let Heard::Frame(challenge) = wire.hear() else { return Err(Error::ConnectionClosed) };
        assert_eq!(challenge["event"], "connect.challenge");
        assert!(challenge.get("seq").is_none(), "{challenge}");
        wire.nonce = challenge["payload"]["nonce"].as_str().unwrap().to_owned();
        Ok(wire)
    }

    /// Sends a text as it is.
    pub(crate) fn say(&mut self, text: String) {
        self.socket.send(Message::text(text)).unwrap();
    }

    /// Asks `connect`, and gives the answer.
    pub(crate) fn connect(&mut self, params: &Value) -> Value {
        self.ask("connect", params)
    }

    /// Whether it is let in; it may be shown out at any time before that.
    pub(crate) fn comes_in(&mut self, params: &Value) -> bool {
        let frame = json!({"type": "req", "id": "1", "method": "connect", "params": params});
        self.socket.send(Message::text(frame.to_string())).is_ok()
            && matches!(self.hear(), Heard::Frame(answer) if answer["ok"] == true)
    }

    /// Asks, and waits for the answer. The id of the request is its method.
    pub(crate) fn ask(&mut self, method: &str, params: &Value) -> Value {
        let frame = json!({"type": "req", "id": method, "method": method, "params": params});
        self.say(frame.to_string());
        self.until(|frame| frame["type"] == "res")
    }

    /// Waits for a frame of a kind.
    pub(crate) fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let frame = self.frame();
            if wanted(&frame) {
                return frame;
            }
        }
    }

    /// The next frame.
    pub(crate) fn frame(&mut self) -> Value {
        match self.hear() {
            Heard::Frame(frame) => frame,
            other => panic!("a frame was expected: {other:?}"),
        }
    }

    /// Whatever comes next.
    pub(crate) fn hear(&mut self) -> Heard {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => {
                    return Heard::Frame(serde_json::from_str(&text).unwrap());
                }
                Ok(Message::Close(Some(CloseFrame { code, reason }))) => {
                    return Heard::Closed(code.into(), reason.to_string());
                }
                Ok(Message::Close(None)) => return Heard::Closed(1005, String::new()),
                Ok(_) => {}
                Err(
                    Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
                    | Error::ConnectionClosed
                    | Error::Io(_),
                ) => return Heard::Lost,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// How the connection ends; what comes before is passed over.
    pub(crate) fn end(&mut self) -> (u16, String) {
        loop {
            match self.hear() {
                Heard::Frame(_) => {}
                Heard::Closed(code, reason) => return (code, reason),
                Heard::Lost => panic!("the connection was cut without a word"),
            }
        }
    }
}

/// Parameters of a `connect` with the shared secret.
pub(crate) fn hello(secret: &str) -> Value {
    json!({
        "minProtocol": 4,
        "maxProtocol": 4,
        "client": {"id": "cli", "version": "1", "platform": "linux", "mode": "cli"},
        "role": "operator",
        "scopes": ["operator.read", "operator.write"],
        "auth": {"token": secret},
    })
}

/// The same parameters, signed by a device on a connection with this nonce.
pub(crate) fn signed(params: &Value, key: &DeviceKey, nonce: &str) -> Value {
    signed_by_clock(params, key, nonce, 0)
}

/// The same by a device whose clock goes so many milliseconds before ours.
pub(crate) fn signed_by_clock(params: &Value, key: &DeviceKey, nonce: &str, fast: i64) -> Value {
    let mut typed: ConnectParams = serde_json::from_value(params.clone()).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let at = i64::try_from(now.as_millis()).unwrap() + fast;
    typed.device = Some(key.prove(&typed, nonce, at, PayloadVersion::V3));
    serde_json::to_value(typed).unwrap()
}

/// A device of a test.
pub(crate) fn device(seed: u8) -> DeviceKey {
    DeviceKey::from_seed([seed; 32])
}
