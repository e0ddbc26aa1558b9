//! From nothing to `hello-ok`.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use super::Target;
use super::socket::Socket;
use crate::failure::Failure;
use crate::samples::Samples;
use crate::table::{Against, Table};

/// How many handshakes are made one after another.
const SEQUENTIAL: usize = 500;

/// How many are made at once, and how often that is done.
const AT_ONCE: usize = 100;
const ROUNDS: usize = 5;

/// How many echoes a handshake may take.
const AIM_ECHOES: u32 = 10;

/// Connects, signs, and waits for `hello-ok`, again and again.
pub(crate) fn sequential(
    target: &Target,
    echo: Duration,
    table: &mut Table,
) -> Result<(), Failure> {
    // The first one pairs the device.
    Socket::connect(target)?;
    let mut samples = Vec::with_capacity(SEQUENTIAL);
    for _ in 0..SEQUENTIAL {
        let before = Instant::now();
        let socket = Socket::connect(target)?;
        samples.push(before.elapsed());
        drop(socket);
    }
    let against = Against { aim: Some(echo * AIM_ECHOES), floor: Some((echo, "TCP echo")) };
    table.time("signed handshake, one after another", &Samples::new(samples), &against);
    Ok(())
}

/// Many handshakes that begin in the same moment.
pub(crate) fn at_once(target: &Target, table: &mut Table) -> Result<(), Failure> {
    let mut samples = Vec::new();
    let mut refused = 0;
    for _ in 0..ROUNDS {
        let start = Barrier::new(AT_ONCE);
        let outcomes: Vec<Option<Duration>> = thread::scope(|scope| {
            let handshake = || {
                start.wait();
                let before = Instant::now();
                Socket::connect(target).ok().map(|_| before.elapsed())
            };
            let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(handshake)).collect();
            threads.into_iter().map(|thread| thread.join().ok().flatten()).collect()
        });
        refused += outcomes.iter().filter(|outcome| outcome.is_none()).count();
        samples.extend(outcomes.into_iter().flatten());
    }
    let figure =
        format!("signed handshake, {AT_ONCE} at once ({refused} of {} refused)", ROUNDS * AT_ONCE);
    table.time(figure, &Samples::new(samples), &Against::default());
    Ok(())
}
