//! What is kept of one run's output.

use hatchery_protocol::RunId;

use crate::read::output;
use crate::{ReadError, Store, StoredOutput};

impl Store {
    /// What is kept of a run's output, in order: at most [`crate::KEPT_OUTPUT_BYTES`]. An empty
    /// piece at the end says how far pieces were counted after the last that was kept.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn kept_output(&self, run: &RunId) -> Result<Vec<StoredOutput>, ReadError> {
        output(&*self.connection()?, run.as_str())
    }
}
