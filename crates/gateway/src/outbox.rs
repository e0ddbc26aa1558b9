//! What waits to be written to one connection.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use hatchery_protocol::{Frame, ProtocolVersion, Response};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, OwnedSemaphorePermit};

/// How much may wait for one connection, in bytes (OpenClaw protocol §1.1). Beyond it, what a
/// client can do without is left out, and anything else ends the connection.
pub(crate) const MAX_BUFFERED: usize = 50 * 1024 * 1024;

/// How much may wait before a client's pings are answered no more, in bytes.
const MAX_BUFFERED_FOR_PONG: usize = 16 * 1024;

/// Where frames for one connection are put. Putting never waits. What may be in flight is bounded
/// where it comes from, by the window of a run's output and by the number of open requests, and a
/// frame gives its share back when it was written or dropped; beyond that, a connection whose
/// client does not read is ended.
#[derive(Clone, Debug)]
pub(crate) struct Outbox {
    /// Boxed, so that an empty queue of an idle connection is small.
    queue: UnboundedSender<Box<Outgoing>>,
    state: Arc<State>,
}

/// The other end of an [`Outbox`], for the connection's writer.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) queue: UnboundedReceiver<Box<Outgoing>>,
    pub(crate) state: Arc<State>,
}

/// What an outbox and its writer both know.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// How many bytes wait.
    queued: AtomicUsize,
    /// Whether something was heard of the client since that was last asked.
    heard: AtomicBool,
    /// Whether nothing is read from the client now, because too much of it is open.
    deaf: AtomicBool,
    /// How many events were left out and not yet accounted for by the writer.
    left_out: AtomicU64,
    /// The version of the wire, once the two sides have settled on one.
    version: OnceLock<ProtocolVersion>,
    /// Set when the client's authority is gone.
    revoked: AtomicBool,
    /// Set when the connection is to end without writing what waits.
    cut: OnceLock<Closing>,
    cut_told: Notify,
}

/// Something on its way out.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) content: Content,
    /// The share of a bound that this takes up until it is gone.
    _share: Share,
}

/// What is on its way out.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// A frame of the protocol, whole.
    Frame(Bytes),
    /// An event, which the writer numbers.
    Event(EncodedEvent),
    /// Bytes of the transport itself.
    Control(Bytes),
    /// The end, after everything before it; without a last word where the client has said its own.
    Close(Option<Closing>),
}

/// An event, encoded once for many connections: all of the frame but its last brace.
#[derive(Clone, Debug)]
pub(crate) struct EncodedEvent {
    pub(crate) body: Bytes,
    /// Whether it goes to some that asked for it, and not to all of a kind.
    pub(crate) targeted: bool,
    /// Whether a client that reads slowly can do without it.
    pub(crate) droppable: bool,
}

