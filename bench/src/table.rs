//! The one table.

use std::fmt;
use std::time::Duration;

use comfy_table::{CellAlignment, presets};

use crate::samples::Samples;

/// The figures, each with its aim and with what the machine itself needs for the like.
pub(crate) struct Table {
    head: String,
    rows: Vec<[String; 5]>,
    notes: Vec<String>,
}

/// What a figure is held against.
#[derive(Clone, Debug, Default)]
pub(crate) struct Against {
    /// What its median should stay under.
    pub(crate) aim: Option<Duration>,
    /// What the machine needs for the like, and what that is.
    pub(crate) floor: Option<(Duration, &'static str)>,
}

/// Bytes of a mebibyte, as the system counts memory.
pub(crate) const MIB: u64 = 1024 * 1024;

impl Table {
    pub(crate) fn new(head: String) -> Self {
        Self { head, rows: Vec::new(), notes: Vec::new() }
    }

    /// A figure in time.
    pub(crate) fn time(&mut self, figure: impl Into<String>, samples: &Samples, against: &Against) {
        let floor = against.floor.map(|(floor, what)| format!("{} ({what})", ms(floor)));
        self.rows.push([
            figure.into(),
            ms(samples.p50()),
            ms(samples.p99()),
            against.aim.map(|aim| judged(ms(aim), samples.p50() <= aim)).unwrap_or_default(),
            floor.unwrap_or_default(),
        ]);
    }

    /// A figure in memory, in bytes.
    pub(crate) fn memory(&mut self, figure: impl Into<String>, bytes: u64, aim: Option<u64>) {
        let aim = aim.map(|aim| judged(mib(aim), bytes <= aim)).unwrap_or_default();
        self.rows.push([figure.into(), mib(bytes), String::new(), aim, String::new()]);
    }

    /// A figure in memory that is small, in bytes.
    pub(crate) fn small_memory(&mut self, figure: impl Into<String>, bytes: u64, aim: Option<u64>) {
        let kib = |bytes: u64| format!("{:.1} KiB", bytes as f64 / 1024.0);
        let judged = aim.map(|aim| judged(kib(aim), bytes <= aim)).unwrap_or_default();
        self.rows.push([figure.into(), kib(bytes), String::new(), judged, String::new()]);
    }

    /// The size of a file, in bytes.
    pub(crate) fn size(&mut self, figure: &str, bytes: u64) {
        const AIM: u64 = 20_000_000;
        let mb = format!("{:.1} MB", bytes as f64 / 1e6);
        let aim = judged("20 MB".to_owned(), bytes < AIM);
        self.rows.push([figure.to_owned(), mb, String::new(), aim, String::new()]);
    }

    /// A figure in things per second.
    pub(crate) fn rate(&mut self, figure: impl Into<String>, rate: f64, unit: &str) {
        let rate = format!("{rate:.0} {unit}");
        self.rows.push([figure.into(), rate, String::new(), String::new(), String::new()]);
    }

    /// A figure in things per second, and what is known of the machine beside it.
    pub(crate) fn rate_beside(
        &mut self,
        figure: impl Into<String>,
        rate: f64,
        unit: &str,
        floor: (Duration, &str),
    ) {
        let floor = format!("{} ({})", ms(floor.0), floor.1);
        let rate = format!("{rate:.0} {unit}");
        self.rows.push([figure.into(), rate, String::new(), String::new(), floor]);
    }

    /// A figure that should be large; `None` where the gateway does not tell it.
    pub(crate) fn at_least(&mut self, figure: impl Into<String>, number: Option<f64>, aim: f64) {
        let told = number.map_or("not available".to_owned(), |number| format!("{number:.1}"));
        let judged = number.map(|number| judged(format!("{aim:.0}"), number >= aim));
        self.rows.push([figure.into(), told, String::new(), judged.unwrap_or_default(), "".into()]);
    }

    /// A line below the table.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }
}

/// An aim, and whether it was met.
pub(crate) fn judged(aim: String, met: bool) -> String {
    format!("{aim} {}", if met { "met" } else { "missed" })
}

/// A time as the tables show it.
pub(crate) fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / MIB as f64)
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        table.set_header(["figure", "p50", "p99", "aim (p50)", "floor"]);
        table.add_rows(self.rows.clone());
        for column in table.column_iter_mut().skip(1).take(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        writeln!(f, "{}\n\n{table}", self.head)?;
        self.notes.iter().try_for_each(|note| write!(f, "\n{note}"))
    }
}
