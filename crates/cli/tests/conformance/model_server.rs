//! A model server on loopback that speaks the wire of OpenAI's chat completions as real ones do,
//! and misbehaves on request. Used by the tests of the agent and by those of the whole program.
//!
//! Threads and blocking sockets only, so that it serves any test whatever runs it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Value, json};

/// How long anything here is waited for before a test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// How one request is answered.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// `echo: ` and the last thing the user said, in several pieces.
    Echo,
    /// These pieces, then a proper end.
    Say(Vec<String>),
    /// A plain response.
    Status(u16, Vec<(&'static str, String)>, String),
    /// Step by step.
    Steps(Vec<Step>),
}

/// One step of a reply.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// The head of a stream of events.
    Head,
    /// A piece of text.
    Text(String),
    /// Any event.
    Event(String),
    /// The reason to end, and the tokens.
    Finish(&'static str),
    /// `[DONE]` and the end of the response.
    Done,
    /// The end of the response, whatever came before.
    End,
    /// Bytes as they are, below HTTP.
    Bytes(Vec<u8>),
    /// The same byte again and again until the client leaves, in the response.
    Flood(u8),
    /// Waits until the test opens the gate.
    Wait(Gate),
    /// Waits until the client leaves.
    Hold,
}

/// Something a reply waits for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Value,
    /// The connection it came on, counted from 1.
    pub(crate) connection: usize,
}

/// The server. It serves until the test's process ends.
pub(crate) struct ModelServer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    replies: Vec<Reply>,
    received: Vec<Received>,
    connections: usize,
    left: usize,
}

impl Gate {
    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let closed = self.0.0.lock().unwrap();
        let (open, _) = self.0.1.wait_timeout_while(closed, PATIENCE, |open| !*open).unwrap();
        assert!(*open, "the gate was not opened");
    }
}

impl Reply {
    /// An error in the form providers use.
    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        let body = json!({ "error": { "message": message, "type": "error", "code": code } });
        Self::Status(status, Vec::new(), body.to_string())
    }
}

impl ModelServer {
    /// Answers the first request with the first reply and so on; the last one again and again.
    /// Without any it echoes.
    pub(crate) fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        shared.state().replies = replies.into_iter().collect();
        let server = Self { address, shared: Arc::clone(&shared) };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || shared.serve(stream));
            }
        });
        server
    }

    /// What `baseUrl` is set to.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<Received> {
        self.shared.state().received.clone()
    }

    /// Returns once that many requests have come.
    pub(crate) fn wait_for_requests(&self, count: usize) {
        self.shared.wait(|state| state.received.len() >= count, "the requests did not come");
    }

    /// Returns once that many clients have left in the middle of a reply.
    pub(crate) fn wait_for_leaving(&self, count: usize) {
        self.shared.wait(|state| state.left >= count, "the client did not leave");
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn wait(&self, enough: impl Fn(&State) -> bool, otherwise: &str) {
        let waited =
            self.changed.wait_timeout_while(self.state(), PATIENCE, |state| !enough(state));
        assert!(!waited.unwrap().1.timed_out(), "{otherwise}");
    }

    fn serve(&self, stream: TcpStream) {
        let connection = {
            let mut state = self.state();
            state.connections += 1;
            state.connections
        };
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut client = Client { stream, model: String::new() };
        while let Some(received) = receive(&mut reader, connection) {
            let echo = last_words(&received.body);
            client.model = received.body["model"].as_str().unwrap_or_default().to_owned();
            let reply = {
                let mut state = self.state();
                state.received.push(received);
                self.changed.notify_all();
                let last = state.replies.len().saturating_sub(1);
                let turn = (state.received.len() - 1).min(last);
                state.replies.get(turn).cloned().unwrap_or(Reply::Echo)
            };
            if client.answer(reply, &echo).is_err() {
                self.state().left += 1;
                self.changed.notify_all();
                return;
            }
        }
    }
}

struct Client {
    stream: TcpStream,
    model: String,
}

impl Client {
    /// An error means that the client has left, or that this side is to close the connection.
    fn answer(&mut self, reply: Reply, echo: &str) -> std::io::Result<()> {
        let steps = match reply {
            Reply::Echo => {
                let half = echo.floor_char_boundary(echo.len() / 2);
                let pieces = ["echo: ", &echo[..half], &echo[half..]];
                whole(pieces.iter().map(|piece| (*piece).to_owned()))
            }
            Reply::Say(pieces) => whole(pieces),
            Reply::Status(status, headers, body) => return self.plain(status, &headers, &body),
            Reply::Steps(steps) => steps,
        };
        for step in steps {
            self.step(step)?;
        }
        Ok(())
    }

    fn step(&mut self, step: Step) -> std::io::Result<()> {
        match step {
            Step::Head => self.stream.write_all(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\
                  transfer-encoding: chunked\r\n\r\n",
            ),
            Step::Text(text) => {
                let choice =
                    json!({ "index": 0, "delta": { "content": text }, "finish_reason": null });
                self.event(&self.piece(&json!([choice]), None))
            }
            Step::Event(data) => self.event(&data),
            Step::Finish(reason) => {
                let choice = json!({ "index": 0, "delta": {}, "finish_reason": reason });
                self.event(&self.piece(&json!([choice]), None))?;
                let usage = json!({ "prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18,
                    "prompt_tokens_details": { "cached_tokens": 3 } });
                self.event(&self.piece(&json!([]), Some(usage)))
            }
            Step::Done => {
                self.event("[DONE]")?;
                self.stream.write_all(b"0\r\n\r\n")
            }
            Step::End => self.stream.write_all(b"0\r\n\r\n"),
            Step::Bytes(bytes) => self.stream.write_all(&bytes),
            Step::Flood(byte) => loop {
                self.chunk(&vec![byte; 64 * 1024])?;
            },
            Step::Wait(gate) => {
                gate.pass();
                Ok(())
            }
            Step::Hold => {
                // Whatever the client sends now, it sends because it goes.
                while self.stream.read(&mut [0; 64])? > 0 {}
                Err(std::io::ErrorKind::ConnectionAborted.into())
            }
        }
    }

    fn plain(
        &mut self,
        status: u16,
        headers: &[(&'static str, String)],
        body: &str,
    ) -> std::io::Result<()> {
        let mut head = format!(
            "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        self.stream.write_all(format!("{head}\r\n{body}").as_bytes())
    }

    fn event(&mut self, data: &str) -> std::io::Result<()> {
        self.chunk(format!("data: {data}\n\n").as_bytes())
    }

    fn chunk(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        self.stream.write_all(&chunk)
    }

    /// The model says that it is a dated one, as real ones do.
    fn piece(&self, choices: &Value, usage: Option<Value>) -> String {
        json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1,
            "model": format!("{}-2026-01-01", self.model), "choices": choices, "usage": usage,
        })
        .to_string()
    }
}

fn whole(pieces: impl IntoIterator<Item = String>) -> Vec<Step> {
    let mut steps = vec![Step::Head];
    steps.extend(pieces.into_iter().map(Step::Text));
    steps.extend([Step::Finish("stop"), Step::Done]);
    steps
}

fn receive(reader: &mut impl BufRead, connection: usize) -> Option<Received> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|&read| read > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Some(Received { path, headers, body, connection })
}

/// The last thing the user said.
fn last_words(body: &Value) -> String {
    let messages = body["messages"].as_array().cloned().unwrap_or_default();
    let last = messages.iter().rev().find(|message| message["role"] == "user");
    let content = last.map(|message| message["content"].clone()).unwrap_or_default();
    content.as_str().map_or_else(|| content.to_string(), str::to_owned)
}
