//! A start after a long past.

use std::path::Path;
use std::time::Duration;

use crate::failure::Failure;
use crate::floor::Floors;
use crate::history;
use crate::home::Home;
use crate::memory;
use crate::ready;
use crate::samples::Samples;
use crate::table::{Against, Table};

/// How many finished runs the journal holds.
const RUNS: usize = 100_000;

const STARTS: usize = 11;

const AIM: Duration = Duration::from_secs(1);

/// Measures from the start of the process until it serves, with many finished runs in its journal.
pub(crate) async fn measure(
    program: &Path,
    floors: &Floors,
    table: &mut Table,
) -> Result<(), Failure> {
    let home = Home::new(program.to_owned())?;
    history::write(&home, RUNS)?;
    let against = Against { aim: Some(AIM), floor: Some((floors.process, "fork, exec")) };
    let first = Samples::new(vec![ready::start(&home).await?]);
    table.time(format!("first start to ready, {RUNS} runs in history"), &first, &against);
    let mut times = Vec::with_capacity(STARTS);
    for _ in 0..STARTS {
        times.push(ready::start(&home).await?);
    }
    table.time(format!("start to ready, {RUNS} runs in history"), &Samples::new(times), &against);
    let gateway = home.start_gateway().await?;
    memory::now(&format!("idle memory, {RUNS} runs in history"), gateway.pid(), table)?;
    gateway.stop().await
}
