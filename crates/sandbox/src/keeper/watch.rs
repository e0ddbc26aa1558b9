//! A keeper's life after it has started its program.

use std::collections::BTreeSet;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signalfd::SignalFd;
use rustix::io::Errno;
use rustix::process::{WaitOptions, wait};

use super::tree::Tree;
use crate::control;
use crate::ending::Ending;

/// What a tree gets to end in when somebody sends its keeper SIGTERM, SIGINT or SIGHUP.
const GRACE_ON_SIGNAL: Duration = Duration::from_secs(2);
/// What it gets when the gateway has gone.
const GRACE_WITHOUT_GATEWAY: Duration = Duration::from_millis(200);

const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

pub(super) struct Watch<'a> {
    control: &'a UnixStream,
    /// Whether the gateway's end of the control socket is still open.
    gateway: bool,
    /// What came on the control socket and is no whole line yet.
    line: Vec<u8>,
    signals: SignalFd,
    tree: Tree,
    ending: Option<Ending>,
    phase: Phase,
}

enum Phase {
    Running,
    /// Asked to end; after `until` (None: however long it takes) it is killed.
    Ending {
        until: Option<Instant>,
    },
    /// Killed in rounds until nobody is left.
    Killing {
        next: Instant,
        pause: Duration,
        seen: BTreeSet<i32>,
    },
}

/// Whether we have children.
#[derive(PartialEq, Eq)]
enum Children {
    Some,
    None,
}

impl<'a> Watch<'a> {
    pub(super) fn new(control: &'a UnixStream, signals: SignalFd, tree: Tree) -> Self {
        let phase = Phase::Running;
        Watch { control, gateway: true, line: Vec::new(), signals, tree, ending: None, phase }
    }

    pub(super) fn until_all_are_gone(mut self) -> Ending {
        while self.collect_children() == Children::Some {
            self.advance();
            self.wait_for_news();
        }
        // Nobody but us can collect our child; if somebody did, its ending is unknown.
        self.ending.unwrap_or(Ending::KeeperLost)
    }

    fn collect_children(&mut self) -> Children {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    self.ending = self.ending.take().or(self.tree.ending_of(pid, status));
                }
                Err(Errno::INTR) => {}
                Ok(None) => return Children::Some,
                Err(_) => return Children::None,
            }
        }
    }

    fn advance(&mut self) {
        let now = Instant::now();
        match &mut self.phase {
            // The program ended by itself and has left something behind.
            Phase::Running if self.ending.is_some() => self.kill_from_now_on(),
            Phase::Running => {}
            Phase::Ending { until: Some(until) } if *until <= now => self.kill_from_now_on(),
            Phase::Ending { .. } => {}
            Phase::Killing { next, .. } if *next > now => {}
            Phase::Killing { next, pause, seen } => {
                let there = self.tree.kill();
                // Newcomers are met quickly; who does not die at once hangs in the kernel.
                let newcomers = there.difference(seen).next().is_some();
                *pause = if newcomers { SHORTEST_PAUSE } else { LONGEST_PAUSE.min(*pause * 2) };
                *next = Instant::now() + *pause;
                *seen = there;
            }
        }
    }

    fn kill_from_now_on(&mut self) {
        self.phase =
            Phase::Killing { next: Instant::now(), pause: SHORTEST_PAUSE, seen: BTreeSet::new() };
        self.advance();
    }

    /// The end only ever comes nearer.
    fn stop(&mut self, grace: Duration) {
        let end = Instant::now().checked_add(grace);
        match &mut self.phase {
            Phase::Killing { .. } => {}
            _ if grace.is_zero() => self.kill_from_now_on(),
            Phase::Running => {
                self.phase = Phase::Ending { until: end };
                if self.tree.has_started() {
                    self.tree.ask_to_end();
                }
            }
            Phase::Ending { until } => {
                *until = match (*until, end) {
                    (Some(before), Some(end)) => Some(before.min(end)),
                    (before, end) => before.or(end),
                }
            }
        }
    }

    fn wait_for_news(&mut self) {
        let timeout = match &self.phase {
            Phase::Running | Phase::Ending { until: None } => PollTimeout::NONE,
            Phase::Ending { until: Some(at) } | Phase::Killing { next: at, .. } => timeout_at(*at),
        };
        // A socket at its end is always ready.
        let control = self.gateway.then_some(self.control.as_fd());
        let start = self.tree.start_to_await();
        let mut sources: Vec<PollFd> = [Some(self.signals.as_fd()), control, start]
            .into_iter()
            .flatten()
            .map(|source| PollFd::new(source, PollFlags::POLLIN))
            .collect();
        if poll(&mut sources, timeout).is_err() {
            return;
        }
        let ready = |index: usize| sources.get(index).is_some_and(|one| one.any() == Some(true));
        let control_ready = control.is_some() && ready(1);
        let started = start.is_some() && ready(1 + usize::from(control.is_some()));
        self.read_signals();
        if started {
            self.note_start();
        }
        if control_ready {
            self.read_control();
        }
    }

    fn note_start(&mut self) {
        self.tree.note_start();
        // Asked before there was anybody to ask.
        if matches!(self.phase, Phase::Ending { .. }) {
            self.tree.ask_to_end();
        }
    }

    fn read_signals(&mut self) {
        let child = u32::try_from(libc::SIGCHLD).unwrap_or_default();
        let mut told_to_end = false;
        while let Ok(Some(signal)) = self.signals.read_signal() {
            told_to_end |= signal.ssi_signo != child;
        }
        if told_to_end {
            self.stop(GRACE_ON_SIGNAL);
        }
    }

    fn read_control(&mut self) {
        const LONGEST_LINE: usize = 64;
        let mut piece = [0; 512];
        let mut control = self.control;
        let length = control.read(&mut piece).unwrap_or(0);
        if length == 0 {
            self.gateway = false;
            self.stop(GRACE_WITHOUT_GATEWAY);
        }
        for byte in &piece[..length] {
            if *byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                if let Some(grace) = control::parse_stop(&line) {
                    self.stop(grace);
                }
            } else if self.line.len() < LONGEST_LINE {
                self.line.push(*byte);
            }
        }
    }
}

// Rounded up: waking a little early would mean asking the clock in a tight loop.
fn timeout_at(at: Instant) -> PollTimeout {
    let left = at.saturating_duration_since(Instant::now()) + Duration::from_micros(999);
    PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
}
