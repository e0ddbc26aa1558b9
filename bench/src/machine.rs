//! How busy the machine is: figures from a busy one say little.

use std::fs::read_to_string;

/// The machine in a line: its processors and what else they have to do.
pub(crate) fn describe() -> String {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let average = read_to_string("/proc/loadavg").unwrap_or_default();
    let average = average.split(' ').next().unwrap_or("?").to_owned();
    let model = read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("", |text| text.trim_start_matches([' ', '\t', ':']));
    format!("{processors} processors ({model}), load average over the last minute {average}")
}
