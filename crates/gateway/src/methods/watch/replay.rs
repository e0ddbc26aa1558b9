//! What is shown again of a run's output, and what cannot be.

use std::sync::Arc;

use hatchery_protocol::{OutputGap, RunId, RunStatus, SessionId};
use hatchery_spawn::Outcome;
use hatchery_store::{KEPT_OUTPUT_BYTES, StoredOutput};
use tokio::sync::Semaphore;

use crate::outbox::{Outbox, Share};
use crate::watchers::{OutputPiece, Progress};

/// How much of what is shown again may be on its way to a connection at a time, in bytes.
const WINDOW_BYTES: usize = 256 * 1024;

/// How far a run has come, as far as that is known without looking at what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// The last piece, where that is known.
    last: Option<u64>,
    /// Whether the run said, or may have said, more than is kept.
    is_more_than_kept: Option<bool>,
}

/// What is shown again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Replay {
    pieces: Vec<StoredOutput>,
    /// How many bytes are kept of everything the run has said so far.
    pub(super) kept_bytes: u64,
    /// The pieces that were asked for and are not kept.
    pub(super) gap: Option<OutputGap>,
}

impl Told {
    /// What was told of a live run. What comes after that is told as it comes.
    pub(super) fn so_far(progress: Progress) -> Self {
        let is_more_than_kept = Some(progress.bytes > KEPT_OUTPUT_BYTES);
        Self { last: Some(progress.seq), is_more_than_kept }
    }

    /// What a run that is over has said. Where its gateway was killed, only what is kept is known.
    pub(super) fn altogether(outcome: &Outcome) -> Self {
        let more = outcome.output_bytes > KEPT_OUTPUT_BYTES;
        let is_known = more || outcome.status != RunStatus::Interrupted;
        Self { last: None, is_more_than_kept: is_known.then_some(more) }
    }
}

impl Replay {
    /// Of what is kept, what comes after a piece, and which pieces after it are missing.
    pub(super) fn of(mut kept: Vec<StoredOutput>, after: u64, told: Told) -> Self {
        if let Some(last) = told.last {
            kept.retain(|piece| piece.seq <= last);
        }
        let counted = kept.pop_if(|piece| piece.bytes.is_empty()).map(|piece| piece.seq);
        let kept_bytes = kept.iter().map(|piece| piece.bytes.len() as u64).sum();
        let last_kept = kept.last().map_or(0, |piece| piece.seq);
        let is_more = told.is_more_than_kept.unwrap_or(kept_bytes >= KEPT_OUTPUT_BYTES);
        let last = match told.is_more_than_kept {
            Some(_) => told.last.or(counted).or(Some(last_kept)),
            None => counted,
        };
        let gap = OutputGap { from_seq: last_kept.max(after.saturating_add(1)), to_seq: last };
        let is_gap = is_more && gap.to_seq.is_none_or(|last| gap.from_seq <= last);
        kept.retain(|piece| piece.seq > after);
        Self { pieces: kept, kept_bytes, gap: is_gap.then_some(gap) }
    }

