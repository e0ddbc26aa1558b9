//! The arithmetic of the chain. No files, no tables.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::key::KEY_BYTES;

/// A keyed hash.
pub(crate) type Hash = [u8; 32];

/// What keeps the uses of the key apart.
const ENTRY: &[u8] = b"journal entry\0";
const HEAD: &[u8] = b"journal head\0";
const SNAPSHOT: &[u8] = b"journal snapshot\0";

/// The end of a chain: the newest entry's number and hash. Zero and zeros before the first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The newest entry's number.
    pub seq: u64,
    pub(crate) mac: Hash,
}

/// A text that is no head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a head is written as `audit verify` prints it: a number, a colon, 64 hexadecimal digits")]
pub struct InvalidHead;

/// What an entry's hash covers, beside the hash before it.
#[derive(Clone, Copy)]
pub(crate) struct Covered<'a> {
    pub(crate) seq: u64,
    pub(crate) at_ms: i64,
    pub(crate) kind: &'a str,
    pub(crate) run: Option<&'a str>,
    pub(crate) body: &'a str,
}

/// A chain that is being made or followed.
#[derive(Clone)]
pub(crate) struct Chain {
    /// Its key has been worked in already.
    keyed: Hmac<Sha256>,
    pub(crate) head: Head,
}

impl Chain {
    /// A chain without an entry.
    pub(crate) fn new(key: &[u8; KEY_BYTES]) -> Option<Self> {
        let keyed = Hmac::new_from_slice(key).ok()?;
        Some(Self { keyed, head: Head::NONE })
    }

    /// The hash of an entry that follows the head.
    pub(crate) fn of_next(&self, entry: Covered<'_>) -> Hash {
        // Every part has its length before it, so that no two entries read the same.
        let Covered { seq, at_ms, kind, run, body } = entry;
        let mut mac = self.keyed.clone();
        mac.update(ENTRY);
        mac.update(&self.head.mac);
        mac.update(&seq.to_le_bytes());
        mac.update(&at_ms.to_le_bytes());
        for part in [Some(kind), run, Some(body)] {
            match part {
                Some(text) => {
                    mac.update(&[1]);
                    mac.update(&(text.len() as u64).to_le_bytes());
                    mac.update(text.as_bytes());
                }
                None => mac.update(&[0]),
            }
        }
        mac.finalize().into_bytes().into()
    }

    /// Takes an entry in, and gives its hash.
    pub(crate) fn take(&mut self, entry: Covered<'_>) -> Hash {
        let mac = self.of_next(entry);
        self.head = Head { seq: entry.seq, mac };
        mac
    }

    /// The hash of a snapshot that stands for everything up to the head.
    pub(crate) fn of_snapshot(&self, at_ms: i64, body: &str) -> Hash {
        let mut mac = self.keyed.clone();
        mac.update(SNAPSHOT);
        mac.update(&self.head.seq.to_le_bytes());
        mac.update(&self.head.mac);
        mac.update(&at_ms.to_le_bytes());
        mac.update(body.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// Proof that the head is where the holder of the key left it.
    pub(crate) fn seal(&self) -> Hash {
        let mut mac = self.keyed.clone();
        mac.update(HEAD);
        mac.update(&self.head.seq.to_le_bytes());
        mac.update(&self.head.mac);
        mac.finalize().into_bytes().into()
    }

    /// Whether a seal is the head's. In constant time, though nobody can ask often.
    pub(crate) fn is_sealed_by(&self, seal: &[u8]) -> bool {
        let mut mac = self.keyed.clone();
        mac.update(HEAD);
        mac.update(&self.head.seq.to_le_bytes());
        mac.update(&self.head.mac);
        mac.verify_slice(seal).is_ok()
    }
}

impl Head {
    /// Before the first entry.
    pub(crate) const NONE: Self = Self { seq: 0, mac: [0; 32] };
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.seq)?;
        self.mac.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Head({self})")
    }
}

impl FromStr for Head {
    type Err = InvalidHead;

    fn from_str(text: &str) -> Result<Self, InvalidHead> {
        let (seq, digits) = text.split_once(':').ok_or(InvalidHead)?;
        let seq = seq.parse().map_err(|_| InvalidHead)?;
        if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(InvalidHead);
        }
        let mut mac = [0; 32];
        for (byte, pair) in mac.iter_mut().zip(digits.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| InvalidHead)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| InvalidHead)?;
        }
        Ok(Self { seq, mac })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Chain, Covered, Head};

    #[test]
    fn every_part_of_an_entry_counts_and_no_two_entries_read_the_same() {
        let chain = Chain::new(&[7; 32]).unwrap();
        let entry = Covered { seq: 1, at_ms: 2, kind: "ab", run: Some("c"), body: "d" };
        let others = [
            Covered { seq: 2, ..entry },
            Covered { at_ms: 3, ..entry },
            Covered { kind: "a", run: Some("bc"), ..entry },
            Covered { run: None, ..entry },
            Covered { run: Some(""), ..entry },
            Covered { run: None, body: "cd", ..entry },
            Covered { body: "e", ..entry },
        ];
        let mut seen = vec![chain.of_next(entry)];
        assert_eq!(seen[0], chain.of_next(entry));
        for other in others {
            let hash = chain.of_next(other);
            assert!(!seen.contains(&hash));
            seen.push(hash);
        }
        assert!(!seen.contains(&Chain::new(&[8; 32]).unwrap().of_next(entry)));
        let mut moved = chain.clone();
        moved.take(entry);
        assert!(!seen.contains(&moved.of_next(entry)));
        assert!(moved.is_sealed_by(&moved.seal()) && !moved.is_sealed_by(&chain.seal()));
        let snapshot = chain.of_snapshot(2, "d");
        for other in
            [chain.of_snapshot(3, "d"), chain.of_snapshot(2, "e"), moved.of_snapshot(2, "d")]
        {
            assert_ne!(snapshot, other);
        }
    }

    #[test]
    fn a_head_is_read_as_it_is_printed() {
        let head = Head { seq: 12, mac: [0xa5; 32] };
        assert_eq!(head.to_string().parse(), Ok(head));
        for text in ["", "12", "12:", "x:00", "12:zz", &format!("12:{}é", "0".repeat(62))] {
            assert!(text.parse::<Head>().is_err(), "{text:?}");
        }
    }
}
