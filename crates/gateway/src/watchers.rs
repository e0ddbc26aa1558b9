//! Who is watching which run, and what they get to see.

mod watcher;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hatchery_protocol::{
    OutputChunk, OutputStream, Response, RunId, RunStatus, SessionId, SpawnResult, WireError, event,
};
use hatchery_spawn::{Outcome, Run};
use serde_json::json;

use crate::event::{Reach, encode};
use crate::hub::ConnectionId;
use crate::outbox::{EncodedEvent, Outbox, Share};

pub(crate) use watcher::Watcher;

/// The watchers of all live runs, and all open connections.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    by_run: BTreeMap<RunId, Vec<Watcher>>,
    /// How far each live run has come that has said something.
    progress: BTreeMap<RunId, Progress>,
    /// The open connections; `None` for one that hears nothing new and is only written out.
    connections: BTreeMap<ConnectionId, Option<Outbox>>,
}

/// How much of a run's output was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The last piece.
    pub(crate) seq: u64,
    /// How many bytes up to there.
    pub(crate) bytes: u64,
}

/// The connection watches that run already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AlreadyWatched;

impl Watchers {
    /// From now on this connection hears of everything that concerns all.
    pub(crate) fn connected(&mut self, connection: ConnectionId, outbox: Outbox) {
        self.connections.insert(connection, Some(outbox));
    }

    /// From now on this connection hears nothing new.
    pub(crate) fn silence(&mut self, connection: ConnectionId) {
        if let Some(outbox) = self.connections.get_mut(&connection) {
            *outbox = None;
        }
    }

    /// The connection is gone.
    pub(crate) fn disconnected(&mut self, connection: ConnectionId) {
        self.connections.remove(&connection);
        self.by_run.retain(|_, watchers| {
            watchers.retain(|watcher| watcher.connection != connection);
            !watchers.is_empty()
        });
    }

    /// Whether a connection is open and hears of what is new.
    pub(crate) fn is_open(&self, connection: u64) -> bool {
        matches!(self.connections.get(&connection), Some(Some(_)))
    }

    /// How many connections are open.
    pub(crate) fn connection_count(&self) -> usize {
        self.connections.len()
    }

    /// From now on this watcher sees what the run says and how it ends.
    pub(crate) fn watch(&mut self, run: RunId, watcher: Watcher) {
        self.by_run.entry(run).or_default().push(watcher);
    }

    /// From now on what the run says, and its end, is held for this watcher until it has caught
    /// up. Says what was told before.
    pub(crate) fn join(
        &mut self,
        run: &RunId,
        watcher: Watcher,
    ) -> Result<Progress, AlreadyWatched> {
        let watchers = self.by_run.entry(run.clone()).or_default();
        if watchers.iter().any(|other| other.connection == watcher.connection) {
            return Err(AlreadyWatched);
        }
        watchers.push(watcher.holding());
        Ok(self.progress.get(run).copied().unwrap_or_default())
    }

    /// The connection's watcher has seen everything from before it joined: it gets what was held
    /// for it, and from now on the rest as it comes.
    pub(crate) fn caught_up(&mut self, run: &RunId, connection: ConnectionId) {
        self.settle(run, connection, Watcher::release);
    }

    /// The connection's watcher is to see nothing of the run.
    pub(crate) fn forget(&mut self, run: &RunId, connection: ConnectionId) {
        self.settle(run, connection, |_| false);
    }

    fn settle(
        &mut self,
        run: &RunId,
        connection: ConnectionId,
        goes_on: impl Fn(&mut Watcher) -> bool,
    ) {
        let Some(watchers) = self.by_run.get_mut(run) else { return };
        watchers.retain_mut(|watcher| watcher.connection != connection || goes_on(watcher));
        if watchers.is_empty() {
            self.by_run.remove(run);
        }
    }

    /// Tells a run's watchers of its new state.
    pub(crate) fn state(&mut self, run: &RunId, status: RunStatus) {
        let payload = json!({"runId": run, "status": status});
        self.tell(run, event::RUN_STATE, payload, &Share::None);
    }

    /// Tells a run's watchers what it said.
    pub(crate) fn output(&mut self, piece: &OutputPiece, share: &Share) {
        let progress = self.progress.entry(piece.run.clone()).or_default();
        progress.seq = piece.seq;
        progress.bytes += piece.bytes.len() as u64;
        if self.by_run.contains_key(&piece.run) {
            self.tell_all(&piece.run, &piece.event(), share);
        }
    }

