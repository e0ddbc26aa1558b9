//! The log file: bounded, private, readable while the gateway is down.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

/// How large the log grows before it is moved to `gateway.log.1`, in bytes. With the one before,
/// the log never takes more than twice that.
pub const MAX_LOG_BYTES: u64 = 10 * 1024 * 1024;

/// The log file. Clones write to the same file.
#[derive(Clone, Debug)]
pub struct LogFile(Arc<Mutex<Open>>);

#[derive(Debug)]
struct Open {
    path: PathBuf,
    file: File,
    size: u64,
    limit: u64,
}

impl LogFile {
    /// Opens the log (0600), making it where it is missing.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::open_limited(path, MAX_LOG_BYTES)
    }

    fn open_limited(path: &Path, limit: u64) -> io::Result<Self> {
        let file = append_to(path)?;
        let size = file.metadata()?.len();
        Ok(Self(Arc::new(Mutex::new(Open { path: path.to_owned(), file, size, limit }))))
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

impl Write for &LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.size > 0 && open.size + line.len() as u64 > open.limit {
            let mut old = open.path.clone().into_os_string();
            old.push(".1");
            fs::rename(&open.path, old)?;
            open.file = append_to(&open.path)?;
            open.size = 0;
        }
        open.file.write_all(line)?;
        open.size += line.len() as u64;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogFile {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Write;

    use super::LogFile;

    #[test]
    fn the_log_moves_on_at_its_limit_and_keeps_one_before() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gateway.log");
        let log = LogFile::open_limited(&path, 10).unwrap();
        for line in ["12345\n", "678\n", "abc\n", "0123456789abcdef\n", "z\n"] {
            (&log).write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "z\n");
        let before = std::fs::read_to_string(directory.path().join("gateway.log.1")).unwrap();
        assert_eq!(before, "0123456789abcdef\n");
    }
}
