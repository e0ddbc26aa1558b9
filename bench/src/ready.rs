//! From the start of the process until it serves.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::floor::Floors;
use crate::home::Home;
use crate::samples::Samples;
use crate::table::{Against, Table};

const STARTS: usize = 21;

const AIM: Duration = Duration::from_millis(25);

/// Measures `gateway run` until a connection on the owner's socket has been greeted: in empty
/// homes, where it makes its store, and in a home that has one.
pub(crate) async fn measure(
    program: &Path,
    home: &Home,
    floors: &Floors,
    table: &mut Table,
) -> Result<(), Failure> {
    let against = Against { aim: Some(AIM), floor: Some((floors.process, "fork, exec")) };
    let mut first = Vec::new();
    for _ in 0..STARTS {
        first.push(start(&Home::new(program.to_owned())?).await?);
    }
    table.time("start to ready, empty home", &Samples::new(first), &against);
    start(home).await?;
    let mut again = Vec::new();
    for _ in 0..STARTS {
        again.push(start(home).await?);
    }
    table.time("start to ready", &Samples::new(again), &against);
    Ok(())
}

/// Starts a gateway in a home and ends it; gives the time from the start until it served.
pub(crate) async fn start(home: &Home) -> Result<Duration, Failure> {
    let before = Instant::now();
    let gateway = home.start_gateway().await?;
    let time = before.elapsed();
    gateway.stop().await?;
    Ok(time)
}
