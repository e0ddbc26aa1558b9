//! One gateway per state directory.
//!
//! The lock is the kernel's (`flock`), so it is free the moment its holder is gone, however that
//! came about; what stands in the file only tells people who holds it.

use std::fs::{self, File, TryLockError};
use std::io::{self, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use hatchery_sandbox::ProcessIdentity;
use serde::{Deserialize, Serialize};

/// The lock, held until dropped.
#[derive(Debug)]
pub struct Lock(File);

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Holder {
    /// The process.
    pub process: ProcessIdentity,
    /// The TCP port it listens on, if it does.
    pub port: Option<u16>,
    /// Whether it is a command that hosts a gateway for its own duration.
    pub hosted: bool,
    /// Its program version.
    pub version: String,
}

/// Why the lock was not got.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("another gateway is running{}", describe(.0.as_ref()))]
    Held(Option<Holder>),
    /// The file cannot be made or written.
    #[error("cannot write the lock file: {0}")]
    Io(#[from] io::Error),
}

fn describe(holder: Option<&Holder>) -> String {
    holder.map(|holder| format!(" (process {})", holder.process.pid)).unwrap_or_default()
}

impl Lock {
    /// Takes the lock, making the file and its directory (0600, 0700) where they are missing.
    ///
    /// # Errors
    /// [`LockError::Held`] at once when another process has it.
    pub fn acquire(path: &Path) -> Result<Self, LockError> {
        if let Some(directory) = path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => {
                // What the last holder wrote is no longer true.
                file.set_len(0)?;
                Ok(Self(file))
            }
            Err(TryLockError::WouldBlock) => Err(LockError::Held(Holder::read(path))),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// Says in the file who holds the lock.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn describe(&mut self, holder: &Holder) -> io::Result<()> {
        let text = serde_json::to_vec(holder)?;
        self.0.set_len(0)?;
        self.0.rewind()?;
        self.0.write_all(&text)
    }
}

impl Holder {
    /// Who holds the lock, as far as its file says. `None` where nobody does or nobody has said
    /// so yet.
    #[must_use]
    pub fn read(path: &Path) -> Option<Self> {
        let holder: Self = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        holder.process.is_running().then_some(holder)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use hatchery_sandbox::ProcessIdentity;

    use super::{Holder, Lock, LockError};

    #[test]
    fn a_second_holder_is_told_who_the_first_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/gateway.lock");
        let mut lock = Lock::acquire(&path).unwrap();
        assert!(matches!(Lock::acquire(&path), Err(LockError::Held(None))));
        let holder = Holder {
            process: ProcessIdentity::current().unwrap(),
            port: Some(1),
            hosted: false,
            version: "0".to_owned(),
        };
        lock.describe(&holder).unwrap();
        assert!(
            matches!(Lock::acquire(&path), Err(LockError::Held(Some(found))) if found == holder)
        );
        drop(lock);
        assert!(Lock::acquire(&path).is_ok());
    }

    #[test]
    fn a_file_that_outlived_its_process_is_no_lock() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gateway.lock");
        let mut gone = ProcessIdentity::current().unwrap();
        gone.start_time += 1;
        let holder = Holder { process: gone, port: None, hosted: true, version: String::new() };
        std::fs::write(&path, serde_json::to_vec(&holder).unwrap()).unwrap();
        assert_eq!(Holder::read(&path), None);
        assert!(Lock::acquire(&path).is_ok());
    }
}
