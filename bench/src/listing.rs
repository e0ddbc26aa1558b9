//! A command that only looks.

use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::floor::Floors;
use crate::home::Home;
use crate::samples::Samples;
use crate::table::{Against, Table};

const RUNS: usize = 51;

const AIM: Duration = Duration::from_millis(8);

/// Measures `hatchery sessions list` as a person waits for it, from start to exit.
pub(crate) fn measure(
    home: &Home,
    among: &str,
    floors: &Floors,
    table: &mut Table,
) -> Result<(), Failure> {
    let mut samples = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let mut command = home.command(&["sessions", "list"]);
        let before = Instant::now();
        let status = command.status().map_err(Failure::io("running `hatchery sessions list`"))?;
        samples.push(before.elapsed());
        if !status.success() {
            let what = "`hatchery sessions list`".to_owned();
            return Err(Failure::Wrong { what, how: status.to_string() });
        }
    }
    let against = Against { aim: Some(AIM), floor: Some((floors.process, "fork, exec")) };
    table.time(format!("`sessions list`, {among}"), &Samples::new(samples), &against);
    Ok(())
}
