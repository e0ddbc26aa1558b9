//! What a run says, on its way to the journal and to whoever watches.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use hatchery_failpoints::{Point, reach};
use hatchery_protocol::{OutputStream, RunId, RuntimeKind, SessionId};
use hatchery_runtime::{Observer, Progress};
use hatchery_sandbox::ProcessIdentity;
use hatchery_spawn::{Command, ProcessMark, Run, Spend};
use hatchery_store::{CommitError, Entry, KEPT_OUTPUT_BYTES, LastWords};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::Supervisor;
use super::clocks::Pulse;
use super::doing::Doings;
use crate::clock::now_ms;
use crate::outbox::Share;
use crate::watchers::OutputPiece;

/// How many bytes of a run's output may be on their way at a time, in bytes. A run that says more
/// than is taken off waits, and with it whatever prints.
const WINDOW_BYTES: usize = 1024 * 1024;

/// How many of a run's last bytes its outcome carries, in bytes.
const TAIL_BYTES: usize = 64 * 1024;

/// Watches one run for the supervisor.
pub(super) struct RunObserver {
    supervisor: Arc<Supervisor>,
    run: RunId,
    session: SessionId,
    window: Arc<Semaphore>,
    said: Said,
    doings: Doings,
    pulse: Pulse,
    /// Whether there is an agent in a process of its own, which is started before it is at work.
    has_agent: bool,
    /// Whether it pays as it goes, out of a budget that has an end. Where we ask the model
    /// ourselves, it is paid when the question is answered.
    is_limited: bool,
    /// What it had paid when it was started.
    paid_before: Spend,
}

/// What a run has said so far: how much, and the end of it. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Said(Arc<Mutex<Memory>>);

#[derive(Debug, Default)]
struct Memory {
    pieces: u64,
    /// The last piece of which something is kept.
    kept: u64,
    bytes: u64,
    tail: VecDeque<u8>,
}

impl RunObserver {
    /// `before` is what an earlier life of the run had said.
    pub(super) fn new(supervisor: &Arc<Supervisor>, run: &Run, before: Said) -> Self {
        Self {
            supervisor: Arc::clone(supervisor),
            run: run.id.clone(),
            session: run.session.clone(),
            window: Arc::new(Semaphore::new(WINDOW_BYTES)),
            said: before,
            doings: Doings::default(),
            pulse: Pulse::new(),
            has_agent: run.runtime != RuntimeKind::Local,
            is_limited: run.runtime != RuntimeKind::Local && supervisor.is_limited(run),
            paid_before: supervisor.paid(&run.id),
        }
    }

    pub(super) fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    pub(super) fn paid_before(&self) -> Spend {
        self.paid_before
    }

    pub(super) fn doings(&self) -> Doings {
        self.doings.clone()
    }

    pub(super) fn said(&self) -> Said {
        self.said.clone()
    }
}

impl Observer for RunObserver {
    async fn starting(&self, process: Option<ProcessIdentity>) {
        let process = process.map(|identity| {
            self.supervisor.core().keepers.insert(identity.pid, self.run.clone());
            ProcessMark {
                pid: identity.pid,
                start_time: identity.start_time,
                boot_id: identity.boot_id,
            }
        });
        self.pulse.beat();
        if !self.has_agent {
            self.pulse.works();
        }
        reach(Point::Unmarked);
        let started = Command::Started { run: self.run.clone(), process };
        self.supervisor.note_durably(&started).await;
    }