/// Why a connection ends, in the words of its last frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Closing {
    pub(crate) code: u16,
    pub(crate) reason: Cow<'static, str>,
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
    pub(crate) fn new() -> (Self, Waiting) {
        let (sender, receiver) = unbounded_channel();
        let state = Arc::new(State::default());
        (Self { queue: sender, state: Arc::clone(&state) }, Waiting { queue: receiver, state })
    }

    /// From now on events are numbered as this version of the wire wants it.
    pub(crate) fn speak(&self, version: ProtocolVersion) {
        if self.state.version.set(version).is_err() {
            tracing::error!("a connection settled on a version twice");
        }
    }

    /// The version of the wire this is for.
    pub(crate) fn version(&self) -> ProtocolVersion {
        self.state.version()
    }

    /// Puts a frame that was encoded before.
    pub(crate) fn put_line(&self, line: Bytes, share: Share) -> Result<(), Gone> {
        self.put(Content::Frame(line), share)
    }

    /// Puts an event that was encoded before, so that many connections can share it.
    pub(crate) fn put_event(&self, event: EncodedEvent, share: Share) -> Result<(), Gone> {
        self.put(Content::Event(event), share)
    }

    /// Puts bytes of the transport itself: pings and answers to them. A client that does not read them
    /// gets no more of them.
    pub(crate) fn put_control(&self, bytes: Bytes) {
        if self.state.queued.load(Ordering::Relaxed) < MAX_BUFFERED_FOR_PONG
            && self.put(Content::Control(bytes), Share::None).is_err()
        {
            tracing::debug!("a ping found its connection gone");
        }
    }

    fn put(&self, content: Content, share: Share) -> Result<(), Gone> {
        let length = content.len();
        let queued = self.state.queued.fetch_add(length, Ordering::Relaxed) + length;
        // A single frame may be longer than the limit; two of them may not wait.
        if queued > MAX_BUFFERED && queued > length {
            self.state.written(length);
            if matches!(&content, Content::Event(event) if event.droppable) {
                self.state.left_out.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            self.cut(Closing::new(1008, "slow consumer"));
            return Err(Gone);
        }
        self.queue.send(Box::new(Outgoing { content, _share: share })).map_err(|_| Gone)
    }

    /// Ends the connection after everything that waits.
    pub(crate) fn close(&self, closing: Closing) {
        self.end(Some(closing));
    }

    /// Ends the connection after everything that waits: the client is gone, or about to go.
    pub(crate) fn hang_up(&self) {
        self.end(None);
    }

    fn end(&self, closing: Option<Closing>) {
        if self.put(Content::Close(closing), Share::None).is_err() {
            tracing::debug!("a connection was gone before its end was said");
        }
    }

    /// Ends the connection at once, without what waits.
    pub(crate) fn cut(&self, closing: Closing) {
        if self.state.cut.set(closing).is_ok() {
            self.state.cut_told.notify_waiters();
        }
    }

    /// From now on nothing the client asks is done.
    pub(crate) fn revoke(&self) {
        self.state.revoked.store(true, Ordering::Release);
    }

    /// Whether nothing the client asks is done any more.
    pub(crate) fn is_revoked(&self) -> bool {
        self.state.revoked.load(Ordering::Acquire)
    }

    /// Something came from the client, whatever it is.
    pub(crate) fn hear(&self) {
        self.state.heard.store(true, Ordering::Relaxed);
    }

    /// From now on nothing is read from the client, or something is again.
    pub(crate) fn deafen(&self, deaf: bool) {
        self.state.deaf.store(deaf, Ordering::Relaxed);
        // What came meanwhile is still in the socket.
        self.hear();
    }

    /// Whether there was a sign of life since this was last asked, or none could have been seen:
    /// the client is still busy with what waits for it, or nothing is read from it.
    pub(crate) fn take_sign_of_life(&self) -> bool {
        let heard = self.state.heard.swap(false, Ordering::Relaxed);
        heard
            || self.state.deaf.load(Ordering::Relaxed)
            || self.state.queued.load(Ordering::Relaxed) > 0
    }

    /// Returns once nothing more is written.
    pub(crate) async fn gone(&self) {
        self.queue.closed().await;
    }

    /// Puts the answer to a request. A connection that is gone has nobody to miss it.
    pub(crate) fn answer(&self, response: Response, share: Share) {
        self.answer_encoded(encode(&Frame::Res(response)), share);
    }

    /// Puts the answer to a request whose result is JSON already.
    pub(crate) fn answer_raw(&self, id: &str, payload: &[u8], share: Share) {
        let mut line = Vec::with_capacity(payload.len() + id.len() + 48);
        line.extend_from_slice(br#"{"type":"res","id":"#);
        line.extend_from_slice(&serde_json::to_vec(id).unwrap_or_default());
        line.extend_from_slice(br#","ok":true,"payload":"#);
        line.extend_from_slice(payload);
        line.push(b'}');
        self.answer_encoded(line.into(), share);
    }

    fn answer_encoded(&self, line: Bytes, share: Share) {
        if self.put_line(line, share).is_err() {
            tracing::debug!("an answer found its connection gone");
        }
    }
}

impl State {
    /// So many bytes wait no longer.
    pub(crate) fn written(&self, length: usize) {
        self.queued.fetch_sub(length, Ordering::Relaxed);
    }

    /// How many events were left out since this was last asked.
    pub(crate) fn take_left_out(&self) -> u64 {
        self.left_out.swap(0, Ordering::Relaxed)
    }

    pub(crate) fn version(&self) -> ProtocolVersion {
        self.version.get().copied().unwrap_or(ProtocolVersion::V4)
    }

    /// Why the connection is to end at once, once it is.
    pub(crate) async fn is_cut(&self) -> &Closing {
        loop {
            let told = self.cut_told.notified();
            if let Some(closing) = self.cut.get() {
                return closing;
            }
            told.await;
        }
    }
}

impl Content {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Frame(bytes) | Self::Control(bytes) => bytes.len(),
            Self::Event(event) => event.body.len(),
            Self::Close(_) => 0,
        }
    }
}

