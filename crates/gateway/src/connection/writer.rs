//! The writing side of any connection: frames out of the outbox, in batches.

use std::io;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use hatchery_protocol::ProtocolVersion;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::outbox::{Content, EncodedEvent, Outgoing, Waiting};
use crate::websocket::frame;

/// How long nothing of what waits may be taken before the connection counts as dead. Until then a
/// slow reader slows down the run it watches; one that takes a little now and then goes on doing so.
const WRITE_LIMIT: Duration = Duration::from_secs(30);

/// How long a connection that is being ended may take to hear the last word.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// How many bytes are gathered before they are written.
const BATCH: usize = 64 * 1024;

/// How much of a buffer an idle connection keeps, in bytes.
const KEPT: usize = 1024;

/// How frames are told apart on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// One line each.
    Lines,
    /// One WebSocket message each.
    WebSocket,
}

/// Writes until nobody can put anything any more, or the connection is to end.
pub(crate) async fn write_frames<W: AsyncWrite + Unpin>(
    mut writer: W,
    mut waiting: Waiting,
    framing: Framing,
) {
    let mut batch = BytesMut::new();
    let mut held: Vec<Box<Outgoing>> = Vec::new();
    let mut seq = 0;
    let closing = loop {
        let first = tokio::select! {
            biased;
            closing = waiting.state.is_cut() => break Some(closing.clone()),
            first = waiting.queue.recv() => first,
        };
        let Some(first) = first else { break None };
        seq += waiting.state.take_left_out();
        let mut end = None;
        let mut length = 0;
        let mut next = Some(first);
        while let Some(outgoing) = next {
            length += outgoing.content.len();
            match &outgoing.content {
                Content::Frame(line) => framing.put(&mut batch, line, None),
                Content::Event(event) => {
                    let number = number(event, waiting.state.version(), &mut seq);
                    framing.put(&mut batch, &event.body, Some(number));
                }
                Content::Control(bytes) => batch.put_slice(bytes),
                Content::Close(closing) => end = Some(closing.clone()),
            }
            held.push(outgoing);
            let full = end.is_some() || batch.len() >= BATCH;
            next = if full { None } else { waiting.queue.try_recv().ok() };
        }
        let outcome = {
            let mut writing = std::pin::pin!(write_all(&mut writer, &batch));
            tokio::select! {
                biased;
                outcome = &mut writing => Ok(outcome),
                _ = waiting.state.is_cut() => {
                    // Half a frame on the wire would make the last word unreadable.
                    tokio::time::timeout(CLOSE_LIMIT, &mut writing).await
                }
            }
        };
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => {
                return tracing::warn!("a connection was closed: it read nothing");
            }
            Ok(Err(_)) => return,
            Err(_) => return tracing::debug!("a connection that is being ended did not read"),
        }
        waiting.state.written(length);
        held.clear();
        batch.clear();
        if batch.capacity() > KEPT {
            batch = BytesMut::new();
        }
        if held.capacity() > 8 {
            held = Vec::new();
        }
        if let Some(closing) = end {
            break closing;
        }
    };
    // Whoever still wants to say something finds the connection gone.
    drop(waiting);
    let last_word = async {
        if let (Some(closing), Framing::WebSocket) = (&closing, framing) {
            writer.write_all(&frame::close(closing)).await?;
        }
        writer.shutdown().await
    };
    match tokio::time::timeout(CLOSE_LIMIT, last_word).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!("a connection's last word found nobody: {error}"),
        Err(_) => tracing::debug!("a connection did not take its last word"),
    }
}

/// Writes everything, as long as it is taken bit by bit.
async fn write_all<W: AsyncWrite + Unpin>(writer: &mut W, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let taken = tokio::time::timeout(WRITE_LIMIT, writer.write(bytes)).await??;
        if taken == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[taken..];
    }
    Ok(())
}

/// The event's number in the receiver's stream. Version 3 leaves out what is not for all.
fn number(event: &EncodedEvent, version: ProtocolVersion, seq: &mut u64) -> Option<u64> {
    if event.targeted && version == ProtocolVersion::V3 {
        return None;
    }
    *seq += 1;
    Some(*seq)
}

