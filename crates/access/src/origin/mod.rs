//! Which pages in a browser may speak to the gateway, decided before any secret is looked at.
//!
//! A browser lets every page on the web open a connection to this machine, and sends along where
//! the page came from. A page of the gateway's own passes, and one the owner has listed; what
//! passes here is only spared from being turned away, and has still to prove who it is.

mod allowed;

use hatchery_protocol::{ClientInfo, ErrorCode};

pub use allowed::{AllowedOrigin, InvalidOrigin};

use crate::host::Host;
use crate::{Refusal, Remedy};
use allowed::PageOrigin;

/// The setting that lists pages from elsewhere.
const RULE: &str = "gateway.controlUi.allowedOrigins";

/// Clients that only exist as pages in a browser.
const PAGE_CLIENTS: [&str; 3] = ["openclaw-control-ui", "webchat", "webchat-ui"];

/// The mode of such clients.
const PAGE_MODE: &str = "webchat";

/// The headers in which a browser says what a page is about. Nobody but a browser can be held to
/// them, so none of them grants anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrowserHeaders {
    /// `Origin`. More than one of them are joined, and are then no origin.
    pub origin: Option<String>,
    /// `Sec-Fetch-Site`.
    pub sec_fetch_site: Option<String>,
    /// `Host`.
    pub host: Option<String>,
}

/// What the headers say of the page behind a connection that was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// There is none: a program connects.
    None,
    /// A page of the gateway's own.
    Own,
    /// A page the owner has listed.
    Listed,
}

/// Why a page is turned away.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginFault {
    /// A client that is a page says nothing of where it came from.
    #[error("a page in a browser has to say where it came from: there is no Origin")]
    Missing,
    /// It came from nowhere in particular.
    #[error("a page without an origin of its own may not connect")]
    Null,
    /// Its origin is none.
    #[error("the Origin of the page is not well-formed")]
    Malformed,
    /// A page from elsewhere, whose browser sent no origin.
    #[error("a page of another site may not connect")]
    CrossSite,
    /// A page of the same name as the gateway, and anybody may make a name point here.
    #[error("`{0}` is a name that is not known to be the gateway's")]
    NameNotListed(String),
    /// A page from elsewhere that is not listed.
    #[error("origin not allowed: {0}")]
    NotListed(String),
}

impl BrowserHeaders {
    /// Picks them out of a request's headers. A value that is no text is kept as one that fits
    /// nothing.
    pub fn gather<'a>(headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut found = Self::default();
        for (name, value) in headers {
            let slot = match name.to_ascii_lowercase().as_str() {
                "origin" => &mut found.origin,
                "sec-fetch-site" => &mut found.sec_fetch_site,
                "host" => &mut found.host,
                _ => continue,
            };
            let value = String::from_utf8_lossy(value);
            *slot = Some(match slot.take() {
                Some(before) => format!("{before}, {value}"),
                None => value.into_owned(),
            });
        }
        found
    }

    /// Whether a browser has had its hand in this.
    #[must_use]
    pub fn from_browser(&self) -> bool {
        self.origin.is_some() || self.sec_fetch_site.is_some()
    }
}

/// Whether a client is one that only exists as a page in a browser, by what it says of itself.
#[must_use]
pub fn is_page_client(client: &ClientInfo) -> bool {
    let is = |word: &str, known: &str| word.trim().eq_ignore_ascii_case(known);
    PAGE_CLIENTS.iter().any(|known| is(&client.id, known)) || is(&client.mode, PAGE_MODE)
}

/// Decides whether the page behind a connection may speak to the gateway. `client` is what it
/// says of itself, where it has said so already.
///
/// # Errors
/// [`OriginFault`] for a page from elsewhere, and for anything that might be one.
pub fn check_origin(
    headers: &BrowserHeaders,
    client: Option<&ClientInfo>,
    allowed: &[AllowedOrigin],
) -> Result<Page, OriginFault> {
    let Some(origin) = &headers.origin else {
        return without_origin(headers, client);
    };
    if origin.trim().eq_ignore_ascii_case("null") {
        return Err(OriginFault::Null);
    }
    let origin = PageOrigin::parse(origin).ok_or(OriginFault::Malformed)?;
    if allowed.iter().any(|entry| entry.admits(&origin)) {
        return Ok(Page::Listed);
    }
    let not_listed = || OriginFault::NotListed(origin.to_string());
    let (Some(page), Some(ours)) = (origin.web_host(), own_host(headers)) else {
        return Err(not_listed());
    };
    // Both are written by the browser. The page's scheme tells what no port means in both.
    let port = |host: &Host| host.port.or(origin.default_port());
    let same_port = port(page) == port(&ours);
    if page.name.is_loopback() && ours.name.is_loopback() && same_port {
        return Ok(Page::Own);
    }
    if page.name != ours.name || !same_port {
        return Err(not_listed());
    }
    if page.name.is_fixed() {
        return Ok(Page::Own);
    }
    Err(OriginFault::NameNotListed(origin.to_string()))
}

/// A browser leaves the origin out of some requests, and then still says whether they are the
/// page's own.
fn without_origin(
    headers: &BrowserHeaders,
    client: Option<&ClientInfo>,
) -> Result<Page, OriginFault> {
    if client.is_some_and(is_page_client) {
        return Err(OriginFault::Missing);
    }
    let Some(site) = &headers.sec_fetch_site else { return Ok(Page::None) };
    if !matches!(site.trim(), "same-origin" | "none") {
        return Err(OriginFault::CrossSite);
    }
    match own_host(headers) {
        Some(host) if host.name.is_fixed() => Ok(Page::Own),
        Some(_) | None => Err(OriginFault::CrossSite),
    }
}

fn own_host(headers: &BrowserHeaders) -> Option<Host> {
    headers.host.as_deref().and_then(Host::parse)
}

impl OriginFault {
    /// The wire's word for it.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Missing => "origin missing",
            Self::Null => "origin is null",
            Self::Malformed => "origin malformed",
            Self::CrossSite => "cross-site request",
            Self::NameNotListed(_) => "host name not listed",
            Self::NotListed(_) => "origin not allowed",
        }
    }
}

impl From<OriginFault> for Refusal {
    fn from(fault: OriginFault) -> Self {
        let advice = match &fault {
            OriginFault::NameNotListed(origin) | OriginFault::NotListed(origin) => format!(
                "open the page the gateway itself serves, on localhost or by the gateway's IP \
                 address, or add \"{origin}\" to `{RULE}`"
            ),
            OriginFault::Missing
            | OriginFault::Null
            | OriginFault::Malformed
            | OriginFault::CrossSite => "open the page the gateway itself serves, on localhost or \
                by the gateway's IP address"
                .to_owned(),
        };
        let remedy = Remedy::Advice(advice);
        Self::forbidden("CONTROL_UI_ORIGIN_NOT_ALLOWED", RULE, fault.to_string(), remedy)
            .in_class(ErrorCode::InvalidRequest)
            .with_detail("reason", fault.reason())
    }
}

#[cfg(test)]
mod tests;
