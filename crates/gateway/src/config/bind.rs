//! What the gateway listens on, as it is written.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::Deserialize;

/// The addresses to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Bind {
    /// This machine only. Also spelled `localhost`, `127.0.0.1` and `::1`.
    Loopback,
    /// Every interface, over IPv4. Also spelled `0.0.0.0`; `::` adds IPv6.
    Lan,
    /// Whatever fits the machine.
    Auto,
    /// The machine's tailnet address.
    Tailnet,
    /// This address: `gateway.customBindHost`, or an address written in `gateway.bind` itself.
    Custom(IpAddr),
}

/// The words `gateway.bind` takes besides an IP address.
pub(crate) const BIND_WORDS: [&str; 6] =
    ["loopback", "lan", "auto", "tailnet", "custom", "localhost"];

/// A text that names no address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither an IP address nor one of loopback, lan, auto and tailnet")]
pub struct UnknownBind(String);

/// Reads everything but `custom`, which needs another key's value.
impl FromStr for Bind {
    type Err = UnknownBind;

    fn from_str(text: &str) -> Result<Self, UnknownBind> {
        match text {
            "loopback" | "localhost" => return Ok(Self::Loopback),
            "lan" => return Ok(Self::Lan),
            "auto" => return Ok(Self::Auto),
            "tailnet" => return Ok(Self::Tailnet),
            _ => {}
        }
        match text.parse::<IpAddr>() {
            Ok(ip) if ip == Ipv4Addr::UNSPECIFIED => Ok(Self::Lan),
            Ok(ip) if ip == Ipv4Addr::LOCALHOST || ip == Ipv6Addr::LOCALHOST => Ok(Self::Loopback),
            Ok(ip) => Ok(Self::Custom(ip)),
            Err(_) => Err(UnknownBind(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Bind {
    type Error = UnknownBind;

    fn try_from(text: String) -> Result<Self, UnknownBind> {
        text.parse()
    }
}
