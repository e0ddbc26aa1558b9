//! The words on the control socket between the gateway and a keeper.
//!
//! The gateway asks `stop <milliseconds>`, one a line, as often as it likes. The keeper says in a
//! line of JSON what it holds the tree by, and sends its [`Ending`] as JSON just before it exits;
//! a tree that could not be held has the second only. End of file from the gateway means that
//! nobody is left who wants the tree.

use std::os::fd::RawFd;
use std::time::Duration;

use crate::containment::Hold;
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

/// The keeper's first words.
pub(crate) fn opening(hold: &Hold) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(hold)?;
    line.push(b'\n');
    Ok(line)
}

/// The keeper's last words.
pub(crate) fn report(ending: &Ending) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(ending)
}

/// All that a keeper has said, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    /// None where the keeper did not come that far.
    pub(crate) hold: Option<Hold>,
    /// That of a keeper that died without last words, or in the middle of them, is lost.
    pub(crate) ending: Ending,
}

/// What a keeper has said in `words`, which are all of its words.
pub(crate) fn understand(words: &[u8]) -> Said {
    // Only the first words have an end of line.
    let end = words.iter().position(|byte| *byte == b'\n');
    let (first, last) = end.map_or((&[][..], words), |end| words.split_at(end));
    Said {
        hold: serde_json::from_slice(first).ok(),
        ending: serde_json::from_slice(last).unwrap_or(Ending::KeeperLost),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ending::StartFailure;
    use crate::identity::ProcessIdentity;

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

    fn holds() -> [Hold; 2] {
        let init = ProcessIdentity { pid: 7, start_time: 8, boot_id: "boot".to_owned() };
        [Hold::Keeper, Hold::Namespace { init }]
    }

    #[test]
    fn words_survive_the_wire() {
        let endings = [
            Ending::Exited(3),
            Ending::Signalled(15),
            Ending::NotStarted(StartFailure::NotFound),
            Ending::NotStarted(StartFailure::Other("text \"quoted\"\n".to_owned())),
        ];
        for ending in endings {
            let last = report(&ending).unwrap();
            assert_eq!(understand(&last), Said { hold: None, ending: ending.clone() });
            for hold in holds() {
                let words = [opening(&hold).unwrap(), last.clone()].concat();
                assert_eq!(understand(&words), Said { hold: Some(hold), ending: ending.clone() });
            }
        }
    }

    #[test]
    fn half_a_report_means_the_keeper_is_lost() {
        for half in ["", "{\"exited\":"] {
            let lost = |hold| Said { hold, ending: Ending::KeeperLost };
            assert_eq!(understand(half.as_bytes()), lost(None));
            for hold in holds() {
                let words = [opening(&hold).unwrap(), half.as_bytes().to_vec()].concat();
                assert_eq!(understand(&words), lost(Some(hold)));
            }
        }
    }
}