    fn tell(&mut self, run: &RunId, name: &str, payload: serde_json::Value, share: &Share) {
        if self.by_run.contains_key(run) {
            self.tell_all(run, &encode(name, &payload, None, Reach::Some), share);
        }
    }

    fn tell_all(&mut self, run: &RunId, event: &EncodedEvent, share: &Share) {
        let Some(watchers) = self.by_run.get_mut(run) else { return };
        watchers.retain_mut(|watcher| watcher.tell(event.clone(), share.clone()).is_ok());
    }

    /// Gives a run's watchers its end, each as the answer to its own request.
    pub(crate) fn finished(&mut self, run: &Run, outcome: &Outcome) {
        let result = result(&run.id, &run.session, run.accepted_at_ms, outcome);
        let payload = serde_json::to_value(result).unwrap_or_default();
        self.end(&run.id, |request| Response::ok(request, payload.clone()));
    }

    /// Lets go of the watchers of runs that never began. Those that had joined are told so.
    pub(crate) fn keep_only(&mut self, began: impl Fn(&RunId) -> bool, error: &WireError) {
        let mut never: Vec<(RunId, Vec<Watcher>)> =
            self.by_run.extract_if(.., |run, _| !began(run)).collect();
        for (run, watchers) in &mut never {
            watchers.retain(|watcher| watcher.has_joined);
            self.by_run.insert(run.clone(), std::mem::take(watchers));
            self.lost(run, error);
        }
    }

    /// Tells a run's watchers that its end could not be kept.
    pub(crate) fn lost(&mut self, run: &RunId, error: &WireError) {
        self.end(run, |request| Response::error(request, error.clone()));
    }

    /// The last thing a run's watchers hear. Those that have not caught up hear it then.
    fn end(&mut self, run: &RunId, response: impl Fn(String) -> Response) {
        self.progress.remove(run);
        let mut watchers = self.by_run.remove(run).unwrap_or_default();
        watchers.retain_mut(|watcher| {
            let response = response(watcher.request.clone());
            watcher.end(response)
        });
        if !watchers.is_empty() {
            self.by_run.insert(run.clone(), watchers);
        }
    }

    /// Tells every connection that the gateway is about to end.
    pub(crate) fn shutdown(&mut self) {
        let payload = json!({"reason": "gateway stopping"});
        let event = encode(event::SHUTDOWN, &payload, None, Reach::All);
        for outbox in self.connections.values().flatten() {
            if outbox.put_event(event.clone(), Share::None).is_err() {
                tracing::debug!("a connection was gone before the word of the end");
            }
        }
    }
}

/// The end of a run as its watchers get it.
pub(crate) fn result(
    run: &RunId,
    session: &SessionId,
    accepted_at_ms: u64,
    outcome: &Outcome,
) -> SpawnResult {
    SpawnResult {
        status: outcome.status,
        run_id: run.clone(),
        session_id: session.clone(),
        exit_code: outcome.exit_code,
        error: outcome.error.clone(),
        result: outcome.tail.clone(),
        output_bytes: outcome.output_bytes,
        duration_ms: outcome.ended_at_ms.saturating_sub(accepted_at_ms),
    }
}

/// Something a run said.
#[derive(Clone, Debug)]
pub(crate) struct OutputPiece {
    pub(crate) run: RunId,
    pub(crate) session: SessionId,
    pub(crate) seq: u64,
    pub(crate) stream: OutputStream,
    pub(crate) bytes: Bytes,
}

impl OutputPiece {
    /// The piece as an event.
    pub(crate) fn event(&self) -> EncodedEvent {
        encode(event::RUN_OUTPUT, &self.chunk(), None, Reach::Some)
    }

    fn chunk(&self) -> OutputChunk {
        let text = String::from_utf8_lossy(&self.bytes).into_owned();
        let faithful = text.as_bytes() == &self.bytes[..];
        OutputChunk {
            run_id: self.run.clone(),
            session_id: self.session.clone(),
            seq: self.seq,
            stream: self.stream,
            text,
            base64: (!faithful).then(|| STANDARD.encode(&self.bytes)),
        }
    }
}
