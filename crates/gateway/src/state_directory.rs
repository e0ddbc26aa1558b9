//! Where a gateway keeps its things.

use std::path::{Path, PathBuf};

use etcetera::base_strategy::{BaseStrategy, choose_native_strategy};

/// The directory a gateway keeps its things in; there is one gateway per directory at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDirectory(PathBuf);

/// There is no place for the gateway's things.
#[derive(Debug, thiserror::Error)]
#[error(
    "there is no home directory to keep things in: set HOME, or name a place with HATCHERY_STATE_DIR"
)]
pub struct NoStateDirectory;

impl StateDirectory {
    /// A directory of the caller's choice.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// `HATCHERY_STATE_DIR`, or the platform's place for a user's program state
    /// (`~/.local/state/hatchery` on Linux). A relative path counts from where the process stands.
    ///
    /// # Errors
    /// [`NoStateDirectory`] when there is no home directory either.
    pub fn from_environment(
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, NoStateDirectory> {
        if let Some(path) = variable("HATCHERY_STATE_DIR").filter(|path| !path.is_empty()) {
            return std::path::absolute(path).map(Self).map_err(|_| NoStateDirectory);
        }
        let platform = choose_native_strategy().map_err(|_| NoStateDirectory)?;
        let base = platform.state_dir().unwrap_or_else(|| platform.data_dir());
        Ok(Self(base.join("hatchery")))
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The owner's socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.0.join("gateway.sock")
    }

    /// The file that says which process is the gateway.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.0.join("gateway.lock")
    }

    /// The log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.0.join("gateway.log")
    }

    /// The directory an agent works in where nobody names another.
    #[must_use]
    pub fn workspace(&self) -> PathBuf {
        self.0.join("workspace")
    }
}
