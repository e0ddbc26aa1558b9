//! The devices that were let in, in a database of their own.
//!
//! It is apart from the journal so that nothing that befalls it can touch a run: no spawn looks at
//! it, and a file that is damaged, read-only or out of reach keeps no gateway from starting. What
//! cannot be written is then known for as long as the gateway lives, and everybody is told so.

use std::fs;
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};

const TABLES: &str = "
CREATE TABLE install (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    key BLOB NOT NULL
) STRICT;
CREATE TABLE devices (
    id TEXT PRIMARY KEY,
    record TEXT NOT NULL
) STRICT;
PRAGMA user_version = 1;
";

/// The version of these tables.
const VERSION: i64 = 1;

/// How long another process that has the file locked is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// The devices on disk. One gateway has them open at a time.
#[derive(Debug)]
pub struct DeviceStore {
    path: PathBuf,
    /// None where nothing can be written.
    connection: Option<Connection>,
    condition: DeviceCondition,
}

/// How the file was found, or what has become of it since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceCondition {
    /// As it was left.
    Ok,
    /// There was none, or an empty one.
    New,
    /// It was damaged. It was put aside, and another begun.
    Damaged {
        /// Where the damaged one is now.
        moved_to: PathBuf,
    },
    /// It can be read and not written.
    ReadOnly,
    /// It can be neither read nor written, or no longer written.
    Unavailable {
        /// Why.
        why: String,
    },
}

/// What was on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptDevices {
    /// 32 random bytes that belong to this installation: drawn with the file.
    pub install_key: [u8; 32],
    /// The records, as they were given.
    pub records: Vec<String>,
}

/// A record that is to be kept in place of the one before, or to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceChange {
    /// The device's id.
    pub id: String,
    /// Its record; none where it is to go.
    pub record: Option<String>,
}

