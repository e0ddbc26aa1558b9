//! The journal as evidence: each entry carries a keyed hash of the one before.
//!
//! Whoever can write to the database but does not have `audit.key` can change, remove, insert or
//! reorder nothing without `verify` naming the place. What is out of reach of any chain in one
//! place: somebody who can read the key can write a chain of their own, and a whole database put
//! back to a moment it was once in is a true one. For the latter, `verify` gives the head to be
//! noted elsewhere and takes it back as [`Head`].

mod chain;
mod event;
mod key;
mod log;
mod seal;
mod verify;

pub use chain::{Head, InvalidHead};
pub use event::AuditEvent;
pub use log::{AuditEntry, AuditError, AuditFilter, AuditLog};
pub use verify::{Fault, Verdict};

pub(crate) use chain::Chain;
pub(crate) use key::Key;
pub(crate) use seal::{append, hash, move_head, note_migration, open};
