//! Whoever watches a run, as the run sees it.

use std::future::Future;

use bytes::Bytes;
use hatchery_protocol::OutputStream;
use hatchery_sandbox::ProcessIdentity;

use crate::Progress;

/// Whoever watches a run. Every call is awaited, so a slow observer slows the run down instead of
/// filling memory. It cannot keep a cancelled run's processes alive, but the run ends only once it
/// has taken all there is.
pub trait Observer: Send + Sync + 'static {
    /// The run is about to be at work. Called once, before any output. `process` is the keeper
    /// above all its processes, of which none has begun: they do once this returns, unless the run
    /// is cancelled by then. Whoever records it until then can end the run even after a crash.
    fn starting(&self, process: Option<ProcessIdentity>) -> impl Future<Output = ()> + Send;

    /// A piece of output, exactly as it was printed, in order within its stream.
    fn output(&self, stream: OutputStream, bytes: Bytes) -> impl Future<Output = ()> + Send;

    /// What the run is at, apart from its output. A run may tell this thousands of times a second.
    fn progress(&self, progress: Progress) -> impl Future<Output = ()> + Send;

    /// The run can be taken up again in a process of its own, by [`RunSpec::resume`] with this
    /// name, at most 512 bytes long. Called at most once, and never for a run that cannot.
    ///
    /// [`RunSpec::resume`]: crate::RunSpec::resume
    fn resumable(&self, session: &str) -> impl Future<Output = ()> + Send;
}
