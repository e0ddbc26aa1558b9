//! Output as text: pieces of bytes become pieces of text without tearing a character apart.
//!
//! A pipe is read in pieces that know nothing of characters. Whoever carries them as text needs
//! each piece to be text by itself, and needs to get back the exact bytes where they were none.

use bytes::{Bytes, BytesMut};

/// A piece of output as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The text; where the bytes are no UTF-8, a readable rendering of them.
    pub text: String,
    /// The exact bytes, given only where `text` does not render them faithfully.
    pub exact: Option<Bytes>,
}

/// Turns a stream of bytes into pieces of text. One value serves one stream.
#[derive(Debug, Default)]
pub struct TextPieces {
    /// The beginning of a character whose rest has not come yet: at most three bytes.
    begun: Bytes,
}

impl TextPieces {
    /// A stream that has not begun.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The next piece; none while there is less than a character.
    pub fn push(&mut self, bytes: Bytes) -> Option<Piece> {
        let mut bytes = if self.begun.is_empty() { bytes } else { self.join(&bytes) };
        self.begun = bytes.split_off(bytes.len() - begun_character(&bytes));
        piece(bytes)
    }

    /// What is left when the stream has ended.
    pub fn finish(&mut self) -> Option<Piece> {
        piece(std::mem::take(&mut self.begun))
    }

    fn join(&self, bytes: &[u8]) -> Bytes {
        let mut joined = BytesMut::with_capacity(self.begun.len() + bytes.len());
        joined.extend_from_slice(&self.begun);
        joined.extend_from_slice(bytes);
        joined.freeze()
    }
}

fn piece(bytes: Bytes) -> Option<Piece> {
    if bytes.is_empty() {
        return None;
    }
    Some(match std::str::from_utf8(&bytes) {
        Ok(text) => Piece { text: text.to_owned(), exact: None },
        Err(_) => Piece { text: String::from_utf8_lossy(&bytes).into_owned(), exact: Some(bytes) },
    })
}

/// How many bytes at the end begin a character that more bytes may complete.
fn begun_character(bytes: &[u8]) -> usize {
    (1..=bytes.len().min(3))
        .find(|&count| {
            let end = &bytes[bytes.len() - count..];
            std::str::from_utf8(end)
                .is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::{Piece, TextPieces};

    /// Puts `bytes` through, cut after each of `cuts` bytes in turn.
    fn pieces(bytes: &[u8], cuts: &[usize]) -> Vec<Piece> {
        let mut stream = TextPieces::new();
        let mut rest = Bytes::copy_from_slice(bytes);
        let mut out = Vec::new();
        let mut cuts = cuts.iter().cycle();
        while let (false, Some(&cut)) = (rest.is_empty(), cuts.next()) {
            out.extend(stream.push(rest.split_to(cut.clamp(1, rest.len()))));
        }
        out.extend(stream.finish());
        out
    }

    fn restored(pieces: &[Piece]) -> Vec<u8> {
        let exact = |piece: &Piece| match &piece.exact {
            Some(bytes) => bytes.to_vec(),
            None => piece.text.clone().into_bytes(),
        };
        pieces.iter().flat_map(exact).collect()
    }

    #[test]
    fn half_a_character_waits_for_its_other_half() {
        assert_eq!(
            pieces("aé".as_bytes(), &[2]),
            [("a", None), ("é", None)].map(|(text, exact)| Piece { text: text.to_owned(), exact })
        );
    }

    #[test]
    fn half_a_character_at_the_end_is_given_exactly() {
        let end = Piece { text: "\u{fffd}".to_owned(), exact: Some(Bytes::from_static(b"\xc3")) };
        assert_eq!(pieces(b"\xc3", &[1]), [end]);
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_restored(
            bytes: Vec<u8>,
            cuts in prop::collection::vec(1usize..5, 1..8),
        ) {
            prop_assert_eq!(restored(&pieces(&bytes, &cuts)), bytes);
        }

        #[test]
        fn text_stays_text_wherever_it_is_cut(
            text in "\\PC*",
            cuts in prop::collection::vec(1usize..5, 1..8),
        ) {
            let pieces = pieces(text.as_bytes(), &cuts);
            prop_assert!(pieces.iter().all(|piece| piece.exact.is_none()));
            prop_assert_eq!(restored(&pieces), text.into_bytes());
        }
    }
}
