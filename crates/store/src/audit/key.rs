//! The key of the chain: 32 random bytes in a file beside the database.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// How long the key is, in bytes.
pub(super) const KEY_BYTES: usize = 32;

/// The key, and how it came here.
pub(crate) struct Key {
    pub(super) bytes: [u8; KEY_BYTES],
    /// It was made just now: no journal can have been chained with it before.
    pub(crate) is_new: bool,
}

impl Key {
    /// The file a directory's key is in.
    pub(super) fn path(directory: &Path) -> PathBuf {
        directory.join("audit.key")
    }

    /// Reads the key of a directory, if there is one.
    pub(super) fn read(directory: &Path) -> io::Result<Option<Self>> {
        let file = match fs::File::open(Self::path(directory)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut found = Vec::new();
        file.take(KEY_BYTES as u64 + 1).read_to_end(&mut found)?;
        Ok(found.try_into().ok().map(|bytes| Self { bytes, is_new: false }))
    }

    /// Reads the key of a directory, or makes one. What is no key is put aside: a gateway must
    /// start, and the chain then says that its key was not there.
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        if let Some(key) = Self::read(directory)? {
            return Ok(key);
        }
        let path = Self::path(directory);
        if path.exists() {
            fs::rename(&path, directory.join("audit.key.damaged"))?;
        }
        let mut bytes = [0; KEY_BYTES];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        // Under another name first: a crash in between must not leave half a key.
        let unfinished = directory.join("audit.key.new");
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        fs::File::open(directory)?.sync_all()?;
        Ok(Self { bytes, is_new: true })
    }
}
