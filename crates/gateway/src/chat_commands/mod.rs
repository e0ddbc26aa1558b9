//! Stub.

use std::sync::Arc;

use hatchery_access::{Permit, Write};
use hatchery_protocol::WireError;
use hatchery_store::{CommitError, SessionView};

use crate::gateway::Shared;
use crate::methods::saying::{Reply, Words};
use crate::watchers::Watcher;

pub(crate) fn is_command(_text: &str) -> bool {
    false
}

pub(crate) async fn obey(
    _shared: &Arc<Shared>,
    _permit: &Permit<Write>,
    _session: &SessionView,
    _words: &Words,
    _waiter: Option<Watcher>,
    _receipt: impl FnOnce(Result<(), CommitError>) + Send + 'static,
) -> Result<Reply, WireError> {
    Ok(Reply::Later)
}
