//! A device as any program of somebody else's could be one: it knows the wire and nothing of ours.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// How long an answer may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A device key.
pub(crate) struct Device {
    key: SigningKey,
    /// The system it says it runs on.
    pub(crate) platform: &'static str,
}

/// A WebSocket to the gateway.
pub(crate) struct Socket(TcpStream);

/// What came on a WebSocket.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Heard {
    Frame(Value),
    Closed(u16, String),
}

impl Device {
    pub(crate) fn new(seed: u8) -> Self {
        Self { key: SigningKey::from_bytes(&[seed; 32]), platform: "linux" }
    }

    pub(crate) fn id(&self) -> String {
        let digest = Sha256::digest(self.key.verifying_key().as_bytes());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Connects with these credentials, asking for these scopes; gives the answer too.
    pub(crate) fn connect(&self, port: u16, auth: &Value, scopes: &[&str]) -> (Socket, Value) {
        let mut socket = Socket::open(port);
        let Heard::Frame(challenge) = socket.hear() else { panic!("no challenge") };
        let nonce = challenge["payload"]["nonce"].as_str().unwrap();
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let signed_at = u64::try_from(since.as_millis()).unwrap();
        let secrets = ["token", "deviceToken", "bootstrapToken"];
        let secret = secrets.iter().find_map(|name| auth[*name].as_str()).unwrap_or_default();
        let (id, platform) = (self.id(), self.platform);
        let payload = format!(
            "v3|{id}|cli|cli|operator|{}|{signed_at}|{secret}|{nonce}|{platform}|",
            scopes.join(",")
        );
        let signature = self.key.sign(payload.as_bytes());
        socket.say(&json!({"type": "req", "id": "c", "method": "connect", "params": {
            "minProtocol": 3, "maxProtocol": 4, "role": "operator", "scopes": scopes, "auth": auth,
            "client": {"id": "cli", "mode": "cli", "version": "1", "platform": platform},
            "device": {
                "id": id, "nonce": nonce, "signedAt": signed_at,
                "publicKey": URL_SAFE_NO_PAD.encode(self.key.verifying_key().as_bytes()),
                "signature": URL_SAFE_NO_PAD.encode(signature.to_bytes()),
            },
        }}));
        let answer = socket.answer();
        (socket, answer)
    }
}

impl Socket {
    pub(crate) fn open(port: u16) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
        Self(stream)
    }

    pub(crate) fn say(&mut self, frame: &Value) {
        let text = frame.to_string().into_bytes();
        let length = u16::try_from(text.len()).unwrap();
        let mut bytes = vec![0x81];
        if length < 126 {
            bytes.push(0x80 | length.to_be_bytes()[1]);
        } else {
            bytes.push(0x80 | 126);
            bytes.extend(length.to_be_bytes());
        }
        // A mask of zeros leaves the text as it is.
        bytes.extend([0; 4]);
        bytes.extend(text);
        self.0.write_all(&bytes).unwrap();
    }

    pub(crate) fn hear(&mut self) -> Heard {
        loop {
            let mut head = [0; 2];
            self.0.read_exact(&mut head).unwrap();
            let length = match head[1] & 0x7f {
                126 => {
                    let mut length = [0; 2];
                    self.0.read_exact(&mut length).unwrap();
                    usize::from(u16::from_be_bytes(length))
                }
                127 => {
                    let mut length = [0; 8];
                    self.0.read_exact(&mut length).unwrap();
                    usize::try_from(u64::from_be_bytes(length)).unwrap()
                }
                length => usize::from(length),
            };
            let mut body = vec![0; length];
            self.0.read_exact(&mut body).unwrap();
            match head[0] & 0x0f {
                1 => return Heard::Frame(serde_json::from_slice(&body).unwrap()),
                8 => {
                    let reason = String::from_utf8_lossy(&body[2..]).into_owned();
                    return Heard::Closed(u16::from_be_bytes([body[0], body[1]]), reason);
                }
                _ => {}
            }
        }
    }

    /// The next answer to a request.
    pub(crate) fn answer(&mut self) -> Value {
        loop {
            match self.hear() {
                Heard::Frame(frame) if frame["type"] == "res" => return frame,
                Heard::Frame(_) => {}
                closed => panic!("no answer came: {closed:?}"),
            }
        }
    }

    pub(crate) fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.say(&json!({"type": "req", "id": method, "method": method, "params": params}));
        self.answer()
    }

    /// How the connection was closed.
    pub(crate) fn closing(&mut self) -> (u16, String) {
        loop {
            if let Heard::Closed(code, reason) = self.hear() {
                return (code, reason);
            }
        }
    }
}
