//! Where a device finds this gateway.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The address to tell a device, as far as the machine knows it: where the gateway listens, and
/// this machine's address in its own network where that is everywhere.
pub(crate) fn reachable(listening: SocketAddr) -> Option<SocketAddr> {
    if !listening.ip().is_unspecified() {
        return Some(listening);
    }
    own_address().map(|ip| SocketAddr::new(ip, listening.port()))
}

fn own_address() -> Option<IpAddr> {
    let interfaces = nix::ifaddrs::getifaddrs().ok()?;
    let mut found: Vec<Ipv4Addr> = interfaces
        .filter_map(|interface| Some(interface.address?.as_sockaddr_in()?.ip()))
        .filter(|ip| !ip.is_loopback() && !ip.is_link_local())
        .collect();
    // Someone at home is more likely meant than the rest of the world.
    found.sort_by_key(|ip| !ip.is_private());
    found.first().copied().map(IpAddr::from)
}
