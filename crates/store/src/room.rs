//! Giving room back to the disk that deleted sessions have left.

use rusqlite::Connection;

/// How many pages one step gives back, of 4 KiB each. Who comes meanwhile waits for one step.
const PAGES_PER_STEP: i64 = 64;

/// How many free pages are kept: what comes next needs them.
const SPARE_PAGES: i64 = 1_024;

/// Whether there is room to give back.
#[derive(Debug)]
pub(crate) struct Room {
    /// Databases from before this was thought of cannot.
    can_be_given_back: bool,
    due: bool,
}

impl Room {
    /// Looks how a database was made. Whether there is anything to do is seen at the first quiet
    /// moment.
    pub(crate) fn of(connection: &Connection) -> Self {
        let mode = connection.pragma_query_value(None, "auto_vacuum", |row| row.get::<_, i64>(0));
        let can_be_given_back = matches!(mode, Ok(2));
        Self { can_be_given_back, due: can_be_given_back }
    }

    /// Something was deleted.
    pub(crate) fn look_again(&mut self) {
        self.due = self.can_be_given_back;
    }

    /// Whether a quiet moment is wanted.
    pub(crate) fn is_due(&self) -> bool {
        self.due
    }

    /// Gives a little back, and says how many pages that were. What cannot be done now can be done
    /// after the next deletion.
    pub(crate) fn give_back(&mut self, connection: &Connection) -> usize {
        let free = connection
            .pragma_query_value(None, "freelist_count", |row| row.get::<_, i64>(0))
            .unwrap_or_default();
        let pages = (free - SPARE_PAGES).clamp(0, PAGES_PER_STEP);
        self.due = pages > 0 && give_back(connection, pages).is_ok();
        if self.due { pages.unsigned_abs() as usize } else { 0 }
    }
}

/// SQLite gives one page back each time it is asked for another row.
fn give_back(connection: &Connection, pages: i64) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}