impl Closing {
    /// An end with the reason cut to what a close frame holds.
    pub(crate) fn new(code: u16, reason: impl Into<Cow<'static, str>>) -> Self {
        let mut reason = reason.into();
        if reason.len() > MAX_CLOSE_REASON {
            let mut text = reason.into_owned();
            text.truncate(text.floor_char_boundary(MAX_CLOSE_REASON));
            reason = text.into();
        }
        Self { code, reason }
    }
}

/// The longest reason a close frame holds, in bytes (RFC 6455 §5.5).
const MAX_CLOSE_REASON: usize = 123;

/// A frame as bytes, without a line feed.
pub(crate) fn encode(frame: &Frame) -> Bytes {
    // Frames hold text, numbers and JSON values: nothing of that can fail to be written as JSON.
    serde_json::to_vec(frame).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Bytes, Closing, Content, EncodedEvent, Gone, MAX_BUFFERED, Outbox, Share};

    fn event(length: usize, droppable: bool) -> EncodedEvent {
        EncodedEvent { body: Bytes::from(vec![b' '; length]), targeted: false, droppable }
    }

    #[test]
    fn what_waits_is_bounded_and_what_can_be_missed_is_left_out() {
        let (outbox, mut waiting) = Outbox::new();
        outbox.put_event(event(MAX_BUFFERED, false), Share::None).unwrap();
        outbox.put_event(event(1, true), Share::None).unwrap();
        assert_eq!(waiting.state.take_left_out(), 1);
        assert_eq!(outbox.put_line(Bytes::from_static(b"x"), Share::None), Err(Gone));
        assert_eq!(waiting.state.cut.get(), Some(&Closing::new(1008, "slow consumer")));
        let first = waiting.queue.try_recv().unwrap();
        assert_eq!(first.content.len(), MAX_BUFFERED);
        assert!(waiting.queue.try_recv().is_err());
    }

    #[test]
    fn what_was_written_makes_room() {
        let (outbox, waiting) = Outbox::new();
        outbox.put_event(event(MAX_BUFFERED, false), Share::None).unwrap();
        waiting.state.written(1);
        outbox.put_line(Bytes::from_static(b"x"), Share::None).unwrap();
    }

    #[test]
    fn a_raw_answer_reads_like_any_other() {
        let (outbox, mut waiting) = Outbox::new();
        outbox.answer_raw("a\"b", br#"{"n":1}"#, Share::None);
        let Content::Frame(line) = waiting.queue.try_recv().unwrap().content else { panic!() };
        let value: serde_json::Value = serde_json::from_slice(&line).unwrap();
        let expected =
            serde_json::json!({"type": "res", "id": "a\"b", "ok": true, "payload": {"n": 1}});
        assert_eq!(value, expected);
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        let closing = Closing::new(1008, "ü".repeat(100));
        assert_eq!(closing.reason, "ü".repeat(61));
    }
}
