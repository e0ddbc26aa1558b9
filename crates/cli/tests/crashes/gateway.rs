//! A gateway that is to die.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use hatchery_failpoints::{Point, VARIABLE};
use nix::libc::SIGKILL;

use crate::home::{Home, wait_until};

/// Where a gateway is to die, and at which time it comes there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Armed {
    pub(crate) point: Point,
    pub(crate) times: u64,
}

impl fmt::Display for Armed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.point.name(), self.times)
    }
}

/// A gateway as a child of this process.
pub(crate) struct Gateway {
    child: Child,
    armed: Option<Armed>,
}

impl Gateway {
    /// Starts a gateway; `None` if it has died before it was ready, as it may when armed.
    pub(crate) fn start(home: &Home, armed: Option<Armed>) -> Option<Self> {
        let mut command = home.command(&["gateway", "run", "--background", "--port", "0"]);
        if let Some(armed) = armed {
            command.env(VARIABLE, armed.to_string());
        }
        let stderr = home.path().join("stderr");
        command.stdout(Stdio::piped()).stderr(File::create(&stderr).unwrap());
        let mut child = command.spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let mut gateway = Self { child, armed };
        if first.starts_with("ready ") {
            return Some(gateway);
        }
        let status = gateway.child.wait().unwrap();
        let said = std::fs::read_to_string(stderr).unwrap();
        assert!(armed.is_some() && status.signal() == Some(SIGKILL), "{status}: {said}");
        None
    }

    /// A command that may become a gateway.
    pub(crate) fn hosted(child: Child, armed: Option<Armed>) -> Self {
        Self { child, armed }
    }

    /// Whether a hosting command has come to an end of its own by then, and with its gateway
    /// alive to that end.
    pub(crate) fn is_over_by(&mut self, deadline: Instant) -> Option<bool> {
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(self.armed.is_some() || status.signal().is_none(), "{status}");
                return Some(status.signal().is_none());
            }
            if Instant::now() >= deadline {
                return None;
            }
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }

    /// What a command that has ended has printed.
    pub(crate) fn printed(&mut self) -> String {
        let mut printed = Vec::new();
        self.child.stdout.take().unwrap().read_to_end(&mut printed).unwrap();
        String::from_utf8_lossy(&printed).into_owned()
    }

    /// Whether it has died. It must not end in any other way.
    pub(crate) fn is_dead(&mut self) -> bool {
        let Some(status) = self.child.try_wait().unwrap() else { return false };
        assert_eq!(status.signal(), Some(SIGKILL), "{status} with {:?}", self.armed);
        true
    }

    /// Leaves it alone until then, unless it dies before.
    pub(crate) fn is_dead_by(&mut self, deadline: Instant) -> bool {
        loop {
            if self.is_dead() {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }

    /// Waits for the end of a gateway that was told to end; true if it died on the way.
    pub(crate) fn ends(&mut self) -> bool {
        let mut status = None;
        wait_until("the gateway has ended", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let status = status.unwrap();
        let died = self.armed.is_some() && status.signal() == Some(SIGKILL);
        assert!(died || status.success(), "{status} with {:?}", self.armed);
        died
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Gateway {
    /// A round that has failed leaves no gateway.
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the gateway of the failed round: {:?}", self.child.try_wait());
        }
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
