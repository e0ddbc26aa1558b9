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

    /// Puts a good answer whose payload is JSON already.
    pub(crate) fn answer_with(&self, id: &str, payload: &[u8], share: Share) {
        if self.put_line(encode_answer(id, payload), share).is_err() {
            tracing::debug!("an answer found its connection gone");
        }
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

/// A good answer as one line, its payload copied as it is: one line of JSON.
fn encode_answer(id: &str, payload: &[u8]) -> Bytes {
    const HEAD: &[u8] = br#"{"type":"res","id":"#;
    const MIDDLE: &[u8] = br#","ok":true,"payload":"#;
    let mut line = Vec::with_capacity(HEAD.len() + id.len() + MIDDLE.len() + payload.len() + 8);
    line.extend_from_slice(HEAD);
    // Text can always be written as JSON, and memory always be written to.
    if serde_json::to_writer(&mut line, id).is_err() {
        line.extend_from_slice(b"\"\"");
    }
    line.extend_from_slice(MIDDLE);
    line.extend_from_slice(payload);
    line.extend_from_slice(b"}\n");
    line.into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use hatchery_protocol::{Frame, Response};
    use serde_json::json;

    use super::{encode, encode_answer};

    #[test]
    fn an_answer_made_of_bytes_is_the_one_made_of_values() {
        for id in ["1", "a \"b\" \\ \n", "ü\u{1}"] {
            let payload = json!({"ok": true, "text": "line\nbreak", "list": [1, null]});
            let bytes = serde_json::to_vec(&payload).unwrap();
            let plain = encode(&Frame::Res(Response::ok(id.to_owned(), payload)));
            assert_eq!(encode_answer(id, &bytes), plain);
        }
    }
}
