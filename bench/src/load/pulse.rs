//! Somebody who asks the gateway how it is, again and again, and beside it an echo that answers
//! from this very process: what is slow in both is the machine.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hatchery_protocol::Method;

use crate::client::Client;
use crate::failure::Failure;
use crate::samples::Samples;

/// How long it waits between an answer and the next question.
const PAUSE: Duration = Duration::from_millis(5);

/// A thread that asks.
pub(super) struct Pulse {
    ended: Arc<AtomicBool>,
    thread: JoinHandle<Result<Beats, Failure>>,
}

/// How long the answers took.
#[derive(Clone, Debug)]
pub(crate) struct Beats {
    /// Of `health`, on a connection of its own.
    pub(super) health: Samples,
    /// Of the echo.
    pub(super) echo: Samples,
}

impl Pulse {
    pub(super) fn start(socket: PathBuf) -> Result<Self, Failure> {
        let ended = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&ended);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(Failure::io("starting a thread that asks"))?;
        let thread = thread::spawn(move || runtime.block_on(beat(&socket, &is_over)));
        Ok(Self { ended, thread })
    }

    pub(super) fn stop(self) -> Result<Beats, Failure> {
        self.ended.store(true, Ordering::Relaxed);
        let panicked = |_| Failure::Wrong {
            what: "asking for `health`".to_owned(),
            how: "the thread has panicked".to_owned(),
        };
        self.thread.join().map_err(panicked)?
    }
}

async fn beat(socket: &Path, is_over: &AtomicBool) -> Result<Beats, Failure> {
    let mut client = Client::connect(socket).await?.ok_or(Failure::Disconnected)?;
    let (mut near, mut far) = UnixStream::pair().map_err(Failure::io("the echo"))?;
    thread::spawn(move || {
        let mut byte = [0];
        while far.read_exact(&mut byte).and_then(|()| far.write_all(&byte)).is_ok() {}
    });
    let (mut health, mut echo) = (Vec::new(), Vec::new());
    while !is_over.load(Ordering::Relaxed) {
        let before = Instant::now();
        let answer = client.call(Method::Health).await?;
        health.push(before.elapsed());
        if answer["ok"] != true {
            return Err(Failure::Wrong { what: "`health`".to_owned(), how: answer.to_string() });
        }
        let before = Instant::now();
        let mut byte = [0];
        near.write_all(&byte)
            .and_then(|()| near.read_exact(&mut byte))
            .map_err(Failure::io("the echo"))?;
        echo.push(before.elapsed());
        tokio::time::sleep(PAUSE).await;
    }
    Ok(Beats { health: Samples::new(health), echo: Samples::new(echo) })
}
