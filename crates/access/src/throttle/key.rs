//! Whom failures are put down to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::Source;

/// Whom failures are put down to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// This machine: it has millions of addresses of its own.
    Loopback,
    /// One IPv4 address.
    Address(Ipv4Addr),
    /// An IPv6 network of 64 bits: what one household or machine is given.
    Network(u64),
    /// An IPv6 network of 48 bits: what one customer can be given.
    Neighbourhood(u64),
}

/// From how near a connection comes. A flood from one circle does not slow another down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Circle {
    /// This machine.
    Loopback,
    /// Networks that are not routed on the Internet.
    Private,
    /// Everywhere else, and whatever comes through a proxy.
    Public,
}

impl Key {
    /// The one that speaks for the source.
    pub(super) fn of(source: &Source) -> Self {
        match source.address.to_canonical() {
            address if address.is_loopback() && !source.via_proxy => Self::Loopback,
            IpAddr::V4(address) => Self::Address(address),
            IpAddr::V6(address) => Self::Network(leading_bits(address, 64)),
        }
    }

    /// Every one that has a part in it.
    pub(super) fn all_of(source: &Source) -> impl Iterator<Item = Self> + use<> {
        let own = Self::of(source);
        let around = match (own, source.address) {
            (Self::Network(_), IpAddr::V6(address)) => {
                Some(Self::Neighbourhood(leading_bits(address, 48)))
            }
            _ => None,
        };
        [own].into_iter().chain(around)
    }
}

impl Circle {
    pub(super) fn of(source: &Source) -> Self {
        match source.address.to_canonical() {
            _ if source.via_proxy => Self::Public,
            address if address.is_loopback() => Self::Loopback,
            IpAddr::V4(address) if is_private_v4(address) => Self::Private,
            IpAddr::V6(address) if address.is_unique_local() || address.is_unicast_link_local() => {
                Self::Private
            }
            IpAddr::V4(_) | IpAddr::V6(_) => Self::Public,
        }
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    let shared = first == 100 && (64..128).contains(&second);
    address.is_private() || address.is_link_local() || shared
}

fn leading_bits(address: Ipv6Addr, bits: u32) -> u64 {
    u64::try_from(address.to_bits() >> (128 - bits)).unwrap_or(u64::MAX)
}
