//! Requests on connections that are there.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tungstenite::Utf8Bytes;

use super::Target;
use super::socket::Socket;
use crate::failure::Failure;
use crate::samples::Samples;
use crate::table::{Against, Table};

const ROUND_TRIPS: usize = 3_000;

/// How long requests are counted.
const COUNTED: Duration = Duration::from_secs(3);

/// A round trip may take so many halves of an echo.
const AIM_HALF_ECHOES: u32 = 3;

/// How many requests that open sessions are under way at a time.
const OPENING: usize = 64;

/// One request after another.
pub(crate) fn round_trips(
    target: &Target,
    method: &str,
    echo: Duration,
    table: &mut Table,
) -> Result<(), Failure> {
    let mut socket = Socket::connect(target)?;
    let frame = request(method);
    let mut samples = Vec::with_capacity(ROUND_TRIPS);
    for _ in 0..ROUND_TRIPS {
        let before = Instant::now();
        socket.send(&frame)?;
        good(method, socket.next_answer()?)?;
        samples.push(before.elapsed());
    }
    let against =
        Against { aim: Some(echo * AIM_HALF_ECHOES / 2), floor: Some((echo, "TCP echo")) };
    table.time(format!("`{method}`, there and back"), &Samples::new(samples), &against);
    Ok(())
}

/// As many requests as are answered, with so many under way on each of so many connections.
pub(crate) fn per_second(
    target: &Target,
    method: &str,
    clients: usize,
    window: usize,
    table: &mut Table,
) -> Result<(), Failure> {
    let sockets = (0..clients).map(|_| Socket::connect(target)).collect::<Result<Vec<_>, _>>()?;
    let frame = request(method);
    let until = Instant::now() + COUNTED;
    let answered: Vec<Result<u64, Failure>> = thread::scope(|scope| {
        let threads: Vec<_> = sockets
            .into_iter()
            .map(|socket| scope.spawn(|| answered(socket, method, &frame, window, until)))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(Ok(0))).collect()
    });
    let answered = answered.into_iter().sum::<Result<u64, Failure>>()?;
    let figure = format!("`{method}`, {clients} × {window} under way");
    table.rate(figure, answered as f64 / COUNTED.as_secs_f64(), "requests/s");
    Ok(())
}

fn answered(
    mut socket: Socket,
    method: &str,
    frame: &Utf8Bytes,
    window: usize,
    until: Instant,
) -> Result<u64, Failure> {
    let mut answered = 0;
    let mut due = window;
    while Instant::now() < until {
        // Half a window at a time, so that the gateway never runs dry and a system call carries
        // more than one frame.
        for _ in 0..due {
            socket.put(frame)?;
        }
        socket.flush()?;
        due = (window / 2).max(1);
        for _ in 0..due {
            good(method, socket.next_answer()?)?;
        }
        answered += due as u64;
    }
    Ok(answered)
}

/// Opens sessions until this run has opened so many.
pub(crate) fn open_sessions(target: &Target, many: usize) -> Result<(), Failure> {
    let mut socket = Socket::connect(target)?;
    for opened in (0..many).step_by(OPENING) {
        let batch = OPENING.min(many - opened);
        for _ in 0..batch {
            let key = format!("agent:main:explicit:bench-{}", target.next_session());
            let params = json!({"key": key, "label": key});
            let frame =
                json!({"type": "req", "id": "s", "method": "sessions.create", "params": params});
            socket.put(&frame.to_string().into())?;
        }
        socket.flush()?;
        for _ in 0..batch {
            good("sessions.create", socket.next_answer()?)?;
        }
    }
    Ok(())
}

fn request(method: &str) -> Utf8Bytes {
    json!({"type": "req", "id": "r", "method": method, "params": {}}).to_string().into()
}

fn good(method: &str, good: bool) -> Result<(), Failure> {
    if good { Ok(()) } else { Err(Failure::Refused(format!("`{method}` was refused"))) }
}
