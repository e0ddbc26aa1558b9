//! What a stranger says of itself, and the headers it comes with.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use hatchery_access::{BrowserHeaders, ForwardingHeaders, Page, check_origin, locate};
use hatchery_protocol::{ConnectParams, ProtocolVersion, Role, Scope, Secret};
use libfuzzer_sys::fuzz_target;

/// Nobody writes this but the seeds, so it shows where a secret went.
const MARK: &str = "hunter2hunter2";

fuzz_target!(|bytes: &[u8]| {
    // The parameters, and in the lines behind them the headers.
    let (json, headers) = match bytes.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &[][..]),
    };
    read_headers(headers);
    let Ok(params) = serde_json::from_slice::<ConnectParams>(json) else { return };
    if let Some(version) = ProtocolVersion::settle(&params) {
        assert!((params.min_protocol..=params.max_protocol).contains(&version.number()));
    }
    if let Some(role) = params.role.as_deref().and_then(Role::parse) {
        assert_eq!(params.role.as_deref(), Some(role.as_str()));
    }
    for scope in params.scopes.as_deref().unwrap_or_default() {
        assert!(Scope::parse(scope).is_none_or(|known| known.as_str() == scope));
    }
    if let Some(auth) = &params.auth {
        let secrets = [&auth.token, &auth.password, &auth.device_token, &auth.bootstrap_token];
        if secrets.iter().any(|secret| secret.as_ref().is_some_and(holds_mark)) {
            assert!(!format!("{auth:?}").contains(MARK), "a secret shows in debug output");
        }
    }
    let written = serde_json::to_vec(&params).expect("parameters can be written");
    let again: ConnectParams = serde_json::from_slice(&written).expect("and read again");
    assert_eq!(written, serde_json::to_vec(&again).expect("and written again"));
});

fn holds_mark(secret: &Secret) -> bool {
    secret.reveal().contains(MARK)
}

/// No header makes anybody local, and no page passes by a name.
fn read_headers(bytes: &[u8]) {
    let lines: Vec<(&str, &[u8])> = bytes
        .split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            Some((std::str::from_utf8(&line[..colon]).ok()?, line[colon + 1..].trim_ascii()))
        })
        .collect();
    let forwarding = ForwardingHeaders::gather(lines.iter().copied());
    let proxy = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let trusted = ["127.0.0.0/8".parse().expect("a range")];
    if let Ok(source) = locate(proxy, &forwarding, &trusted) {
        assert_eq!(source.direct_loopback, forwarding.is_empty());
        assert_eq!(source.via_proxy, !forwarding.is_empty());
    }
    assert_eq!(locate(proxy, &forwarding, &[]).is_ok(), forwarding.is_empty());
    let browser = BrowserHeaders::gather(lines);
    if let Ok(Page::Own) = check_origin(&browser, None, &[]) {
        let host = browser.host.as_deref().unwrap_or_default();
        let name = host.trim().rsplit_once(':').map_or(host.trim(), |(name, _)| name);
        let bare = name.trim_matches(['[', ']']);
        let fixed = [host.trim(), name, bare, host.trim().trim_matches(['[', ']'])]
            .iter()
            .any(|text| text.parse::<IpAddr>().is_ok() || text.eq_ignore_ascii_case("localhost"));
        assert!(fixed, "the page of a name passed: {host}");
    }
}
