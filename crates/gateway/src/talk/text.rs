//! A text that grows from the bytes of a run.

use hatchery_protocol::OutputStream;

/// How much of an answer is told while it grows, in bytes: what its outcome keeps. Of a longer
/// one the end is told when it is over.
const TOLD_BYTES: usize = 64 * 1024;

/// A text that grows from the bytes of a run: both streams, in the order they came in.
#[derive(Debug, Default)]
pub(super) struct GrowingText {
    whole: String,
    told: usize,
    /// The beginning of a character whose rest has not come yet, for each stream.
    begun: [Vec<u8>; 2],
}

impl GrowingText {
    /// Takes bytes in.
    pub(super) fn take(&mut self, stream: OutputStream, bytes: &[u8]) {
        if self.whole.len() >= TOLD_BYTES {
            return;
        }
        let begun = match stream {
            OutputStream::Stdout => &mut self.begun[0],
            OutputStream::Stderr => &mut self.begun[1],
        };
        begun.extend_from_slice(bytes);
        loop {
            match std::str::from_utf8(begun) {
                Ok(text) => {
                    self.whole.push_str(text);
                    begun.clear();
                    return;
                }
                Err(error) => {
                    let good = error.valid_up_to();
                    self.whole.push_str(&String::from_utf8_lossy(&begun[..good]));
                    let Some(bad) = error.error_len() else {
                        begun.drain(..good);
                        return;
                    };
                    self.whole.push(char::REPLACEMENT_CHARACTER);
                    begun.drain(..good + bad);
                }
            }
        }
    }

    /// Everything so far.
    pub(super) fn whole(&self) -> &str {
        &self.whole
    }

    /// What is new since this was asked last; `None` where nothing is.
    pub(super) fn new_part(&mut self) -> Option<String> {
        let new = self.whole.get(self.told..).filter(|new| !new.is_empty())?.to_owned();
        self.told = self.whole.len();
        Some(new)
    }
}

#[cfg(test)]
mod tests {
    use hatchery_protocol::OutputStream::{Stderr, Stdout};

    use super::{GrowingText, TOLD_BYTES};

    #[test]
    fn a_character_in_two_pieces_arrives_whole() {
        let mut text = GrowingText::default();
        let snowman = "☃".as_bytes();
        text.take(Stdout, &snowman[..1]);
        assert_eq!(text.new_part(), None);
        text.take(Stderr, b"between ");
        text.take(Stdout, &snowman[1..]);
        assert_eq!(text.new_part().as_deref(), Some("between ☃"));
        assert_eq!(text.new_part(), None);
        text.take(Stdout, b"a\xffb");
        assert_eq!(text.new_part().as_deref(), Some("a\u{fffd}b"));
        assert_eq!(text.whole(), "between ☃a\u{fffd}b");
    }

    #[test]
    fn a_text_stops_growing_at_its_limit() {
        let mut text = GrowingText::default();
        for _ in 0..100 {
            text.take(Stdout, &[b'x'; 1024]);
        }
        assert_eq!(text.whole().len(), TOLD_BYTES);
    }
}
