//! The parts this binary plays under a keeper.

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use hatchery_sandbox::{CommandSpec, Share, TICKET_FD, inherited_descriptor, keeper, take_ticket};
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use crate::support;

/// Plays the part named by the first argument; None if this process is to run the tests.
pub(crate) fn play() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    match args.next()?.to_str()? {
        "keeper" => return Some(keeper::main(args)),
        "gateway" => support::block_on(gateway(args.collect())),
        "agent" => support::block_on(agent(args.collect())),
        "take-ticket" => take(),
        "probe-network" => probe(),
        _ => return None,
    }
    Some(ExitCode::SUCCESS)
}

/// A gateway: starts a tree, names its keeper, passes on what the tree says, and is killed.
async fn gateway(argv: Vec<OsString>) {
    let mut tree = support::start(support::spec(argv));
    println!("{}", serde_json::to_string(tree.identity()).unwrap());
    tokio::io::copy(&mut tree.stdout, &mut tokio::io::stdout()).await.unwrap();
}

/// An agent: itself under a keeper, it starts a command under another, ticket included. Its
/// exit code tells nothing; it says its process id first and how the command ended last.
async fn agent(argv: Vec<OsString>) {
    let ticket = inherited_descriptor(TICKET_FD, Share::Private).ok().map(Arc::new);
    println!("{}", std::process::id());
    let mut tree = support::start(CommandSpec { ticket, ..support::spec(argv) });
    tokio::io::copy(&mut tree.stdout, &mut tokio::io::stdout()).await.unwrap();
    println!("{:?}", tree.wait().await);
}

fn take() {
    match take_ticket(TICKET_FD) {
        Ok(Some(ticket)) => println!("{}", String::from_utf8(ticket).unwrap()),
        Ok(None) => println!("closed"),
        Err(error) => println!("{:?}", error.kind()),
    }
}

fn probe() {
    let families = [
        AddressFamily::Unix,
        AddressFamily::Inet,
        AddressFamily::Inet6,
        AddressFamily::Netlink,
        AddressFamily::Packet,
    ];
    for family in families {
        let opened = socket(family, SockType::Datagram, SockFlag::empty(), None);
        println!("{family:?} {:?}", opened.err().unwrap_or(Errno::UnknownErrno));
    }
    // SAFETY: the call gets no valid address and can only fail.
    #[allow(unsafe_code)]
    let ring = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, 0) };
    println!("io_uring {:?}", Errno::result(ring).err().unwrap_or(Errno::UnknownErrno));
}