/// Why the system's randomness could not be had.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the system gives no random numbers: {0}")]
pub struct NoRandomness(#[from] getrandom::Error);

/// Why the file is of no use as it is.
enum Trouble {
    Damaged,
    Unavailable(String),
}

impl DeviceStore {
    /// Opens the devices of a directory that exists. `now_ms` names what is put aside.
    ///
    /// # Errors
    /// Nothing about the file: that is the store's [condition](Self::condition). Only
    /// [`NoRandomness`].
    pub fn open(directory: &Path, now_ms: u64) -> Result<(Self, KeptDevices), NoRandomness> {
        let path = directory.join("devices.db");
        let mut fresh_key = [0; 32];
        getrandom::fill(&mut fresh_key)?;
        let (opened, moved_to) = match open(&path, &fresh_key) {
            Err(Trouble::Damaged) => match put_aside(&path, now_ms) {
                Ok(moved_to) => (open(&path, &fresh_key), Some(moved_to)),
                Err(error) => {
                    let why = format!("it is damaged and cannot be put aside: {error}");
                    (Err(Trouble::Unavailable(why)), None)
                }
            },
            opened => (opened, None),
        };
        let (connection, condition, kept) = match (opened, moved_to) {
            (Ok(opened), Some(moved_to)) => {
                (opened.connection, DeviceCondition::Damaged { moved_to }, opened.kept)
            }
            (Ok(opened), None) => (opened.connection, opened.condition, opened.kept),
            (Err(trouble), _) => {
                let why = match trouble {
                    Trouble::Damaged => "it is damaged again".to_owned(),
                    Trouble::Unavailable(why) => why,
                };
                let kept = KeptDevices { install_key: fresh_key, records: Vec::new() };
                (None, DeviceCondition::Unavailable { why }, kept)
            }
        };
        Ok((Self { path, connection, condition }, kept))
    }

    /// How things stand with the file.
    #[must_use]
    pub fn condition(&self) -> &DeviceCondition {
        &self.condition
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether what is written stays.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        self.connection.is_some()
    }

    /// Writes changes in one transaction. Says whether they are on disk; after a failure nothing
    /// is written any more, and the condition says why.
    pub fn write(&mut self, changes: &[DeviceChange]) -> bool {
        let Some(connection) = &mut self.connection else { return false };
        let written = write(connection, changes);
        if let Err(error) = &written {
            self.connection = None;
            self.condition = match error.sqlite_error_code() {
                Some(ErrorCode::ReadOnly) => DeviceCondition::ReadOnly,
                _ => DeviceCondition::Unavailable { why: error.to_string() },
            };
        }
        written.is_ok()
    }
}

struct Opened {
    connection: Option<Connection>,
    condition: DeviceCondition,
    kept: KeptDevices,
}

fn open(path: &Path, fresh_key: &[u8; 32]) -> Result<Opened, Trouble> {
    make_private(path).map_err(|error| Trouble::Unavailable(error.to_string()))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA cache_size = -256;")?;
    let sound: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if sound != "ok" {
        return Err(Trouble::Damaged);
    }
    let read_only = connection.is_readonly("main")?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
    match (version, tables) {
        (0, 0) => {
            let kept = KeptDevices { install_key: *fresh_key, records: Vec::new() };
            if read_only {
                return Ok(Opened { connection: None, condition: DeviceCondition::ReadOnly, kept });
            }
            let transaction = connection.transaction()?;
            transaction.execute_batch(TABLES)?;
            transaction
                .execute("INSERT INTO install (id, key) VALUES (1, ?1)", [&fresh_key[..]])?;
            transaction.commit()?;
            let condition = DeviceCondition::New;
            Ok(Opened { connection: Some(connection), condition, kept })
        }
        (VERSION, _) => {
            let kept = read(&connection)?;
            let (connection, condition) = if read_only {
                (None, DeviceCondition::ReadOnly)
            } else {
                (Some(connection), DeviceCondition::Ok)
            };
            Ok(Opened { connection, condition, kept })
        }
        (..VERSION, _) => Err(Trouble::Damaged),
        _ => {
            Err(Trouble::Unavailable("it was written by a newer hatchery; use that one".to_owned()))
        }
    }
}

fn read(connection: &Connection) -> Result<KeptDevices, Trouble> {
    let key: Option<Vec<u8>> = connection
        .query_row("SELECT key FROM install WHERE id = 1", [], |row| row.get(0))
        .optional()?;
    let install_key = key.and_then(|key| key.try_into().ok()).ok_or(Trouble::Damaged)?;
    let mut statement = connection.prepare("SELECT record FROM devices ORDER BY id")?;
    let records = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(KeptDevices { install_key, records })
}

fn write(connection: &mut Connection, changes: &[DeviceChange]) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for DeviceChange { id, record } in changes {
        match record {
            Some(record) => transaction
                .prepare_cached(
                    "INSERT INTO devices (id, record) VALUES (?1, ?2)
                     ON CONFLICT (id) DO UPDATE SET record = ?2",
                )?
                .execute(params![id, record])?,
            None => {
                transaction.prepare_cached("DELETE FROM devices WHERE id = ?1")?.execute([id])?
            }
        };
    }
    transaction.commit()
}

/// What SQLite says of a file tells the damaged from the unreachable. A schema that lacks what it
/// should have is damage too.
impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt | ErrorCode::Unknown) => {
                Self::Damaged
            }
            None => Self::Damaged,
            Some(_) => Self::Unavailable(error.to_string()),
        }
    }
}

fn put_aside(path: &Path, now_ms: u64) -> io::Result<PathBuf> {
    let moved_to = path.with_file_name(format!("devices.db.damaged-{now_ms}"));
    fs::rename(path, &moved_to)?;
    // A journal that belongs to the damaged file must not be played into the new one.
    let journal = path.with_file_name("devices.db-journal");
    match fs::rename(&journal, path.with_file_name(format!("devices.db-journal.damaged-{now_ms}")))
    {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(moved_to),
    }
}

/// Makes the file where it is missing, and takes from others what they may do with it. The owner's
/// own rights stay as they are: who made it read-only meant it.
fn make_private(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => {
            let mode = found.permissions().mode() & 0o777;
            if mode & 0o077 == 0 {
                return Ok(());
            }
            fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o700))
        }
        Ok(_) => Err(io::Error::new(io::ErrorKind::InvalidInput, "there is something else there")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map(drop)
        }
        Err(error) => Err(error),
    }
}