    /// Puts the pieces, at the pace at which they are taken, until the connection is gone.
    pub(super) async fn put(self, outbox: &Outbox, run: &RunId, session: &SessionId) {
        let window = Arc::new(Semaphore::new(WINDOW_BYTES));
        for StoredOutput { seq, stream, bytes } in self.pieces {
            let width = u32::try_from(bytes.len().clamp(1, WINDOW_BYTES)).unwrap_or(1);
            // The window is never closed, so the other arm is never taken.
            let share = match Arc::clone(&window).acquire_many_owned(width).await {
                Ok(permit) => Share::Of(Arc::new(permit)),
                Err(_) => Share::None,
            };
            let (run, session) = (run.clone(), session.clone());
            let piece = OutputPiece { run, session, seq, stream, bytes: bytes.into() };
            if outbox.put_event(piece.event(), share).is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::future::poll_fn;
    use std::task::Poll;

    use hatchery_protocol::{OutputGap, OutputStream, RunId, RunStatus, SessionId};
    use hatchery_spawn::{Ending, Outcome, StopReason};
    use hatchery_store::{KEPT_OUTPUT_BYTES, StoredOutput};

    use super::{Replay, Told, WINDOW_BYTES};
    use crate::outbox::Outbox;
    use crate::watchers::Progress;

    const KEPT: usize = KEPT_OUTPUT_BYTES as usize;

    fn pieces(sizes: &[(u64, usize)]) -> Vec<StoredOutput> {
        let piece = |&(seq, size): &(u64, usize)| StoredOutput {
            seq,
            stream: OutputStream::Stdout,
            bytes: vec![b'x'; size],
        };
        sizes.iter().map(piece).collect()
    }

    fn seqs(replay: &Replay) -> Vec<u64> {
        replay.pieces.iter().map(|piece| piece.seq).collect()
    }

    fn gap(from_seq: u64, to_seq: impl Into<Option<u64>>) -> Option<OutputGap> {
        Some(OutputGap { from_seq, to_seq: to_seq.into() })
    }

    fn over(bytes: usize, stopped: Option<&StopReason>) -> Outcome {
        let ending = Ending {
            exit_code: Some(0),
            failure: None,
            tail: String::new(),
            output_bytes: bytes as u64,
            usage: None,
            ..Ending::default()
        };
        let outcome = ending.outcome(stopped, 0);
        assert_eq!(outcome.status == RunStatus::Interrupted, stopped.is_some());
        outcome
    }

    #[test]
    fn of_a_live_run_what_was_told_is_shown_and_the_rest_left_to_come() {
        let told = Told::so_far(Progress { seq: 3, bytes: 30 });
        let replay = Replay::of(pieces(&[(1, 10), (2, 10), (3, 10), (4, 10)]), 1, told);
        assert_eq!((seqs(&replay), replay.kept_bytes, replay.gap), (vec![2, 3], 30, None));
        let replay = Replay::of(pieces(&[(1, 10)]), 7, told);
        assert_eq!((seqs(&replay), replay.gap), (vec![], None));
    }

    #[tokio::test]
    async fn what_is_shown_again_is_put_at_the_pace_at_which_it_is_taken() {
        let told = Told::so_far(Progress { seq: 3, bytes: 0 });
        let half = WINDOW_BYTES / 2;
        let replay = Replay::of(pieces(&[(1, half), (2, half), (3, 1)]), 0, told);
        let (outbox, mut waiting) = Outbox::new();
        let (run, session) = (RunId::new("r".to_owned()), SessionId::main());
        let mut putting = Box::pin(replay.put(&outbox, &run, &session));
        assert!(poll_fn(|cx| Poll::Ready(putting.as_mut().poll(cx))).await.is_pending());
        let first = waiting.queue.try_recv().unwrap();
        let _second = waiting.queue.try_recv().unwrap();
        assert!(waiting.queue.try_recv().is_err(), "the window is full");
        drop(first);
        putting.await;
        assert!(waiting.queue.try_recv().is_ok());
    }

    #[test]
    fn what_a_live_run_said_beyond_what_is_kept_is_named() {
        let told = Told::so_far(Progress { seq: 9, bytes: KEPT as u64 + 1 });
        let kept = [(1, KEPT - 10), (2, 10)];
        for (after, shown, missing) in [
            (0, vec![1, 2], gap(2, 9)),
            (1, vec![2], gap(2, 9)),
            (2, vec![], gap(3, 9)),
            (8, vec![], gap(9, 9)),
            (9, vec![], None),
            (u64::MAX, vec![], None),
        ] {
            let replay = Replay::of(pieces(&kept), after, told);
            assert_eq!((seqs(&replay), replay.gap), (shown, missing), "{after}");
            assert_eq!(replay.kept_bytes, KEPT_OUTPUT_BYTES);
        }
        // Exactly as much as is kept.
        let told = Told::so_far(Progress { seq: 2, bytes: KEPT as u64 });
        assert_eq!(Replay::of(pieces(&kept), 0, told).gap, None);
    }

    #[test]
    fn the_count_kept_with_a_run_that_is_over_says_how_far_it_came() {
        let counted = [(1, KEPT - 10), (2, 10), (7, 0)];
        let told = Told::altogether(&over(KEPT + 1, None));
        for (after, missing) in [(0, gap(2, 7)), (2, gap(3, 7)), (6, gap(7, 7)), (7, None)] {
            assert_eq!(Replay::of(pieces(&counted), after, told).gap, missing, "{after}");
        }
        // Cut within its last piece, which nobody had to count beyond.
        let cut = &counted[..2];
        assert_eq!(Replay::of(pieces(cut), 0, told).gap, gap(2, 2));
        assert_eq!(Replay::of(pieces(cut), 2, told).gap, None);
        let told = Told::altogether(&over(KEPT, None));
        assert_eq!(Replay::of(pieces(cut), 0, told).gap, None);
    }

    #[test]
    fn where_a_gateway_was_killed_it_is_said_that_more_may_be_missing() {
        let told = Told::altogether(&over(KEPT, Some(&StopReason::Shutdown)));
        let kept = [(1, KEPT - 10), (2, 10)];
        assert_eq!(Replay::of(pieces(&kept), 0, told).gap, gap(2, None));
        assert_eq!(Replay::of(pieces(&kept), 5, told).gap, gap(6, None));
        let told = Told::altogether(&over(10, Some(&StopReason::Shutdown)));
        assert_eq!(Replay::of(pieces(&[(1, 10)]), 0, told).gap, None);
    }
}
