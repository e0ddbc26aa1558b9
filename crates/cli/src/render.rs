//! How things look on a terminal.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use comfy_table::{CellAlignment, Table, presets};
use hatchery_agent::command_line;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

/// Prints a value for programs. A closed output is nobody's loss here.
pub(crate) fn json(value: &Value) {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    line(&text);
}

/// Prints one line. A reader that has seen enough is no error.
pub(crate) fn line(text: &str) {
    let mut stdout = io::stdout().lock();
    if writeln!(stdout, "{text}").is_err() {
        std::process::exit(0);
    }
}

/// A plain table: columns by spaces, nothing else, so that it pipes well.
pub(crate) fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.set_header(head.to_vec());
    plain(table, rows)
}

/// The same without a head.
pub(crate) fn rows(rows: Vec<Vec<String>>) -> String {
    plain(Table::new(), rows)
}

fn plain(mut table: Table, rows: Vec<Vec<String>>) -> String {
    table.load_style(presets::NOTHING).add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2)).set_cell_alignment(CellAlignment::Left);
    }
    table.trim_fmt()
}

/// A moment in the person's own time zone, to the second.
pub(crate) fn moment(ms: u64) -> String {
    let Ok(timestamp) = Timestamp::from_millisecond(ms.cast_signed()) else {
        return "?".to_owned();
    };
    timestamp.to_zoned(time_zone().clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// The person's own time zone. It stands in one small file, which `TZ` names or the system has
/// chosen; a search through all zones there are would take longer than all the rest. What is no
/// file (`TZ=EAST-9`) is for the library to read.
pub(crate) fn time_zone() -> &'static TimeZone {
    static ZONE: OnceLock<TimeZone> = OnceLock::new();
    ZONE.get_or_init(|| {
        let named = std::env::var("TZ").ok().filter(|zone| !zone.is_empty());
        let file = match named {
            Some(zone) => Path::new("/usr/share/zoneinfo").join(zone.trim_start_matches(':')),
            None => PathBuf::from("/etc/localtime"),
        };
        let bytes = std::fs::read(file).ok();
        let zone = bytes.and_then(|bytes| TimeZone::tzif("local", &bytes).ok());
        zone.unwrap_or_else(TimeZone::system)
    })
}

/// A text field of a JSON object; empty where it is missing.
pub(crate) fn text(value: &Value, path: &str) -> String {
    match value.pointer(path) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

/// A task as a person would type it; empty where it is none.
pub(crate) fn task(value: &Value) -> String {
    serde_json::from_value(value.clone()).map(|task| command_line(&task)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{table, task};

    #[test]
    fn a_table_is_columns_and_nothing_else() {
        let rows = vec![
            vec!["sess_main".to_owned(), "main".to_owned()],
            vec!["s".to_owned(), "acp".to_owned()],
        ];
        assert_eq!(
            table(&["ID", "TYPE"], rows),
            "ID         TYPE\nsess_main  main\ns          acp"
        );
    }

    #[test]
    fn a_task_reads_as_it_would_be_typed() {
        assert_eq!(task(&json!("a | b")), "a | b");
        assert_eq!(task(&json!(["echo", "test"])), "echo test");
        assert_eq!(task(&json!(["echo", "two words"])), "echo 'two words'");
    }
}
