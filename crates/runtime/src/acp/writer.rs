//! The one task that writes to the other side, so that lines never mix.

use bytes::BytesMut;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

/// Lines that may wait to be written. A line is seldom over 400 KiB, so a reader that has stopped
/// reading costs a few MiB at most.
pub(crate) const QUEUE: usize = 8;

/// How much is gathered before it is written.
const BATCH: usize = 64 * 1024;

/// What the writer is told.
pub(crate) enum Outgoing {
    /// Write this line; it ends with its line feed.
    Line(Vec<u8>),
    /// Close the stream behind what was said before.
    Close,
}

/// Writes lines until told to close, until nobody is left to send any, or until nobody reads.
pub(crate) async fn write(
    mut writer: impl AsyncWrite + Unpin,
    mut queue: mpsc::Receiver<Outgoing>,
) {
    let mut batch = BytesMut::new();
    let mut open = true;
    while open {
        match queue.recv().await {
            Some(Outgoing::Line(line)) => batch.extend_from_slice(&line),
            Some(Outgoing::Close) | None => open = false,
        }
        while open && batch.len() < BATCH {
            match queue.try_recv() {
                Ok(Outgoing::Line(line)) => batch.extend_from_slice(&line),
                Ok(Outgoing::Close) => open = false,
                Err(_) => break,
            }
        }
        if writer.write_all(&batch).await.is_err() || writer.flush().await.is_err() {
            tracing::debug!("the other side reads no more");
            return;
        }
        batch.clear();
    }
    if writer.shutdown().await.is_err() {
        tracing::debug!("the other side was gone before the stream was closed");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::io::AsyncReadExt;
    use tokio::sync::mpsc;

    use super::{Outgoing, write};

    #[tokio::test]
    async fn everything_said_before_the_close_is_written_and_nothing_after() {
        let (sender, queue) = mpsc::channel(3);
        let (writer, mut reader) = tokio::io::duplex(4);
        let mut written = String::new();
        for outgoing in [
            Outgoing::Line(b"first\n".to_vec()),
            Outgoing::Close,
            Outgoing::Line(b"late\n".to_vec()),
        ] {
            sender.send(outgoing).await.unwrap();
        }
        let (read, ()) = tokio::join!(reader.read_to_string(&mut written), write(writer, queue));
        assert_eq!(read.unwrap(), 6);
        assert_eq!(written, "first\n");
    }

    #[tokio::test]
    async fn senders_learn_that_nobody_reads() {
        let (sender, queue) = mpsc::channel(1);
        let (writer, reader) = tokio::io::duplex(4);
        drop(reader);
        sender.send(Outgoing::Line(b"x\n".to_vec())).await.unwrap();
        write(writer, queue).await;
        assert!(sender.send(Outgoing::Close).await.is_err());
    }
}
