//! Who is watching which run, and what they get to see.

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
use crate::outbox::{Outbox, Share};

/// The watchers of all live runs, and all open connections.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    by_run: BTreeMap<RunId, Vec<Watcher>>,
    /// The open connections; `None` for one that hears nothing new and is only written out.
    connections: BTreeMap<u64, Option<Outbox>>,
}

/// A connection that started a run and waits for its end under the request's id.
#[derive(Clone, Debug)]
pub(crate) struct Watcher {
    pub(crate) outbox: Outbox,
    pub(crate) request: String,
}

impl Watchers {
    /// From now on this connection hears of everything that concerns all.
    pub(crate) fn connected(&mut self, connection: u64, outbox: Outbox) {
        self.connections.insert(connection, Some(outbox));
    }

    /// From now on this connection hears nothing new.
    pub(crate) fn silence(&mut self, connection: u64) {
        if let Some(outbox) = self.connections.get_mut(&connection) {
            *outbox = None;
        }
    }

    /// The connection is gone.
    pub(crate) fn disconnected(&mut self, connection: u64) {
        self.connections.remove(&connection);
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

    /// Tells a run's watchers of its new state.
    pub(crate) fn state(&mut self, run: &RunId, status: RunStatus) {
        let payload = json!({"runId": run, "status": status});
        self.tell(run, event::RUN_STATE, payload, &Share::None);
    }

    /// Tells a run's watchers what it said.
    pub(crate) fn output(&mut self, piece: &OutputPiece, share: &Share) {
        if self.by_run.contains_key(&piece.run) {
            let chunk = piece.chunk();
            let payload = serde_json::to_value(chunk).unwrap_or_default();
            self.tell(&piece.run, event::RUN_OUTPUT, payload, share);
        }
    }

    fn tell(&mut self, run: &RunId, name: &str, payload: serde_json::Value, share: &Share) {
        let Some(watchers) = self.by_run.get_mut(run) else { return };
        let event = encode(name, &payload, None, Reach::Some);
        watchers.retain(|watcher| watcher.outbox.put_event(event.clone(), share.clone()).is_ok());
    }

    /// Gives a run's watchers its end, each as the answer to its own request.
    pub(crate) fn finished(&mut self, run: &Run, outcome: &Outcome) {
        let result = SpawnResult {
            status: outcome.status,
            run_id: run.id.clone(),
            session_id: run.session.clone(),
            exit_code: outcome.exit_code,
            error: outcome.error.clone(),
            result: outcome.tail.clone(),
            output_bytes: outcome.output_bytes,
            duration_ms: outcome.ended_at_ms.saturating_sub(run.accepted_at_ms),
        };
        let payload = serde_json::to_value(result).unwrap_or_default();
        for watcher in self.by_run.remove(&run.id).unwrap_or_default() {
            watcher.outbox.answer(Response::ok(watcher.request, payload.clone()), Share::None);
        }
    }

    /// Lets go of the watchers of runs that never began.
    pub(crate) fn keep_only(&mut self, began: impl Fn(&RunId) -> bool) {
        self.by_run.retain(|run, _| began(run));
    }

    /// Tells a run's watchers that its end could not be kept.
    pub(crate) fn lost(&mut self, run: &RunId, error: &WireError) {
        for watcher in self.by_run.remove(run).unwrap_or_default() {
            let response = Response::error(watcher.request, error.clone());
            watcher.outbox.answer(response, Share::None);
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
