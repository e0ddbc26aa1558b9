//! The one task that reads from the other side.
//!
//! A line is bounded, and a line that means nothing is counted and dropped: real agents print
//! banners, progress and half lines. An agent is answered with an error where it is due; an
//! agent's client is not, because several agents take any such answer badly.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hatchery_protocol::{Line, LineBuffer};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{mpsc, watch};
use tokio::time::{Duration, sleep};

use super::peer::{Peer, Role};
use super::rpc::{Incoming, Message, parse};

/// The longest line taken, in bytes. Real agents send single lines of over a megabyte.
const LINE: usize = 16 * 1024 * 1024;

/// How many lines may mean nothing before the first that means something. An agent that has
/// said so much without a word of the protocol does not speak it.
const JUNK_AT_FIRST: u64 = 64;

/// How long the stream may stay silent after the other side is known to be gone: what it had
/// written can be read without waiting.
const SILENCE: Duration = Duration::from_millis(100);

/// The most that is still read after that. A pipe holds no more (`/proc/sys/fs/pipe-max-size` is
/// 1 MiB by default), so what comes beyond it was not written by the other side.
const LEFT_IN_PIPE: usize = 1024 * 1024;

/// Lines that meant nothing.
#[derive(Debug, Default)]
pub(crate) struct Junk(Mutex<JunkSeen>);

/// How many lines meant nothing, and the last of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct JunkSeen {
    /// How many there were.
    pub(crate) count: u64,
    /// The beginning of the last one.
    pub(crate) last: String,
}

impl Junk {
    /// What has been seen so far.
    pub(crate) fn seen(&self) -> JunkSeen {
        self.lock().clone()
    }

    fn add(&self, line: &[u8]) -> u64 {
        let mut seen = self.lock();
        seen.count += 1;
        seen.last = String::from_utf8_lossy(&line[..line.len().min(200)]).into_owned();
        seen.count
    }

    fn lock(&self) -> MutexGuard<'_, JunkSeen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where what is read goes.
pub(crate) struct Reader {
    /// Ourselves, as the other side sees us.
    pub(crate) peer: Peer,
    /// Which side of the protocol we are.
    pub(crate) role: Role,
    /// Where requests and notifications go. It is short: whoever takes them slowly slows the
    /// other side down.
    pub(crate) incoming: mpsc::Sender<Incoming>,
    /// Turns true once the other side is known to be gone.
    pub(crate) gone: watch::Receiver<bool>,
}

/// Whether to go on reading.
#[derive(PartialEq, Eq)]
enum Next {
    GoOn,
    Stop,
}

impl Reader {
    /// Reads until the stream ends, or nobody wants to hear more. Every request of ours that has
    /// no answer by then fails.
    pub(crate) async fn run(mut self, mut stream: impl AsyncRead + Unpin) {
        self.read(&mut stream).await;
        self.peer.pending().close();
    }

    async fn read(&mut self, stream: &mut (impl AsyncRead + Unpin)) {
        let mut buffer = LineBuffer::new(LINE);
        let mut understood = false;
        let mut left = LEFT_IN_PIPE;
        loop {
            let count = tokio::select! {
                biased;
                count = stream.read_buf(buffer.incoming()) => count.unwrap_or(0),
                () = silence(&mut self.gone) => 0,
            };
            while let Some(line) = buffer.next_line() {
                if self.take(&line, &mut understood).await == Next::Stop {
                    return;
                }
            }
            if *self.gone.borrow() {
                left = left.saturating_sub(count);
            }
            if count == 0 || left == 0 {
                break;
            }
        }
        // The last line may lack its line feed, or may have been cut short.
        if let Some(rest) = buffer.rest() {
            self.take(&Line::Complete(rest), &mut understood).await;
        }
    }

    async fn take(&self, line: &Line, understood: &mut bool) -> Next {
        let line = match line {
            Line::Complete(line) if line.trim_ascii().is_empty() => return Next::GoOn,
            Line::Complete(line) => &line[..],
            Line::TooLong => b"(a line over 16 MiB)",
        };
        let message = match parse(line) {
            Ok(message) => message,
            Err((id, error)) => {
                let count = self.peer.junk().add(line);
                tracing::debug!(count, %error, "dropped a line that means nothing");
                if self.role == Role::Agent {
                    // A courtesy: nobody who reads nothing shall keep us from hearing the end.
                    self.peer.try_answer(&id, &Err(error));
                } else if !*understood && count >= JUNK_AT_FIRST {
                    return Next::Stop;
                }
                return Next::GoOn;
            }
        };
        *understood = true;
        match message {
            Message::Incoming(incoming) => {
                if self.incoming.send(incoming).await.is_err() {
                    return Next::Stop;
                }
            }
            Message::Answer { id, result } => {
                if !self.peer.pending().resolve(&id, result) {
                    tracing::debug!(%id, "dropped an answer nobody waits for");
                }
            }
        }
        Next::GoOn
    }
}

/// Returns when the other side has been gone for long enough that all it wrote could be read.
pub(crate) async fn silence(gone: &mut watch::Receiver<bool>) {
    drop(gone.wait_for(|&gone| gone).await);
    sleep(SILENCE).await;
}
