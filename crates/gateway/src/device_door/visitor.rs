//! What is known of somebody before it says a word.

use std::net::SocketAddr;

use axum::http::HeaderMap;
use hatchery_access::connect::SharedFailure;
use hatchery_access::{BrowserHeaders, ForwardingHeaders, Refusal, Source, locate};

use crate::config::{Config, TrustedProxyConfig};

/// What is known of somebody before it says a word.
#[derive(Debug)]
pub(super) struct Visitor {
    /// Where it stands.
    pub(super) source: Source,
    /// What its browser says, where it has one.
    pub(super) browser: BrowserHeaders,
    /// The person a trusted proxy names.
    pub(super) person: Result<String, SharedFailure>,
}

impl Visitor {
    /// Looks at a request.
    ///
    /// # Errors
    /// Where headers say that somebody else stands behind it, and are not to be believed.
    pub(super) fn of(
        from: SocketAddr,
        headers: &HeaderMap,
        config: &Config,
    ) -> Result<Self, Refusal> {
        let lines = || headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let forwarding = ForwardingHeaders::gather(lines());
        let browser = BrowserHeaders::gather(lines());
        let source = locate(from.ip(), &forwarding, &config.gateway.trusted_proxies)?
            .addressed_to(browser.host.as_deref());
        let person = person(&source, headers, &config.gateway.auth.trusted_proxy);
        Ok(Self { source, browser, person })
    }
}

/// The person a trusted proxy names. Nobody else can name one.
fn person(
    source: &Source,
    headers: &HeaderMap,
    config: &TrustedProxyConfig,
) -> Result<String, SharedFailure> {
    let missing = SharedFailure::ProxyIdentityMissing;
    let only = |name: &str| {
        let mut values = headers.get_all(name).iter();
        let value = values.next()?.to_str().ok()?.trim();
        (values.next().is_none() && !value.is_empty()).then(|| value.to_owned())
    };
    let name = config.user_header.as_deref().filter(|_| source.via_proxy).ok_or(missing)?;
    if config.required_headers.iter().any(|name| only(name).is_none()) {
        return Err(missing);
    }
    let person = only(name).ok_or(missing)?;
    if !config.allow_users.is_empty() && !config.allow_users.contains(&person) {
        return Err(SharedFailure::ProxyUserRefused);
    }
    Ok(person)
}
