//! Following the chain from its first entry to its head.

use std::fmt;

use rusqlite::OptionalExtension;

use super::chain::{Chain, Covered, Head};
use super::seal::hash;
use super::{AuditError, AuditEvent, AuditLog};

/// What following the chain has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How many entries are as they were written, from the first on.
    pub entries: u64,
    /// The last of them. Noted elsewhere, it shows later whether a whole journal was put back.
    pub head: Head,
    /// How many entries were there before there was a chain: it holds since it was made.
    pub older: u64,
    /// The first thing that is wrong.
    pub fault: Option<Fault>,
}

/// What is wrong with a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Neither the first entry nor the head was made with the key there is.
    OtherKey,
    /// The entry is not what was written at this place: it was changed, moved or put in.
    Entry {
        /// Its number.
        seq: u64,
    },
    /// Entries are gone.
    Missing {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
    },
    /// The head is gone, or was not made with the key.
    Head,
    /// The gateway came upon a damaged end when it started, and said so here.
    Noticed {
        /// The entry that says so.
        seq: u64,
    },
    /// The head somebody noted is not in this journal: it is another one, or an older state of it.
    Noted {
        /// The noted entry's number.
        seq: u64,
    },
}

impl Fault {
    /// The first entry that is wrong, where one can be named.
    #[must_use]
    pub fn seq(&self) -> Option<u64> {
        match self {
            Self::OtherKey | Self::Head => None,
            Self::Entry { seq } | Self::Noticed { seq } | Self::Noted { seq } => Some(*seq),
            Self::Missing { first, .. } => Some(*first),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherKey => f.write_str("the journal was not chained with this audit.key"),
            Self::Entry { seq } => {
                write!(f, "entry {seq} is not what was written there: changed, moved or put in")
            }
            Self::Missing { first, last } if first == last => {
                write!(f, "entry {first} is missing")
            }
            Self::Missing { first, last } => write!(f, "entries {first} to {last} are missing"),
            Self::Head => f.write_str("the journal's head is missing or was not made by us"),
            Self::Noticed { seq } => {
                write!(
                    f,
                    "at entry {seq} the gateway found the journal's end damaged as it started"
                )
            }
            Self::Noted { seq } => {
                write!(f, "the journal does not hold entry {seq} as it was noted")
            }
        }
    }
}

impl AuditLog {
    /// Follows the chain. A head noted earlier has to lie on it.
    ///
    /// # Errors
    /// [`AuditError`] where that cannot be done; what is wrong with the journal stands in the
    /// verdict.
    pub fn verify(&self, noted: Option<Head>) -> Result<Verdict, AuditError> {
        let key = self.key.as_ref().ok_or(AuditError::NoKey)?;
        let mut chain = Chain::new(&key.bytes).ok_or(AuditError::NoKey)?;
        // One view of both tables, also while a gateway writes on.
        let reading = self.connection.unchecked_transaction()?;
        let stored = reading
            .query_row("SELECT seq, mac, seal FROM journal_head", [], |row| {
                let (seq, seal): (i64, Vec<u8>) = (row.get(0)?, row.get(2)?);
                Ok((Head { seq: seq.cast_unsigned(), mac: hash(row.get(1)?) }, seal))
            })
            .optional()?;
        let end = stored.and_then(|(head, seal)| {
            let mut at_end = chain.clone();
            at_end.head = head;
            at_end.is_sealed_by(&seal).then_some(head)
        });
        let mut verdict = Verdict { entries: 0, head: Head::NONE, older: 0, fault: None };
        let mut noted_seen = noted.is_none_or(|noted| noted == Head::NONE);
        let mut statement =
            reading.prepare("SELECT seq, at_ms, kind, run, body, mac FROM journal ORDER BY seq")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let seq = row.get::<_, i64>(0)?.cast_unsigned();
            let kind = row.get_ref(2)?.as_str().unwrap_or_default();
            let expected = chain.head.seq.wrapping_add(1);
            if seq != expected {
                let last = seq.wrapping_sub(1);
                let fault = if seq < expected {
                    Fault::Entry { seq }
                } else {
                    Fault::Missing { first: expected, last }
                };
                verdict.fault = Some(fault);
                break;
            }
            let mac = chain.take(Covered {
                seq,
                at_ms: row.get(1)?,
                kind,
                run: row.get_ref(3)?.as_str_or_null().unwrap_or_default(),
                body: row.get_ref(4)?.as_str().unwrap_or_default(),
            });
            if mac != hash(row.get(5)?) {
                let all = seq == 1 && end.is_none();
                verdict.fault = Some(if all { Fault::OtherKey } else { Fault::Entry { seq } });
                break;
            }
            if kind == AuditEvent::DAMAGED {
                verdict.fault = Some(Fault::Noticed { seq });
                break;
            }
            if kind == "journal_sealed" {
                verdict.older = seq - 1;
            }
            verdict.entries += 1;
            verdict.head = chain.head;
            noted_seen |= noted == Some(chain.head);
        }
        verdict.fault = verdict.fault.or(match (end, noted) {
            (None, _) => Some(Fault::Head),
            (Some(end), _) if end.seq > verdict.head.seq => {
                Some(Fault::Missing { first: verdict.head.seq + 1, last: end.seq })
            }
            (Some(end), _) if end != verdict.head => Some(Fault::Head),
            (_, Some(noted)) if !noted_seen => Some(Fault::Noted { seq: noted.seq }),
            _ => None,
        });
        Ok(verdict)
    }
}
