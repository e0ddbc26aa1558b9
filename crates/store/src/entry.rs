//! What is given to the writer.

use std::sync::Arc;

use bytes::Bytes;
use hatchery_protocol::{OutputStream, RunId};
use hatchery_spawn::{Event, State};

use crate::{AuditEvent, CommitError};

/// One thing to make durable.
#[derive(Clone, Debug)]
pub enum Entry {
    /// An entry of the journal.
    Event(Event),
    /// An entry of the journal that is evidence and nothing else: no state follows from it.
    Audit(AuditEvent),
    /// The state as it is after the entries before this one. It is no journal entry either: it only
    /// spares the next start from reading them. It is written as JSON, by the writer, so that nobody
    /// else waits for that.
    Snapshot(Arc<State>),
    /// A piece of a run's output. It is no journal entry: it decides nothing.
    Output {
        /// The run that said it.
        run: RunId,
        /// Its position in the run's output, from 1.
        seq: u64,
        /// The stream it was said on.
        stream: OutputStream,
        /// The bytes as they were.
        bytes: Bytes,
    },
}

/// What follows once entries are durable, or could not be made so. It runs on the writer's
/// thread, in the order of the commits, and must not block.
pub type Afterwards = Box<dyn FnOnce(Result<(), CommitError>) + Send>;
