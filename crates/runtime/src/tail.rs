//! The end of what an agent writes to its standard error.
//!
//! Agents are noisy there and mean nothing by it, so it is no output and no sign of failure. Where
//! a run does fail, its last words are what a person needs.

use std::collections::VecDeque;

use tokio::io::{AsyncRead, AsyncReadExt};

/// How much is kept, in bytes.
const KEPT: usize = 64 * 1024;

/// The last bytes of a stream, at most 64 KiB.
#[derive(Debug, Default)]
pub(crate) struct Tail(VecDeque<u8>);

impl Tail {
    /// Reads `stream` to its end, so that whoever writes to it never waits.
    pub(crate) async fn read(&mut self, mut stream: impl AsyncRead + Unpin) {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            self.push(&buffer[..count]);
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
        let over = self.0.len().saturating_sub(KEPT);
        self.0.drain(..over);
    }

    /// What was kept, as text.
    pub(crate) fn into_text(self) -> String {
        String::from_utf8_lossy(&Vec::from(self.0)).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT, Tail};

    #[tokio::test]
    async fn only_the_end_is_kept() {
        let mut tail = Tail::default();
        let spoken = format!("{}the end", "x".repeat(3 * KEPT));
        tail.read(spoken.as_bytes()).await;
        assert_eq!(tail.0.len(), KEPT);
        assert!(tail.into_text().ends_with("xthe end"));
    }
}
