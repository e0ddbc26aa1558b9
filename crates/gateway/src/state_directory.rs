//! Where a gateway keeps its things.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
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

    /// Makes the directory where it is missing, and closes it to everybody else. One that is there
    /// already, open to others and holding other things, is left alone: it is not ours to close.
    ///
    /// # Errors
    /// When it cannot be made or closed, or should not be.
    pub fn prepare(&self) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        let mode = fs::metadata(&self.0)?.permissions().mode();
        if mode & 0o077 == 0 {
            return Ok(());
        }
        let is_ours = self.lock().exists() || fs::read_dir(&self.0)?.next().is_none();
        if !is_ours {
            let text = "it is open to others and holds other things";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
        fs::set_permissions(&self.0, fs::Permissions::from_mode(0o700))
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

    /// The journal and what is made of it.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.0.join("hatchery.db")
    }

    /// The gateway's own key.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.0.join("gateway.key")
    }

    /// The directory of the certificate the gateway has made for itself.
    #[must_use]
    pub fn tls(&self) -> PathBuf {
        self.0.join("tls")
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::StateDirectory;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_directory_is_closed_only_where_it_is_ours() {
        let place = tempfile::tempdir().unwrap();
        let open_one = |name: &str, holds: Option<&str>| {
            let path = place.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            if let Some(file) = holds {
                fs::write(path.join(file), "").unwrap();
            }
            path
        };
        let fresh = place.path().join("deep/fresh");
        for (path, closes) in [
            (fresh, true),
            (open_one("empty", None), true),
            (open_one("used", Some("gateway.lock")), true),
            (open_one("shared", Some("holiday.jpg")), false),
        ] {
            let outcome = StateDirectory::at(path.clone()).prepare();
            assert_eq!(outcome.is_ok(), closes, "{}", path.display());
            assert_eq!(mode(&path), if closes { 0o700 } else { 0o755 }, "{}", path.display());
        }
    }
}
