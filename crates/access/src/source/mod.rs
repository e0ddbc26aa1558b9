//! Where a connection came from.
//!
//! The kernel's word is the address of the peer. A header only ever takes something away: from a
//! proxy the owner has named it says for whom the proxy speaks, and such a connection is never the
//! loopback's own; from anybody else it ends the connection. No header makes anybody local.

mod chain;
mod headers;

use std::fmt;
use std::net::IpAddr;

use hatchery_protocol::ErrorCode;

pub use headers::ForwardingHeaders;

use crate::host::Host;
use crate::{AddressRange, Refusal, Remedy};

/// How many proxies in a row are believed.
pub const MAX_HOPS: usize = 32;

/// How much forwarding headers may say in all, in bytes.
pub const MAX_FORWARDING_BYTES: usize = 4096;

/// Where a connection came from, as far as anybody can be held to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    /// The client's address. An IPv4 address mapped into IPv6 is written as IPv4.
    pub address: IpAddr,
    /// Whether the client itself stands on this machine, with nothing in between that says
    /// otherwise. By itself this is worth nothing.
    pub direct_loopback: bool,
    /// Whether a trusted proxy stands in between.
    pub via_proxy: bool,
}

/// Why forwarding headers end a connection. Over HTTP that is status 403.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceFault {
    /// Somebody who is no trusted proxy sent them.
    #[error("forwarding headers from {peer}, which is no trusted proxy")]
    NotTrusted {
        /// Who sent them.
        peer: IpAddr,
    },
    /// They name no address, or nothing that is one, or two different ones.
    #[error("the forwarding headers do not say for whom the proxy speaks: {0}")]
    Unclear(&'static str),
}

/// Decides where a connection came from: the address of its peer, or, where that is a trusted
/// proxy that forwards, the right-most address in its headers that is not a trusted proxy too.
/// What stands further left is what the client itself may have written.
///
/// # Errors
/// [`SourceFault`] for headers that are not to be believed or not to be understood.
pub fn locate(
    peer: IpAddr,
    headers: &ForwardingHeaders,
    trusted: &[AddressRange],
) -> Result<Source, SourceFault> {
    let peer = peer.to_canonical();
    if headers.is_empty() {
        let direct_loopback = peer.is_loopback();
        return Ok(Source { address: peer, direct_loopback, via_proxy: false });
    }
    let is_trusted = |address: IpAddr| trusted.iter().any(|range| range.contains(address));
    if !is_trusted(peer) {
        return Err(SourceFault::NotTrusted { peer });
    }
    let address = chain::client(headers, is_trusted)?;
    Ok(Source { address, direct_loopback: false, via_proxy: true })
}

impl Source {
    /// The same source, less local where the request was addressed to another machine: then a
    /// proxy that says nothing of itself stands in between, or a page whose name was made to point
    /// here. A `Host` that names this machine adds nothing.
    #[must_use]
    pub fn addressed_to(mut self, host: Option<&str>) -> Self {
        let elsewhere =
            host.is_some_and(|host| !Host::parse(host).is_some_and(|host| host.name.is_loopback()));
        self.direct_loopback &= !elsewhere;
        self
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.address, if self.via_proxy { " (through a proxy)" } else { "" })
    }
}

impl SourceFault {
    /// The refusal's stable name.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotTrusted { .. } => "PROXY_NOT_TRUSTED",
            Self::Unclear(_) => "PROXY_ATTRIBUTION_REQUIRED",
        }
    }
}

impl From<SourceFault> for Refusal {
    fn from(fault: SourceFault) -> Self {
        let advice = match &fault {
            SourceFault::NotTrusted { peer } => format!(
                "connect without a proxy, or add \"{peer}\" to `gateway.trustedProxies` if it is \
                 a proxy of yours"
            ),
            SourceFault::Unclear(_) => "let the proxy set `X-Forwarded-For` (or `Forwarded`) to \
                the address that connected to it"
                .to_owned(),
        };
        let remedy = Remedy::Advice(advice);
        Self::forbidden(fault.code(), "gateway.trustedProxies", fault.to_string(), remedy)
            .in_class(ErrorCode::InvalidRequest)
    }
}

#[cfg(test)]
mod tests;
