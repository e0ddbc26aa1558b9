//! The signals a keeper listens to, and how they are for its program.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Those that are read instead of interrupting.
const HELD: [Signal; 4] = [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];

/// Those a careless or careful starter of the gateway may have had ignored, which would be
/// inherited all the way down. SIGPIPE is missing: the standard library sees to it.
const USUALLY_IGNORED: [Signal; 11] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGCHLD,
    Signal::SIGALRM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGTSTP,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
];

/// From now on the held signals end nobody; they are read from what is returned.
pub(super) fn hold() -> nix::Result<SignalFd> {
    let held: SigSet = HELD.into_iter().collect();
    held.thread_block()?;
    for ignored in USUALLY_IGNORED {
        // An ignored SIGCHLD would also make the kernel collect our children behind our back.
        // SAFETY: no handler is installed; the default action is taken.
        #[allow(unsafe_code)]
        unsafe {
            signal(ignored, SigHandler::SigDfl)?;
        }
    }
    SignalFd::with_flags(&held, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
}

/// The command will start with no signal held, whatever we hold.
pub(super) fn release_in(command: &mut Command) {
    let release = || SigSet::empty().thread_set_mask().map_err(io::Error::from);
    // SAFETY: the closure makes one async-signal-safe call and touches no memory but its stack.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(release);
    }
}
