//! Origins: as a browser sends them, and as the owner lists them.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use crate::host::Host;

/// The longest origin that is read, in bytes.
const MAX_ORIGIN_TEXT: usize = 300;

/// The origin of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PageOrigin {
    /// In small letters.
    scheme: String,
    authority: Authority,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Authority {
    /// Of a page on the web. The port is the one that counts, written or not.
    Web(Host),
    /// Of an app or an extension: a name of its own kind.
    Other(String),
}

/// An origin the owner lists: `https://chat.example.org`, or `*` for every page there is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct AllowedOrigin {
    /// `None` stands for every origin.
    origin: Option<PageOrigin>,
}

/// A text that is no origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither an origin such as https://chat.example.org nor *")]
pub struct InvalidOrigin(String);

impl PageOrigin {
    /// Reads `scheme://host` and `scheme://host:port`. A path, even `/`, belongs to no origin.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > MAX_ORIGIN_TEXT {
            return None;
        }
        let (scheme, rest) = text.split_once("://")?;
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.chars().all(fits) {
            return None;
        }
        let scheme = scheme.to_ascii_lowercase();
        let authority = if default_port(&scheme).is_some() {
            let host = Host::parse(rest)?;
            Authority::Web(Host { port: host.port.or(default_port(&scheme)), ..host })
        } else {
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
            if rest.is_empty() || !rest.chars().all(fits) {
                return None;
            }
            Authority::Other(rest.to_ascii_lowercase())
        };
        Some(Self { scheme, authority })
    }

    /// The host, where it is a page on the web.
    pub(super) fn web_host(&self) -> Option<&Host> {
        match &self.authority {
            Authority::Web(host) => Some(host),
            Authority::Other(_) => None,
        }
    }

    /// The port that counts where none is written.
    pub(super) fn default_port(&self) -> Option<u16> {
        default_port(&self.scheme)
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

impl fmt::Display for PageOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme)?;
        match &self.authority {
            Authority::Web(Host { name, port }) => {
                write!(f, "{name}")?;
                match port {
                    Some(port) if self.default_port() != Some(*port) => write!(f, ":{port}"),
                    Some(_) | None => Ok(()),
                }
            }
            Authority::Other(name) => f.write_str(name),
        }
    }
}

impl AllowedOrigin {
    /// Whether this is every page there is.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.origin.is_none()
    }

    pub(super) fn admits(&self, page: &PageOrigin) -> bool {
        self.origin.as_ref().is_none_or(|own| own == page)
    }
}

impl FromStr for AllowedOrigin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        if text.trim() == "*" {
            return Ok(Self { origin: None });
        }
        // People copy it from the address bar, with a slash at the end.
        let origin = PageOrigin::parse(text.trim().trim_end_matches('/'));
        origin.map(|own| Self { origin: Some(own) }).ok_or_else(|| InvalidOrigin(text.to_owned()))
    }
}

impl TryFrom<String> for AllowedOrigin {
    type Error = InvalidOrigin;

    fn try_from(text: String) -> Result<Self, InvalidOrigin> {
        text.parse()
    }
}

impl fmt::Display for AllowedOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(origin) => write!(f, "{origin}"),
            None => f.write_str("*"),
        }
    }
}
