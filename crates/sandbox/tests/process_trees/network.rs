//! A tree without network has none.

use hatchery_sandbox::{CommandSpec, Network};
use libtest_mimic::Trial;

use crate::support::{part, run, spec};

pub(crate) fn all() -> Vec<Trial> {
    crate::trials_either_way![
        network::without_network_only_unix_sockets_can_be_made,
        network::with_network_sockets_can_be_made,
        network::what_is_denied_stays_denied_further_down,
    ]
}

const DENIED: &str =
    "Unix UnknownErrno\nInet EACCES\nInet6 EACCES\nNetlink EACCES\nPacket EACCES\nio_uring EPERM\n";

fn probe(words: &[&str], network: Network) -> CommandSpec {
    CommandSpec { network, ..spec(part(words)) }
}

pub(crate) async fn without_network_only_unix_sockets_can_be_made() {
    assert_eq!(run(probe(&["probe-network"], Network::Denied)).await.1, DENIED);
}

pub(crate) async fn with_network_sockets_can_be_made() {
    let (_, out, _) = run(probe(&["probe-network"], Network::Host)).await;
    assert!(out.starts_with("Unix UnknownErrno\nInet UnknownErrno\n"), "{out}");
}

pub(crate) async fn what_is_denied_stays_denied_further_down() {
    // The inner tree asks for the network of the machine.
    let inner = part(&["probe-network"]);
    let outer = ["agent", inner[0].to_str().unwrap(), "probe-network"];
    let (_, out, _) = run(probe(&outer, Network::Denied)).await;
    assert!(out.contains(DENIED), "{out}");
    assert!(out.ends_with("Exited(0)\n"), "{out}");
}
