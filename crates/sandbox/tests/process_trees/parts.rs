//! The parts this binary plays under a keeper.

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use hatchery_sandbox::{
    CommandSpec, Containment, Network, Share, TICKET_FD, inherited_descriptor, keeper, take_ticket,
};
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use tokio::io::AsyncReadExt;

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

/// A gateway: starts a tree, names its keeper, and passes on what the tree says, until it is
/// killed or reads something, which makes it stop the tree and say what became of it. One that is
/// hesitant does not let the tree begin before it reads something.
async fn gateway(words: Vec<OsString>) {
    let mut spec = support::spec(words);
    let mut hesitant = false;
    while let Some(option) = spec.argv.first().and_then(|word| word.to_str()) {
        match option {
            "--hesitant" => hesitant = true,
            "--no-network" => spec.network = Network::Denied,
            "--namespace" => spec.containment = Containment::Namespace,
            "--no-namespace" => spec.containment = Containment::NoNamespace,
            _ => break,
        }
        spec.argv.remove(0);
    }
    let (mut input, mut output) = (tokio::io::stdin(), tokio::io::stdout());
    let prepared = support::keeper().prepare(spec).await.unwrap();
    println!("{}", serde_json::to_string(prepared.identity()).unwrap());
    if hesitant {
        input.read_exact(&mut [0]).await.unwrap();
    }
    let mut tree = prepared.begin();
    let stopper = tree.stopper();
    let stop = async {
        if input.read(&mut [0]).await.unwrap() > 0 {
            stopper.stop(Duration::from_millis(50));
        }
        std::future::pending::<()>().await;
    };
    let tree_ends = async {
        let pass_on = tokio::io::copy(&mut tree.stdout, &mut output);
        let (passed_on, ending) = tokio::join!(pass_on, tree.keeper.wait());
        passed_on.unwrap();
        ending
    };
    tokio::select! {
        ending = tree_ends => println!("{ending:?} {:?}", tree.keeper.hold()),
        () = stop => {}
    }
    // Nothing else ends a read of standard input.
    std::process::exit(0);
}

/// An agent: itself under a keeper, it starts a command under another, ticket included. Its
/// exit code tells nothing; it names itself first and says how the command ended last.
async fn agent(argv: Vec<OsString>) {
    let ticket = inherited_descriptor(TICKET_FD, Share::Private).ok().map(Arc::new);
    let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap();
    println!("{} {}", std::process::id(), namespace.display());
    let mut tree = support::start(CommandSpec { ticket, ..support::spec(argv) }).await;
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
