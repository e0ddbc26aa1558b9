//! The table of the scenes.

use std::fmt;
use std::time::Duration;

use comfy_table::presets;

use super::pulse::Beats;
use super::scene::Counted;
use crate::table::{MIB, judged, ms};

/// What 99 of 100 answers to `health` should stay under.
const AIM: Duration = Duration::from_millis(20);

/// How a scene went.
pub(crate) struct Felt {
    pub(super) took: Duration,
    pub(super) counted: Counted,
    pub(super) beats: Beats,
    /// The gateway's memory before, at its highest, and after a rest, in bytes.
    pub(super) before: u64,
    pub(super) peak: u64,
    pub(super) after: u64,
}

/// All scenes.
pub(super) struct Report(comfy_table::Table);

impl Report {
    pub(super) fn new() -> Self {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        table.set_header([
            "scene",
            "took",
            "results",
            "health p50",
            "p99",
            "max",
            "aim (p99)",
            "echo p99",
            "max",
            "memory before, peak, after",
        ]);
        Self(table)
    }

    pub(super) fn add(&mut self, scene: &str, felt: &Felt) {
        let Counted { expected, came } = felt.counted;
        let Beats { health, echo } = &felt.beats;
        let mib = |bytes: u64| format!("{:.1}", bytes as f64 / MIB as f64);
        self.0.add_row([
            scene.to_owned(),
            format!("{:.1} s", felt.took.as_secs_f64()),
            if came == expected {
                format!("{came}, none lost")
            } else {
                format!("{came} of {expected}")
            },
            ms(health.p50()),
            ms(health.p99()),
            ms(health.max()),
            judged(ms(AIM), health.p99() <= AIM),
            ms(echo.p99()),
            ms(echo.max()),
            format!("{}, {}, {} MiB", mib(felt.before), mib(felt.peak), mib(felt.after)),
        ]);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
