//! Opening the store.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use hatchery_failpoints::{Point, reach};
use rusqlite::{Connection, OpenFlags};

use crate::audit::{self, Key};
use crate::schema::Circumstances;
use crate::writer::{self, Job};
use crate::{Afterwards, CommitError, Entry, schema};

/// The journal and its projections. Closing it (by dropping) waits for what was appended.
pub struct Store {
    jobs: Option<Sender<Job>>,
    writer: Option<JoinHandle<()>>,
    pub(crate) reader: Mutex<Connection>,
    /// Counts the commits that changed what can be read, so that what was read can be kept.
    generation: Arc<AtomicU64>,
}

/// Why the store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory or a file in it cannot be made, read or written.
    #[error(
        "cannot use {path}: {source}; make the directory writable, or name another with HATCHERY_STATE_DIR"
    )]
    Files {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The tables are from a newer program.
    #[error(
        "{path} was written by a newer hatchery (tables {found}, this one knows {known}); use that one"
    )]
    Newer {
        /// The path.
        path: PathBuf,
        /// The version found.
        found: i64,
        /// The version this program writes.
        known: i64,
    },
    /// SQLite refused.
    #[error("cannot open {path}: {source}; if it is damaged, move it away and start again")]
    Database {
        /// The path.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
}

impl Store {
    /// Opens the store in a directory, making both where they are missing (directory 0700, file
    /// 0600). `now_ms`, since 1970, dates the main session of a new store.
    ///
    /// # Errors
    /// [`OpenError`], each case with what to do about it.
    pub fn open(directory: &Path, now_ms: u64) -> Result<Self, OpenError> {
        let path = directory.join("hatchery.db");
        let files = |source| OpenError::Files { path: path.clone(), source };
        make_private(directory, &path).map_err(files)?;
        let database = |source| OpenError::Database { path: path.clone(), source };
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&path, flags).map_err(database)?;
        connection.execute_batch(schema::WRITER_SETTINGS).map_err(database)?;
        let found: i64 = connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(database)?;
        reach(Point::StoreFound);
        if found > schema::VERSION {
            return Err(OpenError::Newer { path, found, known: schema::VERSION });
        }
        let key = Key::open(directory).map_err(files)?;
        let now_ms = now_ms.cast_signed();
        let circumstances = Circumstances { now_ms, key: &key };
        schema::migrate(&mut connection, found, &circumstances).map_err(database)?;
        let chain = audit::open(&mut connection, &key, now_ms).map_err(database)?;
        reach(Point::StoreOpened);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let reader = Connection::open_with_flags(&path, flags).map_err(database)?;
        let (jobs, waiting) = mpsc::channel();
        let generation = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&generation);
        let writer = thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer::run(connection, chain, &waiting, &counted))
            .map_err(files)?;
        Ok(Self { jobs: Some(jobs), writer: Some(writer), reader: Mutex::new(reader), generation })
    }

    /// Counts the commits that changed what can be read. What was read while this stood at a
    /// number is still right while it stands there; the output of runs does not count.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Gives entries to the writer and returns at once. They are committed together; `afterwards`
    /// runs once they are durable, or could not be made so. `now_ms` is milliseconds since 1970.
    pub fn append(&self, now_ms: u64, entries: Vec<Entry>, afterwards: Afterwards) {
        let job = Job { at_ms: now_ms.cast_signed(), entries, afterwards };
        let unsent = match &self.jobs {
            Some(jobs) => jobs.send(job).err().map(|error| error.0),
            None => Some(job),
        };
        if let Some(job) = unsent {
            (job.afterwards)(Err(CommitError::WriterGone));
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.jobs = None;
        let Some(writer) = self.writer.take() else { return };
        // What follows from a commit may hold the last reference to the store. The writer then
        // cannot wait for itself; it ends by itself once this returns.
        if writer.thread().id() != thread::current().id() && writer.join().is_err() {
            // The writer has panicked; its panic message is on stderr already.
        }
    }
}

/// SQLite gives the files it makes beside the database the database's own mode.
fn make_private(directory: &Path, file: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    fs::OpenOptions::new().create(true).append(true).mode(0o600).open(file)?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o600))
}
