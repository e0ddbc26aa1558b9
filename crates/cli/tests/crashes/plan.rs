//! Which lives a round has, and how each is to end.

use hatchery_failpoints::Point;

use crate::gateway::Armed;
use crate::random::Random;

/// A life of a gateway, to its bad end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    /// Whose it is.
    pub(crate) host: Host,
    /// Where it is to die. Where it does not come there, or nothing is said, it is killed.
    pub(crate) armed: Option<Armed>,
    /// How much is asked of it.
    pub(crate) jobs: u64,
    /// Whether it is told to end if it has not died.
    pub(crate) told_to_end: bool,
}

/// Who is the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// A process of its own.
    Gateway,
    /// A command that hosts it for its own run.
    Command,
}

/// The lives of a round in which a gateway is to die at `point`, or at any moment.
pub(crate) fn lives(random: &mut Random, point: Option<Point>) -> Vec<Life> {
    let Some(point) = point else {
        return vec![busy(random, None), busy(random, None)];
    };
    let mut lives = match point {
        Point::StoreFound | Point::StoreOpened if random.percent(30) => vec![idle(point)],
        Point::StoreFound | Point::StoreOpened => vec![busy(random, None), idle(point)],
        Point::RecoveryBegun | Point::RecoveryReaped | Point::RecoveryMarked => {
            // There is something to recover from where a run was at work.
            let before = [Point::Running, Point::AfterOutput, Point::Unmarked, Point::Receipt];
            let before = *random.pick(&before);
            vec![busy(random, once(before)), idle(point)]
        }
        Point::ShutdownBegun | Point::ShutdownTold | Point::ShutdownIdle => {
            vec![Life { told_to_end: true, host: Host::Gateway, ..busy(random, once(point)) }]
        }
        _ => {
            let times = match random.below(10) {
                0..=4 => 1,
                5..=7 => 2 + random.below(2),
                _ => 4 + random.below(5),
            };
            vec![busy(random, Some(Armed { point, times }))]
        }
    };
    if random.percent(20) {
        let again = [Point::StoreOpened, Point::RecoveryReaped, Point::RecoveryMarked];
        lives.push(idle(*random.pick(&again)));
    }
    if random.percent(20) {
        let again = *random.pick(Point::ALL);
        lives.push(busy(random, once(again)));
    }
    lives
}

fn once(point: Point) -> Option<Armed> {
    Some(Armed { point, times: 1 })
}

fn busy(random: &mut Random, armed: Option<Armed>) -> Life {
    // Nobody asks a command for a stop in order, so that point is for gateways.
    let is_stop = armed.is_some_and(|armed| armed.point == Point::Stopping);
    let host = if !is_stop && random.percent(12) { Host::Command } else { Host::Gateway };
    Life { host, armed, jobs: 2 + random.below(4), told_to_end: random.percent(20) }
}

/// A life that only starts.
fn idle(point: Point) -> Life {
    Life { host: Host::Gateway, armed: once(point), jobs: 0, told_to_end: false }
}
