//! Carrying what a command prints to the host, as it is.
//!
//! Bytes keep their order within a stream; nothing is decoded, joined or dropped. There is no
//! buffer beyond the piece in hand: while the host is busy, the pipe fills and the command waits.

use bytes::{BufMut, Bytes, BytesMut};
use hatchery_protocol::OutputStream;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::watch;
use tokio::time::{Duration, sleep};

use crate::Host;

/// The largest piece handed to the host.
const PIECE: usize = 64 * 1024;

/// How much room must be left before more is allocated. Small pieces share an allocation, so a
/// queue of them does not hold 64 KiB each.
const ROOM: usize = 8 * 1024;

/// How long a pipe may stay silent, once the tree is gone, before it is given up. Only a process
/// outside the tree can hold it open then, and what the tree wrote can be read without waiting.
const SILENCE: Duration = Duration::from_millis(100);

/// The most a pipe can hold (`/proc/sys/fs/pipe-max-size` is 1 MiB by default): whatever comes
/// beyond that after the tree is gone was not written by the tree.
const LEFT_IN_PIPE: usize = 1024 * 1024;

/// Hands everything from `pipe` to `host` until the pipe ends, or the tree is gone and all it
/// wrote has been read.
pub(crate) async fn carry<H: Host>(
    mut pipe: impl AsyncRead + Unpin,
    stream: OutputStream,
    host: &H,
    mut tree_gone: watch::Receiver<bool>,
) {
    let mut buffer = BytesMut::new();
    let mut left = LEFT_IN_PIPE;
    while let Some(piece) = next_piece(&mut pipe, &mut buffer, &mut tree_gone).await {
        if *tree_gone.borrow() {
            left = left.saturating_sub(piece.len());
        }
        host.output(stream, piece).await;
        if left == 0 {
            return;
        }
    }
}

async fn next_piece(
    pipe: &mut (impl AsyncRead + Unpin),
    buffer: &mut BytesMut,
    tree_gone: &mut watch::Receiver<bool>,
) -> Option<Bytes> {
    if buffer.capacity() < ROOM {
        buffer.reserve(PIECE);
    }
    let mut room = (&mut *buffer).limit(PIECE);
    let read = tokio::select! {
        biased;
        read = pipe.read_buf(&mut room) => read,
        () = silence(tree_gone) => return None,
    };
    match read {
        Ok(1..) => Some(buffer.split().freeze()),
        // A pipe that cannot be read has nothing more to give.
        Ok(0) | Err(_) => None,
    }
}

async fn silence(tree_gone: &mut watch::Receiver<bool>) {
    // No sender left means that nobody waits for the tree any more: it is as good as gone.
    drop(tree_gone.wait_for(|&gone| gone).await);
    sleep(SILENCE).await;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Mutex;

    use bytes::Bytes;
    use hatchery_protocol::OutputStream;
    use tokio::io::AsyncWriteExt;
    use tokio::sync::watch;

    use super::carry;
    use crate::{Host, StartingCommand, Usage};

    #[derive(Default)]
    struct Collected(Mutex<Vec<Bytes>>);

    impl Host for Collected {
        async fn command_starting(&self, _: &StartingCommand) {}

        async fn output(&self, _: OutputStream, bytes: Bytes) {
            self.0.lock().unwrap().push(bytes);
        }

        async fn alive(&self) {}

        async fn used(&self, _: Usage) {}
    }

    impl Collected {
        fn all(&self) -> Vec<u8> {
            self.0.lock().unwrap().concat()
        }
    }

    #[tokio::test]
    async fn every_byte_arrives_in_order_and_in_small_pieces() {
        let printed: Vec<u8> = (0..1_000_000u32).map(|n| (n % 251) as u8).collect();
        let (mut writer, reader) = tokio::io::duplex(100_000);
        let (gone, tree_gone) = watch::channel(false);
        let host = Collected::default();
        tokio::join!(carry(reader, OutputStream::Stdout, &host, tree_gone), async {
            writer.write_all(&printed).await.unwrap();
            drop(writer);
        });
        assert!(host.all() == printed);
        assert!(host.0.lock().unwrap().iter().all(|piece| piece.len() <= 64 * 1024));
        drop(gone);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pipe_held_open_from_outside_ends_with_the_tree() {
        let (mut writer, reader) = tokio::io::duplex(100_000);
        let (gone, tree_gone) = watch::channel(false);
        let host = Collected::default();
        tokio::join!(carry(reader, OutputStream::Stdout, &host, tree_gone), async {
            writer.write_all(b"the last words").await.unwrap();
            gone.send_replace(true);
        });
        assert_eq!(host.all(), b"the last words");
        drop(writer);
    }

    #[tokio::test]
    async fn a_writer_from_outside_does_not_keep_a_gone_tree_talking() {
        let (mut writer, reader) = tokio::io::duplex(100_000);
        let (_gone, tree_gone) = watch::channel(true);
        let host = Collected::default();
        let flood = async { while writer.write_all(&[b'x'; 4096]).await.is_ok() {} };
        tokio::join!(carry(reader, OutputStream::Stdout, &host, tree_gone), flood);
        assert!(host.all().len() < 2 * 1024 * 1024);
    }
}
