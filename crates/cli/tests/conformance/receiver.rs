//! A receiver of webhooks on loopback, which answers as it is told and keeps what it got.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use serde_json::Value;

/// An answer: its status, one header of its own, and its body.
pub(crate) type Answer = (u16, &'static str, &'static str);

pub(crate) const TAKEN: Answer = (200, "x: y", "");

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) request: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Value,
}

/// It takes connections and answers none of them before it is let go on.
pub(crate) struct Crowd {
    address: SocketAddr,
    open: Arc<(Mutex<Open>, Condvar)>,
}

#[derive(Default)]
struct Open {
    now: usize,
    most: usize,
    let_go: bool,
}

impl Crowd {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let open = Arc::new((Mutex::new(Open::default()), Condvar::new()));
        let crowd = Self { address, open: Arc::clone(&open) };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let open = Arc::clone(&open);
                std::thread::spawn(move || hold(stream, &open));
            }
        });
        crowd
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// How many requests wait for their answer, and how many ever did at a time.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        let open = self.open.0.lock().unwrap();
        (open.now, open.most)
    }

    pub(crate) fn let_go(&self) {
        self.open.0.lock().unwrap().let_go = true;
        self.open.1.notify_all();
    }
}

fn hold(stream: TcpStream, (open, changed): &(Mutex<Open>, Condvar)) {
    let mut reader = BufReader::new(stream);
    if receive(&mut reader).is_none() {
        return;
    }
    let mut open = open.lock().unwrap();
    open.now += 1;
    open.most = open.most.max(open.now);
    let mut open = changed.wait_while(open, |open| !open.let_go).unwrap();
    open.now -= 1;
    drop(open);
    let answer = "HTTP/1.1 204 Taken\r\nconnection: close\r\n\r\n";
    reader.get_mut().write_all(answer.as_bytes()).ok();
}

/// It serves until the test's process ends.
pub(crate) struct Receiver {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    answers: VecDeque<Answer>,
    letters: Vec<Letter>,
}

impl Letter {
    /// A header's value; empty where it is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(of, _)| of == name).map_or("", |(_, value)| value)
    }
}

impl Receiver {
    /// Gives the answers one after another, and the last one again and again.
    pub(crate) fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), answers)
    }

    /// The same at an address of one's choice.
    pub(crate) fn start_at(at: SocketAddr, answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind(at).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let receiver = Self { address, state: Arc::clone(&state) };
        receiver.answer(answers);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                serve(stream, &state);
            }
        });
        receiver
    }

    /// An address where nobody listens yet.
    pub(crate) fn address_of_nobody() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    /// From now on these are the answers.
    pub(crate) fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        self.state().answers = answers.into_iter().collect();
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn letters(&self) -> Vec<Letter> {
        self.state().letters.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

fn serve(stream: TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream);
    let Some(letter) = receive(&mut reader) else { return };
    let (status, header, body) = {
        let mut state = state.lock().unwrap();
        state.letters.push(letter);
        let next = if state.answers.len() > 1 { state.answers.pop_front() } else { None };
        next.or_else(|| state.answers.front().copied()).unwrap_or(TAKEN)
    };
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status} Status\r\n{header}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    // Whoever has heard enough may be gone.
    reader.get_mut().write_all(answer.as_bytes()).ok();
}

fn receive(reader: &mut impl BufRead) -> Option<Letter> {
    let mut request = String::new();
    reader.read_line(&mut request).ok().filter(|&read| read > 0)?;
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
    Some(Letter { request: request.trim_end().to_owned(), headers, body })
}
