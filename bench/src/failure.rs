//! Why there are no figures.

use std::io;
use std::path::PathBuf;

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// There is nothing to measure.
    #[error(
        "{} is not there: build it first with `cargo build --release`, and run this with `cargo run --release -p hatchery-bench`",
        path.display()
    )]
    NoProgram { path: PathBuf },
    /// The words make no sense.
    #[error(
        "usage: hatchery-bench, or hatchery-bench load [conversations|old|trees|crowd|output|outputs]…, or BENCH_TOKEN=… hatchery-bench wire ADDRESS:PORT"
    )]
    Usage,
    /// The system refused.
    #[error("{what}: {source}")]
    Io { what: &'static str, source: io::Error },
    /// The gateway never opened its door.
    #[error("the gateway was not ready within {0} s")]
    NotReady(u64),
    /// The gateway closed the connection.
    #[error("the gateway has closed the connection")]
    Disconnected,
    /// The gateway said something we do not understand.
    #[error("the gateway's answer makes no sense: {0}")]
    Answer(#[from] serde_json::Error),
    /// The gateway refused.
    #[error("the gateway refused: {0}")]
    Refused(String),
    /// A measured thing did not do what it should, so its time means nothing.
    #[error("{what} did not succeed: {how}")]
    Wrong { what: String, how: String },
}

impl Failure {
    /// Says what was being done when the system refused.
    pub(crate) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}
