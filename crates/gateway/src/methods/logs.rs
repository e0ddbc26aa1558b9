//! `logs.tail`: the end of the log, and what has been added to it since.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hatchery_access::{Permit, Read};
use hatchery_protocol::WireError;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::not_for_runs;
use crate::gateway::Shared;
use crate::supervisor::unavailable;

/// How many lines are given where no number is asked for, and at most.
const DEFAULT_LINES: usize = 500;
const MAX_LINES: usize = 5_000;

/// How much of the log is read where nothing is asked for, and at most, in bytes.
const DEFAULT_BYTES: u64 = 250_000;
const MAX_BYTES: u64 = 1_000_000;

/// Parameters of `logs.tail`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct TailParams {
    /// Where the last answer ended, in bytes from the beginning of the file.
    cursor: Option<u64>,
    limit: Option<usize>,
    max_bytes: Option<u64>,
}

/// A piece of the log.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Tail {
    file: PathBuf,
    /// Behind the last line given.
    cursor: u64,
    size: u64,
    lines: Vec<String>,
    /// Whether something before the first line was left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
    /// Whether the file is another than the one the cursor was for.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    reset: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped_bytes: Option<u64>,
}

/// The end of the log, or what has been added behind a cursor.
pub(crate) async fn tail(
    shared: &Arc<Shared>,
    permit: &Permit<Read>,
    params: TailParams,
) -> Result<Value, WireError> {
    not_for_runs(permit.caller(), "the gateway's log")?;
    let path = shared.state_directory.log();
    let read = tokio::task::spawn_blocking(move || read(path, &params)).await;
    match read {
        Ok(Ok(tail)) => Ok(json!(tail)),
        Ok(Err(error)) => Err(unavailable("LOG_UNREADABLE", error).into()),
        Err(error) => Err(unavailable("LOG_UNREADABLE", error).into()),
    }
}

fn read(path: PathBuf, params: &TailParams) -> io::Result<Tail> {
    let lines = params.limit.unwrap_or(DEFAULT_LINES).min(MAX_LINES);
    let bytes = params.max_bytes.unwrap_or(DEFAULT_BYTES).min(MAX_BYTES);
    let mut file = match open(&path)? {
        Some(file) => file,
        None => {
            let reset = params.cursor.is_some_and(|cursor| cursor > 0);
            return Ok(Tail::empty(path, reset));
        }
    };
    let size = file.metadata()?.len();
    // A log that is shorter than it was has been moved on and begun anew.
    let cursor = params.cursor.filter(|cursor| *cursor <= size);
    let reset = params.cursor.is_some() && cursor.is_none();
    let earliest = size.saturating_sub(bytes);
    let from = cursor.unwrap_or_default().max(earliest);
    let skipped = cursor.map(|cursor| from - cursor).filter(|skipped| *skipped > 0);

    let mut text = Vec::new();
    file.seek(SeekFrom::Start(from))?;
    file.take(size - from).read_to_end(&mut text)?;
    // A line that is still being written is given when it is whole.
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    text.truncate(whole);
    // Where the reading began in the middle of a line, that line is left out.
    let in_a_line = from > 0 && cursor != Some(from);
    let begins = if in_a_line { text.iter().position(|byte| *byte == b'\n') } else { None };
    let body = begins.map_or(&text[..], |at| &text[at + 1..]);
    let body = String::from_utf8_lossy(body);
    let mut found: Vec<&str> = body.lines().collect();
    let more = found.len().saturating_sub(lines);
    found.drain(..more);
    Ok(Tail {
        file: path,
        cursor: from + whole as u64,
        size,
        lines: found.into_iter().map(record).collect(),
        truncated: in_a_line || more > 0,
        reset,
        skipped_bytes: skipped,
    })
}

impl Tail {
    fn empty(file: PathBuf, reset: bool) -> Self {
        Self {
            file,
            cursor: 0,
            size: 0,
            lines: Vec::new(),
            truncated: false,
            reset,
            skipped_bytes: None,
        }
    }
}

