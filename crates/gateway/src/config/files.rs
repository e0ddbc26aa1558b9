//! The two files on the disk: their text, and whether they changed.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::ConfigError;

/// What both files looked like at one moment. Equal fingerprints mean that nothing was written
/// in between; the contents are not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    hatchery_json: Option<Mark>,
    gateway_json: Option<Mark>,
}

/// What tells two states of a file apart. The inode catches a file that was replaced by another
/// of the same size within the clock's resolution.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    bytes: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    inode: u64,
}

impl Fingerprint {
    pub(crate) fn of(hatchery_json: &Path, gateway_json: &Path) -> Self {
        Self { hatchery_json: mark(hatchery_json), gateway_json: mark(gateway_json) }
    }
}

/// None also stands for a file that cannot be looked at: loading it then says why.
fn mark(path: &Path) -> Option<Mark> {
    let metadata = fs::metadata(path).ok()?;
    Some(Mark {
        bytes: metadata.len(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        inode: metadata.ino(),
    })
}

/// The file's text without a byte order mark; none when there is no such file.
pub(crate) fn read(path: &Path) -> Result<Option<String>, ConfigError> {
    match read_text(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ConfigError::Unreadable { path: path.to_owned(), source }),
    }
}

/// The file's text without a byte order mark, which some editors leave and no parser expects.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    let text = fs::read_to_string(path)?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}
