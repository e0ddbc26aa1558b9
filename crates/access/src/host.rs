//! What a request is addressed to: a host and a port, as `Host` and `Origin` write them.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// The longest host that is read, in bytes: a name has 253 at most.
const MAX_HOST_TEXT: usize = 300;

/// A host and, where one is written, a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) name: HostName,
    pub(crate) port: Option<u16>,
}

/// A host: an address, or a name in small letters that may point anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HostName {
    Address(IpAddr),
    Name(String),
}

impl Host {
    /// Reads `name`, `name:port`, `[v6]` and `[v6]:port`, and nothing that is nearly one of them.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > MAX_HOST_TEXT {
            return None;
        }
        let (name, port) = if let Some(rest) = text.strip_prefix('[') {
            let (inner, port) = rest.split_once(']')?;
            let address = inner.parse::<Ipv6Addr>().ok()?;
            let port = if port.is_empty() { None } else { Some(port.strip_prefix(':')?) };
            (HostName::Address(IpAddr::V6(address).to_canonical()), port)
        } else {
            match text.split_once(':') {
                Some((name, port)) => (HostName::parse(name)?, Some(port)),
                None => (HostName::parse(text)?, None),
            }
        };
        let port = match port {
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(port.parse().ok()?)
            }
            Some(_) => return None,
            None => None,
        };
        Some(Self { name, port })
    }
}

impl HostName {
    fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(Self::Address(address));
        }
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        (!text.is_empty() && text.chars().all(fits)).then(|| Self::Name(text.to_ascii_lowercase()))
    }

    /// Whether it can only mean this machine. A name that merely looks like an address of the
    /// loopback points wherever its owner likes.
    pub(crate) fn is_loopback(&self) -> bool {
        match self {
            Self::Address(address) => address.is_loopback(),
            Self::Name(name) => name == "localhost",
        }
    }

    /// Whether no name service can make it point elsewhere.
    pub(crate) fn is_fixed(&self) -> bool {
        matches!(self, Self::Address(_)) || self.is_loopback()
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}