impl Framing {
    /// Appends one frame; `event` is the number of an event whose last brace is missing.
    fn put(self, batch: &mut BytesMut, body: &[u8], event: Option<Option<u64>>) {
        let tail = match event {
            None => String::new(),
            Some(None) => "}".to_owned(),
            Some(Some(seq)) => format!(",\"seq\":{seq}}}"),
        };
        if self == Self::WebSocket {
            frame::text_header(batch, body.len() + tail.len());
        }
        batch.put_slice(body);
        batch.put_slice(tail.as_bytes());
        if self == Self::Lines {
            batch.put_u8(b'\n');
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use bytes::Bytes;
    use hatchery_protocol::ProtocolVersion;
    use tokio::io::AsyncReadExt as _;

    use super::{Framing, WRITE_LIMIT, write_frames};
    use crate::outbox::{Closing, EncodedEvent, MAX_BUFFERED, Outbox, Share};

    fn event(body: &'static str, targeted: bool) -> EncodedEvent {
        EncodedEvent { body: Bytes::from_static(body.as_bytes()), targeted, droppable: false }
    }

    async fn written(version: ProtocolVersion, framing: Framing) -> Vec<u8> {
        let (outbox, waiting) = Outbox::new();
        outbox.speak(version);
        outbox.put_event(event("{\"a\":1", false), Share::None).unwrap();
        outbox.put_event(event("{\"b\":1", true), Share::None).unwrap();
        outbox.put_event(event("{\"c\":1", false), Share::None).unwrap();
        drop(outbox);
        let (ours, mut theirs) = tokio::io::duplex(1024);
        write_frames(ours, waiting, framing).await;
        let mut bytes = Vec::new();
        theirs.read_to_end(&mut bytes).await.unwrap();
        bytes
    }

    #[tokio::test]
    async fn events_are_numbered_as_each_version_wants_it() {
        let all = written(ProtocolVersion::V4, Framing::Lines).await;
        let expected = "{\"a\":1,\"seq\":1}\n{\"b\":1,\"seq\":2}\n{\"c\":1,\"seq\":3}\n";
        assert_eq!(String::from_utf8(all).unwrap(), expected);
        let some = written(ProtocolVersion::V3, Framing::Lines).await;
        let expected = "{\"a\":1,\"seq\":1}\n{\"b\":1}\n{\"c\":1,\"seq\":2}\n";
        assert_eq!(String::from_utf8(some).unwrap(), expected);
        let framed = written(ProtocolVersion::V4, Framing::WebSocket).await;
        assert_eq!(&framed[..9], b"\x81\x0f{\"a\":1,");
    }

    #[tokio::test]
    async fn a_client_that_reads_too_slowly_hears_why_it_is_ended() {
        let (outbox, waiting) = Outbox::new();
        let (ours, mut theirs) = tokio::io::duplex(1024);
        let writing = tokio::spawn(write_frames(ours, waiting, Framing::WebSocket));
        let block = Bytes::from(vec![b' '; MAX_BUFFERED / 4]);
        // The writer has taken one block and is stuck with it.
        outbox.put_line(block.clone(), Share::None).unwrap();
        let mut head = [0; 10];
        theirs.read_exact(&mut head).await.unwrap();
        while outbox.put_line(block.clone(), Share::None).is_ok() {}
        let mut rest = Vec::new();
        theirs.read_to_end(&mut rest).await.unwrap();
        writing.await.unwrap();
        let word = b"slow consumer";
        assert!(rest.ends_with(word), "the close frame is the last word");
        assert_eq!(rest.len(), block.len() + 4 + word.len(), "what waited is not written");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_at_all_is_given_up() {
        let (outbox, waiting) = Outbox::new();
        let (ours, _theirs) = tokio::io::duplex(16);
        let began = tokio::time::Instant::now();
        outbox.put_line(Bytes::from_static(&[b' '; 64]), Share::None).unwrap();
        write_frames(ours, waiting, Framing::Lines).await;
        assert_eq!(began.elapsed(), WRITE_LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_a_little_now_and_then_is_not_given_up() {
        let (outbox, waiting) = Outbox::new();
        let (ours, mut theirs) = tokio::io::duplex(16);
        outbox.put_line(Bytes::from_static(&[b' '; 160]), Share::None).unwrap();
        drop(outbox);
        let writing = tokio::spawn(write_frames(ours, waiting, Framing::Lines));
        let mut read = 0;
        while read < 161 {
            tokio::time::sleep(WRITE_LIMIT - Duration::from_secs(1)).await;
            read += theirs.read(&mut [0; 16]).await.unwrap();
        }
        writing.await.unwrap();
        assert_eq!(theirs.read(&mut [0; 16]).await.unwrap(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_comes_after_everything_before_it() {
        let (outbox, waiting) = Outbox::new();
        outbox.put_line(Bytes::from_static(b"x"), Share::None).unwrap();
        outbox.close(Closing::new(1012, "service restart"));
        outbox.put_line(Bytes::from_static(b"y"), Share::None).unwrap();
        let (ours, mut theirs) = tokio::io::duplex(1024);
        write_frames(ours, waiting, Framing::WebSocket).await;
        let mut bytes = Vec::new();
        theirs.read_to_end(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"\x81\x01x\x88\x11\x03\xf4service restart");
    }
}
