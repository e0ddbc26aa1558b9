//! The words on the control socket between the gateway and a keeper.
//!
//! One line each way: the gateway asks `stop <milliseconds>`, as often as it likes; the keeper
//! sends its [`Ending`] as JSON once, just before it exits. End of file from the gateway means
//! that nobody is left who wants the tree.

use std::os::fd::RawFd;
use std::time::Duration;

use crate::ending::Ending;

/// The number a keeper finds its control socket under.
pub(crate) const CONTROL_FD: RawFd = 4;

/// The line that asks a keeper to stop its tree. Graces beyond u64 milliseconds are cut to that.
pub(crate) fn stop_line(grace: Duration) -> String {
    format!("stop {}\n", u64::try_from(grace.as_millis()).unwrap_or(u64::MAX))
}

/// The grace that `line` asks for; None for a line that is not a stop.
pub(crate) fn parse_stop(line: &[u8]) -> Option<Duration> {
    let digits = std::str::from_utf8(line).ok()?.strip_prefix("stop ")?;
    digits.trim_end().parse().ok().map(Duration::from_millis)
}

/// The keeper's last words.
pub(crate) fn report(ending: &Ending) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(ending)
}

/// The ending in a keeper's last words; a keeper that died without any, or in the middle of
/// them, is lost.
pub(crate) fn parse_report(words: &[u8]) -> Ending {
    serde_json::from_slice(words).unwrap_or(Ending::KeeperLost)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ending::StartFailure;

    #[test]
    fn a_stop_survives_the_wire() {
        for grace in [Duration::ZERO, Duration::from_millis(1), Duration::from_secs(86_400)] {
            assert_eq!(parse_stop(stop_line(grace).as_bytes()), Some(grace));
        }
    }

    #[test]
    fn what_is_not_a_stop_is_not_taken_for_one() {
        for line in ["", "stop", "stop -1", "stop x", "halt 5", "stop 99999999999999999999999"] {
            assert_eq!(parse_stop(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn a_report_survives_the_wire() {
        let endings = [
            Ending::Exited(3),
            Ending::Signalled(15),
            Ending::NotStarted(StartFailure::NotFound),
            Ending::NotStarted(StartFailure::Other("text \"quoted\"\n".to_owned())),
        ];
        for ending in endings {
            assert_eq!(parse_report(&report(&ending).unwrap()), ending);
        }
    }

    #[test]
    fn half_a_report_means_the_keeper_is_lost() {
        assert_eq!(parse_report(b""), Ending::KeeperLost);
        assert_eq!(parse_report(b"{\"exited\":"), Ending::KeeperLost);
    }
}
