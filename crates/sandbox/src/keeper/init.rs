//! The first process of a tree's namespace: the keeper's other half.
//!
//! It starts the program and collects everybody who has ended. It reads nothing that the tree
//! writes, decides nothing and knows no gateway; nobody in the namespace can signal it.

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use rustix::io::Errno;
use rustix::process::{WaitOptions, wait};

use super::namespace::Right;
use super::{Instructions, program};
use crate::ending::Ending;
use crate::proc::INIT_NAME;

/// The first word to the keeper: the namespace is as it should be.
pub(super) const READY: u8 = b'r';
/// The second: the program runs. Instead of it, or after it, comes an ending as JSON.
pub(super) const STARTED: u8 = b's';
/// The keeper's only word: when the program has ended, the others may go on until they have.
pub(super) const GRACE: u8 = b'g';

/// Lives as the init of the namespace this process is the first in. Ends with the keeper.
pub(super) fn live(
    keeper: &UnixStream,
    right: Right,
    instructions: &Instructions,
    ticket: Option<OwnedFd>,
) -> ! {
    // What has gone wrong the keeper learns from what it is not told.
    settle(keeper, right).and_then(|()| hold(keeper, instructions, ticket)).ok();
    std::process::exit(0)
}

/// Makes the namespace one that a program feels at home in.
fn settle(keeper: &UnixStream, right: Right) -> io::Result<()> {
    prctl::set_name(INIT_NAME)?;
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    if let Right::UserNamespace { uid, gid } = right {
        // The kernel lets us name our group only once we cannot take others any more.
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
        fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))?;
    }
    nix::unistd::setsid()?;
    show_own_processes()?;
    // Fails if the keeper was gone before we asked to end with it.
    let mut keeper = keeper;
    keeper.write_all(&[READY])
}

/// Lets `/proc` show this namespace. No other mount is touched, so those made and undone outside
/// still show here.
fn show_own_processes() -> io::Result<()> {
    const NOTHING: Option<&str> = None;
    mount(NOTHING, "/proc", NOTHING, MsFlags::MS_PRIVATE, NOTHING)?;
    let harmless = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), harmless, NOTHING)?;
    if fs::read_link("/proc/self")? == Path::new("1") { Ok(()) } else { Err(Errno::NOENT.into()) }
}

/// Starts the program and stays as long as it does; once granted grace, as long as anybody does.
fn hold(
    mut keeper: &UnixStream,
    instructions: &Instructions,
    ticket: Option<OwnedFd>,
) -> io::Result<()> {
    let program = match program::start(instructions, ticket) {
        Ok(program) => program,
        Err(failure) => return tell(keeper, &Ending::NotStarted(failure)),
    };
    keeper.write_all(&[STARTED])?;
    keeper.set_nonblocking(true)?;
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == program => {
                if let Some(ending) = Ending::from_status(status) {
                    tell(keeper, &ending)?;
                    if !grace_is_granted(keeper) {
                        return Ok(());
                    }
                }
            }
            Ok(_) | Err(Errno::INTR) => {}
            // Nobody is left.
            Err(_) => return Ok(()),
        }
    }
}

fn tell(mut keeper: &UnixStream, ending: &Ending) -> io::Result<()> {
    keeper.write_all(&serde_json::to_vec(ending)?)
}

fn grace_is_granted(mut keeper: &UnixStream) -> bool {
    matches!(keeper.read(&mut [0]), Ok(1))
}
