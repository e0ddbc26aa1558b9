//! Messages as they come in.

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, ReadBuf};
use tungstenite::Message;
use tungstenite::error::{CapacityError, Error};
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};

use crate::outbox::Outbox;

/// How many bytes are read at a time. Every connection holds a buffer of this size.
const READ_BUFFER: usize = 2 * 1024;

/// Reads messages off a connection, and answers pings.
pub(crate) struct Messages<R> {
    reader: R,
    context: WebSocketContext,
    outbox: Outbox,
}

/// Why nothing more is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// The client has ended the connection, or it broke.
    Ended,
    /// A message is longer than the limit.
    TooLong,
    /// What came is no WebSocket.
    Broken,
}

impl<R: AsyncRead + Unpin> Messages<R> {
    /// Reads messages of at most `limit` bytes; answers to pings go to `outbox`.
    pub(crate) fn new(reader: R, limit: usize, outbox: Outbox) -> Self {
        let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER).write_buffer_size(0);
        let mut messages =
            Self { reader, context: WebSocketContext::new(Role::Server, Some(config)), outbox };
        messages.set_limit(limit);
        messages
    }

    /// Changes the limit for the messages that come from here on.
    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.context.set_config(|config| {
            config.max_message_size = Some(limit);
            config.max_frame_size = Some(limit);
        });
    }

    /// The next message. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Result<Bytes, Unreadable> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Unreadable>> {
        loop {
            let mut socket = Socket::new(&mut self.reader, cx);
            let read = self.context.read(&mut socket);
            let Socket { replies, came, .. } = socket;
            if came {
                self.outbox.hear();
            }
            if !replies.is_empty() {
                self.outbox.put_control(replies.freeze());
            }
            return Poll::Ready(match read {
                Ok(Message::Text(text)) => Ok(text.into()),
                Ok(Message::Binary(bytes)) => Ok(bytes),
                Ok(_) => continue,
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Poll::Pending;
                }
                Err(Error::Capacity(CapacityError::MessageTooLong { .. })) => {
                    Err(Unreadable::TooLong)
                }
                Err(Error::ConnectionClosed | Error::AlreadyClosed | Error::Io(_)) => {
                    Err(Unreadable::Ended)
                }
                Err(Error::Protocol(
                    tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
                )) => Err(Unreadable::Ended),
                Err(error) => {
                    tracing::debug!("a connection broke the WebSocket protocol: {error}");
                    Err(Unreadable::Broken)
                }
            });
        }
    }

    /// Reads on and throws away what comes, until the client has ended the connection: a socket
    /// closed with something unread in it takes back what was written last.
    pub(crate) async fn drain(&mut self) {
        // Not on the stack: it would be part of every connection's task.
        let mut waste = vec![0; 1024];
        while let Ok(1..) = self.reader.read(&mut waste).await {}
    }
}

/// The socket as tungstenite sees it for the length of one poll.
struct Socket<'a, 'b, R> {
    reader: &'a mut R,
    cx: &'a mut Context<'b>,
    /// What tungstenite answers by itself.
    replies: BytesMut,
    /// Whether anything came.
    came: bool,
}

impl<'a, 'b, R> Socket<'a, 'b, R> {
    fn new(reader: &'a mut R, cx: &'a mut Context<'b>) -> Self {
        Self { reader, cx, replies: BytesMut::new(), came: false }
    }
}

impl<R: AsyncRead + Unpin> Read for Socket<'_, '_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut into = ReadBuf::new(into);
        match Pin::new(&mut *self.reader).poll_read(self.cx, &mut into) {
            Poll::Ready(outcome) => outcome.map(|()| {
                self.came |= !into.filled().is_empty();
                into.filled().len()
            }),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl<R> Write for Socket<'_, '_, R> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.replies.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
