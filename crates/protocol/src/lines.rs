//! Bounded lines: how frames are told apart on a byte stream.
//!
//! The owner's socket and ACP both carry one JSON object per line. This is the splitting alone,
//! without the reading, so the same bound holds wherever bytes come from.

use bytes::{Bytes, BytesMut};

/// A line, or the place where one was too long to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A line without its line feed (and without a carriage return before it).
    Complete(Bytes),
    /// A line over the limit was passed over; reading goes on behind it.
    TooLong,
}

/// Splits incoming bytes into lines of a limited length.
#[derive(Debug)]
pub struct LineBuffer {
    bytes: BytesMut,
    /// How far `bytes` is known to hold no line feed, so that no byte is looked at twice.
    searched: usize,
    limit: usize,
    /// Set while the rest of a too long line is thrown away.
    skipping: bool,
}

impl LineBuffer {
    /// A buffer whose lines have at most `limit` bytes, the line feed not counted.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { bytes: BytesMut::new(), searched: 0, limit, skipping: false }
    }

    /// Changes the limit for the lines that come from here on.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Where a reader puts what it reads next (`read_buf` and the like append to it).
    pub fn incoming(&mut self) -> &mut BytesMut {
        self.bytes.reserve(8 * 1024);
        &mut self.bytes
    }

    /// The next whole line, or `None` until more bytes have come.
    pub fn next_line(&mut self) -> Option<Line> {
        loop {
            let Some(offset) = self.bytes[self.searched..].iter().position(|&b| b == b'\n') else {
                self.searched = self.bytes.len();
                if self.skipping {
                    self.bytes.clear();
                    self.searched = 0;
                    return None;
                }
                // One more byte may be a carriage return that does not count.
                if self.bytes.len() > self.limit + 1 {
                    self.bytes.clear();
                    self.searched = 0;
                    self.skipping = true;
                    return Some(Line::TooLong);
                }
                return None;
            };
            let mut line = self.bytes.split_to(self.searched + offset + 1);
            self.searched = 0;
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            line.truncate(line.len() - 1);
            if line.last() == Some(&b'\r') {
                line.truncate(line.len() - 1);
            }
            if line.len() > self.limit {
                return Some(Line::TooLong);
            }
            return Some(Line::Complete(line.freeze()));
        }
    }

    /// What stood after the last line feed when the stream ended, if anything.
    #[must_use]
    pub fn rest(mut self) -> Option<Bytes> {
        let unfinished = !self.skipping && !self.bytes.is_empty() && self.bytes.len() <= self.limit;
        unfinished.then(|| self.bytes.split().freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, LineBuffer};

    fn feed(buffer: &mut LineBuffer, text: &str) -> Vec<Line> {
        buffer.incoming().extend_from_slice(text.as_bytes());
        std::iter::from_fn(|| buffer.next_line()).collect()
    }

    fn line(text: &str) -> Line {
        Line::Complete(text.to_owned().into())
    }

    #[test]
    fn lines_come_out_whole_however_the_bytes_arrive() {
        let mut buffer = LineBuffer::new(10);
        assert_eq!(feed(&mut buffer, "ab"), []);
        assert_eq!(feed(&mut buffer, "c\r\nde"), [line("abc")]);
        assert_eq!(feed(&mut buffer, "f\n\ng"), [line("def"), line("")]);
        assert_eq!(buffer.rest(), Some("g".into()));
    }

    #[test]
    fn the_limit_holds_at_its_edge() {
        let mut buffer = LineBuffer::new(3);
        assert_eq!(feed(&mut buffer, "abc\n"), [line("abc")]);
        assert_eq!(feed(&mut buffer, "abc\r\n"), [line("abc")]);
        assert_eq!(feed(&mut buffer, "abcd\nxy\n"), [Line::TooLong, line("xy")]);
    }

    #[test]
    fn a_line_over_the_limit_is_passed_over_without_being_kept() {
        let mut buffer = LineBuffer::new(3);
        assert_eq!(feed(&mut buffer, "abcdef"), [Line::TooLong]);
        assert_eq!(feed(&mut buffer, "ghijkl"), []);
        assert!(buffer.incoming().is_empty());
        assert_eq!(feed(&mut buffer, "mn\nok\n"), [line("ok")]);
    }

    #[test]
    fn half_of_a_too_long_line_is_no_rest() {
        let mut buffer = LineBuffer::new(3);
        assert_eq!(feed(&mut buffer, "abcdef"), [Line::TooLong]);
        assert_eq!(buffer.rest(), None);
    }
}
