//! The journal and its projections, on SQLite.
//!
//! One thread writes. It takes whatever is waiting, commits it as one transaction with a full
//! sync, and only then runs what follows from it, in the order of the commit: nobody ever sees
//! or acts on something that a crash could take back. Reading goes over a connection of its own
//! and never waits for the writer. A start costs what happened since the last snapshot. This is the only crate that knows SQL, and it decides nothing.

mod audit;
mod conversations;
mod counts;
mod damage;
mod deliveries;
mod devices;
mod entry;
mod export;
mod kept;
mod list;
mod lives;
mod open;
mod progress;
mod project;
mod read;
mod replay;
mod results;
mod retention;
mod room;
mod schema;
mod snapshots;
mod tables;
mod transcript;
mod views;
mod words;
mod writer;

pub use audit::{
    AuditEntry, AuditError, AuditEvent, AuditFilter, AuditLog, Fault, Head, InvalidHead, Verdict,
};
pub use counts::SessionCounts;
pub use deliveries::{Delivery, DeliveryState};
pub use devices::{DeviceChange, DeviceCondition, DeviceStore, KeptDevices, NoRandomness};
pub use entry::{Afterwards, Entry};
pub use export::ExportItem;
pub use list::{ListedSession, SessionPage, SessionQuery};
pub use open::{OpenError, Store};
pub use replay::{LastWords, Replay};
pub use results::RunResult;
pub use transcript::{KeyUse, Page, Said, StoredMessage, Transcript};
pub use views::{
    HistoryItem, Lookup, ReadError, RunView, SessionFilter, SessionView, StoredOutput,
};
pub use writer::CommitError;

/// How many bytes of a run's output are kept, in bytes. What comes after is passed on to whoever
/// is watching and counted; its last part is kept in the run's outcome.
pub const KEPT_OUTPUT_BYTES: u64 = 1024 * 1024;
