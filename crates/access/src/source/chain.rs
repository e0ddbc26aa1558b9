//! Reading the chain of addresses in forwarding headers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{ForwardingHeaders, MAX_FORWARDING_BYTES, MAX_HOPS, SourceFault};

/// The client the headers speak of.
pub(super) fn client(
    headers: &ForwardingHeaders,
    is_trusted: impl Fn(IpAddr) -> bool,
) -> Result<IpAddr, SourceFault> {
    if headers.size() > MAX_FORWARDING_BYTES {
        return Err(SourceFault::Unclear("they are too long"));
    }
    let named = |entries: Vec<String>| -> Result<Option<IpAddr>, SourceFault> {
        if entries.len() > MAX_HOPS {
            return Err(SourceFault::Unclear("they name too many proxies"));
        }
        right_most(&entries, &is_trusted)
    };
    let forwarded = named(forwarded_for(&headers.forwarded)?)?;
    let x_forwarded_for = named(listed(&headers.x_forwarded_for))?;
    // Proxies write one of the two and pass the other on as the client wrote it.
    let client = match (forwarded, x_forwarded_for) {
        (Some(one), Some(other)) if one != other => {
            return Err(SourceFault::Unclear("`Forwarded` and `X-Forwarded-For` differ"));
        }
        (Some(address), _) | (None, Some(address)) => Some(address),
        // Where there is a chain, this one may be the client's own invention.
        (None, None) => named(listed(&headers.x_real_ip))?,
    };
    client.ok_or(SourceFault::Unclear("they name no address"))
}

/// The right-most address that is not trusted; the left-most where all are.
fn right_most(
    entries: &[String],
    is_trusted: impl Fn(IpAddr) -> bool,
) -> Result<Option<IpAddr>, SourceFault> {
    let mut last = None;
    for entry in entries.iter().rev() {
        let address = address(entry).ok_or(SourceFault::Unclear("they name no IP address"))?;
        last = Some(address);
        if !is_trusted(address) {
            break;
        }
    }
    Ok(last)
}

/// The entries of a header that is a plain list. Its lines are one list.
fn listed(lines: &[String]) -> Vec<String> {
    lines.iter().flat_map(|line| line.split(',')).map(|entry| entry.trim().to_owned()).collect()
}

/// The `for` of each element of `Forwarded`. An element without one names nobody.
fn forwarded_for(lines: &[String]) -> Result<Vec<String>, SourceFault> {
    let unclear = || SourceFault::Unclear("`Forwarded` is not well-formed");
    let mut entries = Vec::new();
    for element in lines.iter().flat_map(|line| split_unquoted(line, ',')) {
        let mut client = None;
        for pair in split_unquoted(element, ';').into_iter().filter(|pair| !pair.trim().is_empty())
        {
            let (name, value) = pair.split_once('=').ok_or_else(unclear)?;
            if !name.trim().eq_ignore_ascii_case("for") {
                continue;
            }
            let value = unquoted(value.trim()).ok_or_else(unclear)?;
            if client.replace(value).is_some() {
                return Err(unclear());
            }
        }
        entries.push(client.unwrap_or_default());
    }
    Ok(entries)
}

/// Splits at a separator that does not stand in a quoted string.
fn split_unquoted(text: &str, separator: char) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(|c| {
        let plain = !quoted;
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        plain && c == separator
    })
    .collect()
}

/// A token as it is, a quoted string without its quotes. Addresses need no escapes.
fn unquoted(text: &str) -> Option<String> {
    let inner = match text.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"')?,
        None => text,
    };
    (!inner.contains(['"', '\\'])).then(|| inner.to_owned())
}

/// An address with or without port, brackets and zone.
fn address(entry: &str) -> Option<IpAddr> {
    let plain = |text: &str| -> Option<IpAddr> {
        let (text, _zone) = text.split_once('%').unwrap_or((text, ""));
        text.parse().ok()
    };
    let address = if let Some(rest) = entry.strip_prefix('[') {
        let (inner, port) = rest.split_once(']')?;
        let port_is_one = port.is_empty() || port.strip_prefix(':')?.parse::<u16>().is_ok();
        let (inner, _zone) = inner.split_once('%').unwrap_or((inner, ""));
        IpAddr::V6(inner.parse::<Ipv6Addr>().ok().filter(|_| port_is_one)?)
    } else if let Some(address) = plain(entry) {
        address
    } else {
        let (host, port) = entry.rsplit_once(':')?;
        port.parse::<u16>().ok()?;
        IpAddr::V4(host.parse::<Ipv4Addr>().ok()?)
    };
    Some(address.to_canonical())
}
