//! One end of a JSON-RPC connection: requests and notifications both ways over bounded lines.
//!
//! Reading and writing are tasks of their own, so a request that takes long holds nothing up, a
//! cancel least of all. Every queue is bounded: whoever is slow slows the other side down. What
//! the other side says comes out in order; an answer may overtake what is still queued, so
//! whoever got one takes the queue's content as said before it.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::pending::Pending;
use super::reader::{Junk, Reader};
use super::rpc::{Incoming, RequestId, RpcError, answer_line, call_line};
use super::writer::{Outgoing, QUEUE, write};

/// Requests and notifications that may wait to be taken.
const INCOMING: usize = 4;

/// Which side of the protocol we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// We run an agent.
    Client,
    /// We are the agent.
    Agent,
}

/// Why a request has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallError {
    /// The other side is gone.
    #[error("the connection was closed")]
    Closed,
    /// The other side answered with an error.
    #[error(transparent)]
    Rpc(#[from] RpcError),
}

/// What is said to the other side goes through here. Clones are the same end.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    shared: Arc<Shared>,
    outgoing: mpsc::Sender<Outgoing>,
}

#[derive(Debug, Default)]
struct Shared {
    pending: Pending,
    junk: Junk,
}

/// A connection. Dropping it ends its two tasks and with them both streams.
pub(crate) struct Connection {
    /// Our end.
    pub(crate) peer: Peer,
    /// What the other side says without having been asked; ends when the other side is gone.
    pub(crate) incoming: mpsc::Receiver<Incoming>,
    /// To be made true once the other side is known to be gone: what it had written is still
    /// read, and then reading ends even where somebody else holds the stream open.
    pub(crate) gone: watch::Sender<bool>,
    reader: JoinHandle<()>,
    writer: JoinHandle<()>,
}

/// Starts reading and writing. Must be called within a tokio runtime.
pub(crate) fn connect(
    input: impl AsyncRead + Unpin + Send + 'static,
    output: impl AsyncWrite + Unpin + Send + 'static,
    role: Role,
) -> Connection {
    let (outgoing, queue) = mpsc::channel(QUEUE);
    let (sender, incoming) = mpsc::channel(INCOMING);
    let gone = watch::Sender::new(false);
    let peer = Peer { shared: Arc::default(), outgoing };
    let reader = Reader { peer: peer.clone(), role, incoming: sender, gone: gone.subscribe() };
    let mut nobody_reads = gone.subscribe();
    let writer = async move {
        tokio::select! {
            () = write(output, queue) => {}
            // Somebody else may hold the stream open, and read nothing from it.
            _ = nobody_reads.wait_for(|&gone| gone) => {}
        }
    };
    Connection {
        peer,
        incoming,
        gone,
        reader: tokio::spawn(reader.run(input)),
        writer: tokio::spawn(writer),
    }
}

impl Connection {
    /// Closes our stream and waits until all that was said before is written.
    pub(crate) async fn finish(&mut self) {
        self.peer.close().await;
        if let Err(error) = (&mut self.writer).await {
            tracing::debug!(%error, "the writer ended early");
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.reader.abort();
        self.writer.abort();
    }
}

/// A request that was sent. Dropping it gives up on its answer.
#[derive(Debug)]
pub(crate) struct Sent {
    shared: Arc<Shared>,
    id: u64,
    answer: oneshot::Receiver<Result<Value, RpcError>>,
}

impl Sent {
    /// Waits for the answer.
    ///
    /// # Errors
    /// [`CallError`] where the other side answers with an error, or is gone.
    pub(crate) async fn answer(mut self) -> Result<Value, CallError> {
        Ok((&mut self.answer).await.map_err(|_| CallError::Closed)??)
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.shared.pending.forget(self.id);
    }
}

impl Peer {
    /// Sends a request, waiting while the queue is full.
    ///
    /// # Errors
    /// [`CallError::Closed`] where the other side is gone.
    pub(crate) async fn request(
        &self,
        method: &str,
        params: &impl Serialize,
    ) -> Result<Sent, CallError> {
        let (id, answer) = self.shared.pending.register().ok_or(CallError::Closed)?;
        let sent = Sent { shared: self.shared.clone(), id, answer };
        if self.send(call_line(Some(id), method, params)).await {
            Ok(sent)
        } else {
            Err(CallError::Closed)
        }
    }

    /// Sends a notification, waiting while the queue is full. One that nobody will read is as
    /// good as sent.
    pub(crate) async fn notify(&self, method: &str, params: &impl Serialize) {
        self.send(call_line(None, method, params)).await;
    }

    /// Answers a request, waiting while the queue is full.
    pub(crate) async fn answer(&self, id: RequestId, answer: Result<Value, RpcError>) {
        self.send(answer_line(&id, &answer)).await;
    }

    /// Answers a request if the queue has room for it just now.
    pub(crate) fn try_answer(&self, id: &RequestId, answer: &Result<Value, RpcError>) -> bool {
        self.outgoing.try_send(Outgoing::Line(answer_line(id, answer))).is_ok()
    }

    /// Closes our stream behind what was said before.
    pub(crate) async fn close(&self) {
        if self.outgoing.send(Outgoing::Close).await.is_err() {
            tracing::debug!("the stream was closed already");
        }
    }

    /// Lines from the other side that meant nothing.
    pub(crate) fn junk(&self) -> &Junk {
        &self.shared.junk
    }

    pub(super) fn pending(&self) -> &Pending {
        &self.shared.pending
    }

    async fn send(&self, line: Vec<u8>) -> bool {
        self.outgoing.send(Outgoing::Line(line)).await.is_ok()
    }
}

#[cfg(test)]
mod tests;
