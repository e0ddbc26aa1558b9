//! Where this process logs to when it is a gateway.

use std::io;
use std::sync::Once;

use hatchery_gateway::{LogFile, StartError, StateDirectory};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::writer::{BoxMakeWriter, MakeWriterExt};

use crate::failure::Failure;

/// Logs to the file alone. Once a process logs, it goes on as it began.
pub(crate) fn to_file(state: &StateDirectory) -> Result<(), Failure> {
    start(BoxMakeWriter::new(open(state)?));
    Ok(())
}

/// Logs to the file and to standard error.
pub(crate) fn to_file_and_terminal(state: &StateDirectory) -> Result<(), Failure> {
    start(BoxMakeWriter::new(open(state)?.and(io::stderr)));
    Ok(())
}

/// `HATCHERY_LOG` sets how much: error, warn, info, debug or trace.
fn start(writer: BoxMakeWriter) {
    static STARTED: Once = Once::new();
    let level = std::env::var("HATCHERY_LOG").ok().and_then(|level| level.parse().ok());
    let log = tracing_subscriber::fmt()
        .with_max_level(level.unwrap_or(LevelFilter::INFO))
        .with_ansi(false)
        .with_target(false)
        .with_writer(writer);
    STARTED.call_once(|| log.init());
}

fn open(state: &StateDirectory) -> Result<LogFile, Failure> {
    let refused = |source| StartError::Directory { path: state.path().to_owned(), source };
    state.prepare().map_err(refused)?;
    Ok(LogFile::open(&state.log()).map_err(refused)?)
}
