//! What waits to be written to one connection.

use std::sync::Arc;

use bytes::Bytes;
use hatchery_protocol::{Frame, Response};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Where frames for one connection are put. Putting never waits: what may be in flight is bounded
/// where it comes from, by the window of a run's output and by the number of open requests, and a
/// frame gives its share back when it was written or dropped.
#[derive(Clone, Debug)]
pub(crate) struct Outbox(UnboundedSender<Outgoing>);

/// A frame on its way out.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// The frame as one line, its line feed included.
    pub(crate) line: Bytes,
    /// The share of a bound that this frame takes up until it is gone.
    _share: Share,
}

/// A share of some bound.
#[derive(Clone, Debug)]
pub(crate) enum Share {
    /// Of none: a frame of which there are few.
    None,
    /// Of something that several frames may hold together.
    Of(#[expect(dead_code, reason = "held, never read")] Arc<OwnedSemaphorePermit>),
}

/// The connection is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone;

impl Outbox {
    /// An outbox and the end that a connection's writer takes from.
    pub(crate) fn new() -> (Self, UnboundedReceiver<Outgoing>) {
        let (sender, receiver) = unbounded_channel();
        (Self(sender), receiver)
    }

    /// Puts a line that was encoded before, so that many connections can share it.
    pub(crate) fn put_line(&self, line: Bytes, share: Share) -> Result<(), Gone> {
        self.0.send(Outgoing { line, _share: share }).map_err(|_| Gone)
    }

    /// Puts the answer to a request. A connection that is gone has nobody to miss it.
    pub(crate) fn answer(&self, response: Response, share: Share) {
        if self.put_line(encode(&Frame::Res(response)), share).is_err() {
            tracing::debug!("an answer found its connection gone");
        }
    }
}

/// A frame as one line.
pub(crate) fn encode(frame: &Frame) -> Bytes {
    // Frames hold text, numbers and JSON values: nothing of that can fail to be written as JSON.
    let mut line = serde_json::to_vec(frame).unwrap_or_default();
    line.push(b'\n');
    line.into()
}
