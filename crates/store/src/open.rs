//! Opening the store.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use hatchery_failpoints::{Point, reach};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::audit::{self, Chain, Key};
use crate::progress::Progress;
use crate::schema::Circumstances;
use crate::writer::{self, Job};
use crate::{Afterwards, CommitError, Entry, damage, schema};

/// How many statements a connection keeps prepared: more than there are.
const CACHED_STATEMENTS: usize = 128;

/// The journal and its projections. Closing it (by dropping) waits for what was appended.
pub struct Store {
    jobs: Option<Sender<Job>>,
    writer: Option<JoinHandle<()>>,
    pub(crate) reader: Mutex<Connection>,
    pub(crate) progress: Arc<Progress>,
    /// The key of the chain, for what is read back; its head stays where it was at the start.
    pub(crate) chain: Chain,
    pub(crate) path: PathBuf,
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
    /// The file or the disk it is on can be read and not written.
    #[error(
        "{path} can be read and not written; make it and its directory writable, or name another directory with HATCHERY_STATE_DIR"
    )]
    ReadOnly {
        /// The path.
        path: PathBuf,
    },
    /// There is no room.
    #[error("there is no room on the disk that {path} is on; make room, then start again")]
    Full {
        /// The path.
        path: PathBuf,
    },
    /// The file is not as it was written.
    #[error(
        "{path} is damaged ({found}); nothing in it was changed. Put a copy of it back, or save what can be read with `sqlite3 {path} .recover`, or move it away together with its -wal file to begin without a history"
    )]
    Damaged {
        /// The path.
        path: PathBuf,
        /// What is wrong with it.
        found: String,
    },
    /// The disk did not do what it was told.
    #[error(
        "{path} cannot be used: {source}; look at what the system says of that disk (dmesg), and at what stands beside the file"
    )]
    Disk {
        /// The path.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// SQLite refused for another reason.
    #[error("cannot open {path}: {source}; if another program has it open, end that one")]
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
        let database = |source| OpenError::of(&path, source);
        let not_closed = damage::was_not_closed(&path);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&path, flags).map_err(database)?;
        let pages: i64 = connection
            .pragma_query_value(None, "page_count", |row| row.get(0))
            .map_err(database)?;
        if pages == 0 {
            connection.execute_batch(schema::NEW_DATABASE).map_err(database)?;
        }
        connection.execute_batch(schema::WRITER_SETTINGS).map_err(database)?;
        let found: i64 = connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(database)?;
        reach(Point::StoreFound);
        if found > schema::VERSION {
            return Err(OpenError::Newer { path, found, known: schema::VERSION });
        }
        connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
        if connection.is_readonly("main").map_err(database)? {
            return Err(OpenError::ReadOnly { path });
        }
        if found > 0 {
            damage::look(&connection, &path, not_closed)?;
        }
        let key = Key::open(directory).map_err(files)?;
        let now_ms = now_ms.cast_signed();
        let circumstances = Circumstances { now_ms, key: &key };
        schema::migrate(&mut connection, found, &circumstances).map_err(database)?;
        let chain = audit::open(&mut connection, &key, now_ms).map_err(database)?;
        reach(Point::StoreOpened);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let reader = Connection::open_with_flags(&path, flags).map_err(database)?;
        // A statement is planned once, not anew for each value that is put into it.
        reader.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(database)?;
        reader.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
        let (jobs, waiting) = mpsc::channel();
        let progress = found_progress(&connection, &chain).map_err(database)?;
        let progress = Arc::new(progress);
        let (written, counted) = (chain.clone(), Arc::clone(&progress));
        let writer = thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer::run(connection, written, &waiting, &counted))
            .map_err(files)?;
        let (jobs, writer) = (Some(jobs), Some(writer));
        Ok(Self { jobs, writer, reader: Mutex::new(reader), progress, chain, path })
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

/// How far the last life had come. Looks at two rows, however long the journal is.
fn found_progress(connection: &Connection, chain: &Chain) -> rusqlite::Result<Progress> {
    let snapshot: i64 =
        connection
            .query_row("SELECT COALESCE(max(seq), 0) FROM snapshots", [], |row| row.get(0))?;
    let newest_at_ms: i64 = connection.query_row(
        "SELECT COALESCE(max(newest_at_ms), 0) FROM journal_head",
        [],
        |row| row.get(0),
    )?;
    Ok(Progress {
        head: chain.head.seq.into(),
        snapshot: snapshot.cast_unsigned().into(),
        newest_at_ms: newest_at_ms.cast_unsigned().into(),
        ..Progress::default()
    })
}

/// SQLite gives the files it makes beside the database the database's own mode.
fn make_private(directory: &Path, file: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    fs::OpenOptions::new().create(true).append(true).mode(0o600).open(file)?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o600))
}