    async fn output(&self, stream: OutputStream, bytes: Bytes) {
        self.pulse.beat();
        let width = u32::try_from(bytes.len().clamp(1, WINDOW_BYTES)).unwrap_or(1);
        // The window is never closed, so the other arm is never taken.
        let share = match Arc::clone(&self.window).acquire_many_owned(width).await {
            Ok(permit) => Share::Of(Arc::new(permit)),
            Err(_) => Share::None,
        };
        let (seq, before) = self.said.remember(&bytes);
        let mut entries = Vec::new();
        if before < KEPT_OUTPUT_BYTES {
            let room = usize::try_from(KEPT_OUTPUT_BYTES - before).unwrap_or(usize::MAX);
            let kept = bytes.slice(..bytes.len().min(room));
            entries.push(Entry::Output { run: self.run.clone(), seq, stream, bytes: kept });
        }
        let piece = OutputPiece {
            run: self.run.clone(),
            session: self.session.clone(),
            seq,
            stream,
            bytes,
        };
        let supervisor = Arc::clone(&self.supervisor);
        let afterwards = move |durable: Result<(), CommitError>| match durable {
            Ok(()) => {
                reach(Point::AfterOutput);
                supervisor.core().watchers.output(&piece, &share);
                supervisor.talk.said(&piece.run, piece.stream, &piece.bytes, now_ms());
            }
            Err(error) => supervisor.journal_broke(&error, &[]),
        };
        reach(Point::BeforeOutput);
        self.supervisor.store.append(now_ms(), entries, Box::new(afterwards));
    }

    async fn progress(&self, progress: Progress) {
        self.pulse.beat();
        let run = self.run.clone();
        match progress {
            Progress::Alive => {}
            Progress::AtWork => self.pulse.works(),
            Progress::Step(step) => self.doings.step(step),
            Progress::Touched(file) => self.doings.touched(file.display().to_string()),
            Progress::Waiting(true) => self.supervisor.note(&Command::AwaitApproval { run }),
            Progress::Waiting(false) => self.supervisor.note(&Command::ApprovalDecided { run }),
            Progress::Spent(spent) => {
                if self.doings.spent(spent, Instant::now()) && self.is_limited {
                    self.supervisor.spent(&self.run, self.paid_before, spent);
                }
            }
        }
    }

    async fn resumable(&self, session: &str) {
        let (run, session) = (self.run.clone(), session.to_owned());
        self.supervisor.note(&Command::Resumable { run, session });
    }
}

impl Said {
    /// What an earlier life of the run had said. Pieces are numbered on from there.
    pub(super) fn before(words: &LastWords) -> Self {
        Self(Arc::new(Mutex::new(Memory {
            pieces: words.last_seq,
            kept: words.last_seq,
            bytes: words.output_bytes,
            tail: words.tail.bytes().collect(),
        })))
    }

    /// Takes note of a piece; gives its number and how many bytes came before it.
    fn remember(&self, bytes: &[u8]) -> (u64, u64) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = memory.bytes;
        memory.pieces += 1;
        if before < KEPT_OUTPUT_BYTES {
            memory.kept = memory.pieces;
        }
        memory.bytes += bytes.len() as u64;
        let newest = &bytes[bytes.len().saturating_sub(TAIL_BYTES)..];
        let too_many = (memory.tail.len() + newest.len()).saturating_sub(TAIL_BYTES);
        memory.tail.drain(..too_many);
        memory.tail.extend(newest);
        (memory.pieces, before)
    }

    /// The last piece, where nothing of it is kept: what says later how many pieces there were.
    pub(super) fn count_beyond_kept(&self) -> Option<u64> {
        let memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (memory.pieces > memory.kept).then_some(memory.pieces)
    }

    /// The last of what was said as text, and how many bytes were said altogether.
    pub(super) fn last_words(&self) -> (String, u64) {
        let memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (front, back) = memory.tail.as_slices();
        let tail = [front, back].concat();
        (String::from_utf8_lossy(&tail).into_owned(), memory.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::{Said, TAIL_BYTES};

    #[test]
    fn the_last_words_are_the_end_of_everything_said() {
        let said = Said::default();
        assert_eq!(said.remember(b"first "), (1, 0));
        assert_eq!(said.remember(&vec![b'x'; TAIL_BYTES - 3]), (2, 6));
        assert_eq!(said.remember(b"end"), (3, 6 + TAIL_BYTES as u64 - 3));
        let (tail, bytes) = said.last_words();
        assert_eq!(tail.len(), TAIL_BYTES);
        assert!(tail.starts_with("xxx") && tail.ends_with("end"));
        assert_eq!(bytes, 6 + TAIL_BYTES as u64);
    }
}
