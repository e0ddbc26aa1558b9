//! Runs a run: local, isolated or an ACP command; ACP in both directions.
//!
//! [`run`] takes what is to be done and by whom, tells an [`Observer`] what it prints, and ends
//! with a [`RunEnd`]. It decides nothing about who may run what, and it keeps nothing: what an
//! ending means for a parent or a journal is not known here. No process of a run is left when
//! [`run`] returns. This is the only crate that knows ACP.

pub mod acp;
mod end;
mod local;
mod observer;
mod progress;
mod spec;
mod tail;
mod text;

use hatchery_agent::Cancel;
use hatchery_sandbox::KeeperCommand;

pub use end::{RunEnd, RunFailure, Step};
pub use observer::Observer;
pub use progress::{Progress, Spent};
pub use spec::{AcpDeadlines, Launch, MODEL_VARIABLE, RunSpec};
pub use text::{Piece, TextPieces};

/// Runs one run to its end. When this returns, no process of it is left.
///
/// Dropping the future kills the run's processes without waiting for them to be gone. Deadlines
/// of the run itself are the caller's: it asks for a stop through `cancel`.
pub async fn run<O: Observer>(
    spec: RunSpec,
    keeper: KeeperCommand,
    observer: O,
    cancel: Cancel,
) -> RunEnd {
    if cancel.is_cancelled() {
        return RunEnd::Cancelled;
    }
    tracing::debug!(agent = %spec.agent, launch = ?spec.launch, "a run begins");
    match spec.launch.clone() {
        Launch::Local => local::run(spec, keeper, &observer, cancel).await,
        Launch::Acp { argv, network } => {
            acp::client::run(spec, argv, network, &keeper, &observer, &cancel).await
        }
    }
}