/// A log that nobody has written to yet is empty.
fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A line of the log as the record clients read: its message under `0`, level and time in `_meta`.
/// A line that goes on with the one before has no time of its own.
fn record(line: &str) -> String {
    let parts = line.split_once(' ').and_then(|(time, rest)| {
        let (level, message) = rest.trim_start().split_once(' ')?;
        let known = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"].contains(&level);
        (known && time.ends_with('Z')).then_some((time, level, message))
    });
    let record = match parts {
        Some((time, level, message)) => json!({
            "0": message,
            "message": message,
            "level": level.to_lowercase(),
            "time": time,
            "_meta": {"logLevelName": level, "date": time},
        }),
        None => json!({"0": line, "message": line}),
    };
    record.to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;
    use std::path::Path;

    use serde_json::{Value, json};

    use super::{Tail, TailParams, read, record};

    fn tail(path: &Path, cursor: Option<u64>, limit: usize, max_bytes: u64) -> Tail {
        let params = TailParams { cursor, limit: Some(limit), max_bytes: Some(max_bytes) };
        read(path.to_owned(), &params).unwrap()
    }

    fn messages(tail: &Tail) -> Vec<String> {
        let message = |line: &String| {
            let record: Value = serde_json::from_str(line).unwrap();
            record["0"].as_str().unwrap().to_owned()
        };
        tail.lines.iter().map(message).collect()
    }

    #[test]
    fn whoever_goes_on_at_the_cursor_sees_every_line_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gateway.log");
        let empty = tail(&path, None, 10, 100);
        assert_eq!((empty.cursor, empty.size, empty.reset), (0, 0, false));

        fs::write(&path, "one\ntwo\nthr").unwrap();
        let first = tail(&path, Some(0), 10, 100);
        assert_eq!(messages(&first), ["one", "two"]);
        assert_eq!((first.cursor, first.size), (8, 11));
        assert!(!first.truncated && !first.reset);

        fs::write(&path, "one\ntwo\nthree\nfour\n").unwrap();
        let second = tail(&path, Some(first.cursor), 10, 100);
        assert_eq!(messages(&second), ["three", "four"]);
        assert!(!second.truncated && !second.reset && second.skipped_bytes.is_none());
        let third = tail(&path, Some(second.cursor), 10, 100);
        assert_eq!((third.lines.len(), third.cursor), (0, second.cursor));

        // The log has moved on.
        fs::write(&path, "new\n").unwrap();
        let fourth = tail(&path, Some(third.cursor), 10, 100);
        assert_eq!(messages(&fourth), ["new"]);
        assert!(fourth.reset);
    }

    #[test]
    fn no_more_is_read_and_given_than_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gateway.log");
        fs::write(&path, "11111\n22222\n33333\n44444\n").unwrap();
        let whole = tail(&path, None, 4, 24);
        assert_eq!((messages(&whole).len(), whole.truncated), (4, false));
        let lines = tail(&path, None, 3, 24);
        assert_eq!(
            (messages(&lines), lines.truncated),
            (vec!["22222".to_owned(), "33333".into(), "44444".into()], true)
        );
        // One byte less than all: the first line is not whole.
        let bytes = tail(&path, None, 4, 23);
        assert_eq!((messages(&bytes).len(), bytes.truncated), (3, true));
        let skipped = tail(&path, Some(6), 4, 8);
        assert_eq!(
            (messages(&skipped), skipped.skipped_bytes),
            (vec!["44444".to_owned()], Some(10))
        );
    }

    #[test]
    fn a_line_becomes_a_record() {
        let read = |line| serde_json::from_str::<Value>(&record(line)).unwrap();
        assert_eq!(
            read("2026-11-22T19:59:32.123456Z  WARN refused code=\"X\""),
            json!({"0": "refused code=\"X\"", "message": "refused code=\"X\"", "level": "warn",
                "time": "2026-11-22T19:59:32.123456Z",
                "_meta": {"logLevelName": "WARN", "date": "2026-11-22T19:59:32.123456Z"}})
        );
        assert_eq!(read("  and so on"), json!({"0": "  and so on", "message": "  and so on"}));
    }
}
