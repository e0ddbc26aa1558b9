//! Addresses of webhooks: which are taken, and what of them may be shown.

use std::fmt;

use hatchery_access::{Refusal, Remedy};
use hatchery_protocol::ErrorCode;
use http::Uri;

/// The longest address, in bytes.
pub(crate) const MAX_ADDRESS_BYTES: usize = 2 * 1024;

/// How many characters of a path are shown: services put secrets behind them.
const SHOWN_PATH: usize = 16;

/// What stands where a secret stood.
const HIDDEN: &str = "[hidden]";

/// An address that a result can be sent to. It shows itself without its query and most of its
/// path, as these may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address(Uri);

/// Why a text is no such address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadAddress {
    /// It is too long.
    #[error("it is longer than {MAX_ADDRESS_BYTES} bytes")]
    TooLong,
    /// It is none at all.
    #[error("that is not a URL")]
    NotAUrl,
    /// It is of another kind.
    #[error("it does not begin with http:// or https://")]
    Scheme,
    /// It carries a name or a password, which would be sent to nobody.
    #[error("it holds a name or a password before the host")]
    UserInfo,
}

impl Address {
    /// Reads an address.
    pub(crate) fn parse(text: &str) -> Result<Self, BadAddress> {
        if text.len() > MAX_ADDRESS_BYTES {
            return Err(BadAddress::TooLong);
        }
        let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        if !matches!(scheme.as_deref(), Some("http" | "https")) {
            return Err(BadAddress::Scheme);
        }
        let uri: Uri = text.parse().map_err(|_| BadAddress::NotAUrl)?;
        match uri.authority() {
            Some(authority) if authority.as_str().contains('@') => Err(BadAddress::UserInfo),
            Some(authority) if !authority.host().is_empty() => Ok(Self(uri)),
            _ => Err(BadAddress::NotAUrl),
        }
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.0
    }

    /// A text without the secret part of the address in it.
    pub(super) fn hidden_in(&self, text: &str) -> String {
        match self.0.query() {
            Some(query) if !query.is_empty() => text.replace(query, HIDDEN),
            _ => text.to_owned(),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.0.authority().map_or("", |authority| authority.as_str());
        write!(f, "{}://{authority}", self.0.scheme_str().unwrap_or("http"))?;
        let path = self.0.path();
        match path.char_indices().nth(SHOWN_PATH) {
            Some((end, _)) => write!(f, "{}…", &path[..end]),
            None if self.0.query().is_some() => write!(f, "{path}?…"),
            None => f.write_str(path),
        }
    }
}

/// An address as it may be shown, whatever it is.
pub(crate) fn shown(text: &str) -> String {
    match Address::parse(text) {
        Ok(address) => address.to_string(),
        Err(_) => "an address that is none".to_owned(),
    }
}

impl From<BadAddress> for Refusal {
    fn from(bad: BadAddress) -> Self {
        let remedy = "name an address like https://example.com/hook with --announce-to";
        let message = format!("a result cannot be sent to that address: {bad}");
        Self::forbidden(
            "BAD_ROUTE",
            "routes of results",
            message,
            Remedy::Advice(remedy.to_owned()),
        )
        .in_class(ErrorCode::InvalidRequest)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Address, BadAddress, MAX_ADDRESS_BYTES, shown};

    #[test]
    fn only_addresses_a_result_can_be_sent_to_are_taken() {
        let long = |bytes| format!("http://h/{}", "x".repeat(bytes - 9));
        for good in ["http://h", "https://h:8/x?y=z", "http://[::1]:9/", &long(MAX_ADDRESS_BYTES)] {
            assert!(Address::parse(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("", BadAddress::Scheme),
            ("http://", BadAddress::NotAUrl),
            ("http://:80/", BadAddress::NotAUrl),
            ("http://h/a b", BadAddress::NotAUrl),
            ("http://h/\r\nx: y", BadAddress::NotAUrl),
            ("h", BadAddress::Scheme),
            ("example.com/hook", BadAddress::Scheme),
            ("/hook", BadAddress::Scheme),
            ("ftp://h/", BadAddress::Scheme),
            ("unix://h/", BadAddress::Scheme),
            ("http://me:secret@h/", BadAddress::UserInfo),
            ("http://me@h/", BadAddress::UserInfo),
            (long(MAX_ADDRESS_BYTES + 1).as_str(), BadAddress::TooLong),
        ] {
            assert_eq!(Address::parse(bad).unwrap_err(), why, "{bad}");
        }
    }

    #[test]
    fn what_may_be_secret_in_an_address_is_not_shown() {
        for (address, words) in [
            ("https://h:8/hook", "https://h:8/hook"),
            ("https://h/hook?key=abc", "https://h/hook?…"),
            ("https://h/services/T0/B0/secret", "https://h/services/T0/B0/…"),
            ("nonsense secret", "an address that is none"),
        ] {
            assert_eq!(shown(address), words);
        }
        let address = Address::parse("http://h/?key=abc").unwrap();
        assert_eq!(address.hidden_in("no key=abc here"), "no [hidden] here");
        assert_eq!(Address::parse("http://h/").unwrap().hidden_in("as it is"), "as it is");
    }
}
