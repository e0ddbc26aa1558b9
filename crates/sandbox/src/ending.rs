//! How a tree's program ended.

use rustix::process::WaitStatus;
use serde::{Deserialize, Serialize};

/// What became of a tree's program, known once the whole tree is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The program ended with this exit code, 0 to 255.
    Exited(i32),
    /// The program was ended by the signal of this number, also when we sent it.
    Signalled(i32),
    /// The program never ran.
    NotStarted(StartFailure),
    /// The keeper died without a report, so the program's own ending is unknown.
    KeeperLost,
}

/// Why a program could not be executed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartFailure {
    /// No such program, neither at the given path nor on the given `PATH`.
    NotFound,
    /// The file is there but this user may not execute it.
    PermissionDenied,
    /// Anything else, as a sentence for people.
    Other(String),
}

impl Ending {
    /// None for a process that has not ended.
    pub(crate) fn from_status(status: WaitStatus) -> Option<Self> {
        let exited = status.exit_status().map(Ending::Exited);
        exited.or_else(|| status.terminating_signal().map(Ending::Signalled))
    }

    /// The ending as a shell would put it into `$?`: the exit code, 128 + signal number,
    /// 127 for a program not found, 126 for one that cannot be executed, otherwise 1.
    #[must_use]
    pub fn exit_code(&self) -> i32 {
        match self {
            Ending::Exited(code) => *code,
            Ending::Signalled(signal) => 128 + signal,
            Ending::NotStarted(StartFailure::NotFound) => 127,
            Ending::NotStarted(StartFailure::PermissionDenied) => 126,
            Ending::NotStarted(StartFailure::Other(_)) | Ending::KeeperLost => 1,
        }
    }
}

impl From<std::io::Error> for StartFailure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => StartFailure::NotFound,
            std::io::ErrorKind::PermissionDenied => StartFailure::PermissionDenied,
            _ => StartFailure::Other(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_the_ones_a_shell_gives() {
        let other = StartFailure::Other("exec format error".to_owned());
        let table = [
            (Ending::Exited(0), 0),
            (Ending::Exited(7), 7),
            (Ending::Signalled(9), 137),
            (Ending::NotStarted(StartFailure::NotFound), 127),
            (Ending::NotStarted(StartFailure::PermissionDenied), 126),
            (Ending::NotStarted(other), 1),
            (Ending::KeeperLost, 1),
        ];
        for (ending, code) in table {
            assert_eq!(ending.exit_code(), code, "{ending:?}");
        }
    }
}
