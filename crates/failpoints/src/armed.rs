//! The point at which this process is to die, if there is one.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Signal, getpid, kill_process};

use crate::{Point, VARIABLE};

/// Read when the first point is reached, and never again.
static ARMED: OnceLock<Option<Armed>> = OnceLock::new();

struct Armed {
    point: Point,
    /// How often it is to be reached until then.
    left: AtomicU32,
}

pub(crate) fn reach(point: Point) {
    let armed = ARMED.get_or_init(|| {
        let text = std::env::var(VARIABLE).ok()?;
        let Some((point, times)) = parse(&text) else {
            eprintln!("{VARIABLE}={text} names no point; use NAME or NAME@TIMES, as run.receipt@3");
            std::process::abort();
        };
        Some(Armed { point, left: AtomicU32::new(times) })
    });
    let Some(armed) = armed.as_ref().filter(|armed| armed.point == point) else { return };
    // The last one but one takes it to zero; beyond that it wraps, and never comes to one again.
    if armed.left.fetch_sub(1, Ordering::Relaxed) == 1 {
        die();
    }
}

fn parse(text: &str) -> Option<(Point, u32)> {
    let (name, times) = text.split_once('@').unwrap_or((text, "1"));
    let times = times.parse().ok().filter(|times| *times > 0)?;
    Some((Point::parse(name)?, times))
}

/// Nothing is written and nothing is closed, as in a crash.
fn die() -> ! {
    if kill_process(getpid(), Signal::KILL).is_err() {
        std::process::abort();
    }
    // The signal reaches a thread of this process; this one must do nothing until it does.
    loop {
        std::thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::Point;

    #[test]
    fn a_point_and_the_time_at_which_it_kills_are_read() {
        assert_eq!(parse("run.receipt"), Some((Point::Receipt, 1)));
        assert_eq!(parse("run.receipt@3"), Some((Point::Receipt, 3)));
        for bad in ["", "run", "run.receipt@", "run.receipt@0", "run.receipt@x", "@1"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
