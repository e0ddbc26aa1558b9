#![allow(clippy::unwrap_used)]

use hatchery_protocol::WireError;
use proptest::prelude::*;

use super::*;

fn client(id: &str, mode: &str) -> ClientInfo {
    ClientInfo { id: id.to_owned(), mode: mode.to_owned(), ..ClientInfo::default() }
}

fn headers(origin: Option<&str>, site: Option<&str>, host: Option<&str>) -> BrowserHeaders {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    BrowserHeaders { origin: owned(origin), sec_fetch_site: owned(site), host: owned(host) }
}

fn list(origins: &[&str]) -> Vec<AllowedOrigin> {
    origins.iter().map(|text| text.parse().unwrap()).collect()
}

fn page(origin: &str, host: &str, allowed: &[&str]) -> Result<Page, OriginFault> {
    let ui = client("openclaw-control-ui", "webchat");
    let headers = headers(Some(origin), None, Some(host));
    let outcome = check_origin(&headers, Some(&ui), &list(allowed));
    // Who the client says it is makes no difference where there is an origin.
    for other in [Some(client("cli", "cli")), None] {
        assert_eq!(check_origin(&headers, other.as_ref(), &list(allowed)), outcome);
    }
    outcome
}

#[test]
fn the_gateways_own_page_passes() {
    for (origin, host) in [
        ("http://127.0.0.1:18789", "127.0.0.1:18789"),
        ("http://localhost:18789", "localhost:18789"),
        ("http://localhost:18789", "127.0.0.1:18789"),
        ("http://127.0.0.1:18789", "[::1]:18789"),
        ("http://[::1]:18789", "[::1]:18789"),
        ("HTTP://LocalHost:18789", "LOCALHOST:18789"),
        ("https://192.168.1.2:18789", "192.168.1.2:18789"),
        ("http://192.168.1.2", "192.168.1.2"),
        ("http://192.168.1.2", "192.168.1.2:80"),
        ("https://192.168.1.2:443", "192.168.1.2"),
        ("https://[2001:db8::1]:18789", "[2001:DB8:0::1]:18789"),
        ("http://[::ffff:10.0.0.1]:18789", "10.0.0.1:18789"),
    ] {
        assert_eq!(page(origin, host, &[]), Ok(Page::Own), "{origin} {host}");
    }
}

#[test]
fn pages_from_elsewhere_are_turned_away() {
    for (origin, host) in [
        ("https://evil.example", "127.0.0.1:18789"),
        ("https://evil.example", "localhost:18789"),
        ("http://127.evil.com:18789", "127.0.0.1:18789"),
        ("http://127.0.0.1.evil.com:18789", "127.0.0.1:18789"),
        ("http://localhost.evil.com:18789", "localhost:18789"),
        ("http://evil.localhost:18789", "localhost:18789"),
        // Another program's page on this machine.
        ("http://localhost:3000", "localhost:18789"),
        ("http://127.0.0.1", "127.0.0.1:18789"),
        ("https://127.0.0.1", "127.0.0.1:80"),
        ("http://192.168.1.3:18789", "192.168.1.2:18789"),
        ("http://127.0.0.1:18789", "192.168.1.2:18789"),
        ("http://192.168.1.2:18789", "localhost:18789"),
        ("http://127.0.0.1:18789", ""),
        ("http://127.0.0.1:18789", "127.0.0.1:18789, evil.example"),
        ("chrome-extension://abcdef", "127.0.0.1:18789"),
        ("tauri://localhost", "localhost:18789"),
        ("file://localhost", "localhost"),
    ] {
        let fault = page(origin, host, &["https://chat.example.org"]).unwrap_err();
        assert!(matches!(fault, OriginFault::NotListed(_)), "{origin} {host} {fault:?}");
    }
}

#[test]
fn a_name_made_to_point_here_passes_only_where_it_is_listed() {
    for (origin, host) in [
        ("http://rebound.evil.example:18789", "rebound.evil.example:18789"),
        ("http://127.evil.com:18789", "127.evil.com:18789"),
        ("http://127.0.0.1.nip.io:18789", "127.0.0.1.nip.io:18789"),
        ("https://gateway.example.org", "gateway.example.org"),
        ("http://evil.localhost:18789", "evil.localhost:18789"),
        ("http://0x7f000001:18789", "0x7f000001:18789"),
    ] {
        let fault = page(origin, host, &["https://other.example"]).unwrap_err();
        assert_eq!(fault, OriginFault::NameNotListed(origin.to_owned()));
        assert!(Refusal::from(fault).remedy.as_str().contains(origin));
        assert_eq!(page(origin, host, &["https://other.example", origin]), Ok(Page::Listed));
    }
}

#[test]
fn what_is_no_origin_passes_nowhere_not_even_where_all_do() {
    let long = format!("http://{}", "x".repeat(400));
    for allowed in [&[][..], &["*"]] {
        for (origin, expected) in [
            ("null", OriginFault::Null),
            (" NULL ", OriginFault::Null),
            ("", OriginFault::Malformed),
            ("http://", OriginFault::Malformed),
            ("http://localhost:18789/", OriginFault::Malformed),
            ("http://localhost:18789/page", OriginFault::Malformed),
            ("http://localhost:18789, http://evil.example", OriginFault::Malformed),
            ("http://evil.example@localhost:18789", OriginFault::Malformed),
            ("http://localhost:18789#x", OriginFault::Malformed),
            ("http://localhost:99999", OriginFault::Malformed),
            ("http://lokalhöst:18789", OriginFault::Malformed),
            ("localhost:18789", OriginFault::Malformed),
            ("//localhost:18789", OriginFault::Malformed),
            ("1http://localhost:18789", OriginFault::Malformed),
            (&long, OriginFault::Malformed),
        ] {
            assert_eq!(page(origin, "localhost:18789", allowed), Err(expected), "{origin}");
        }
    }
}

#[test]
fn the_owner_lists_pages_from_elsewhere() {
    let cases = [
        ("https://chat.example.org", "https://chat.example.org", true),
        ("https://chat.example.org/", "https://chat.example.org", true),
        ("HTTPS://Chat.Example.Org:443", "https://chat.example.org", true),
        ("http://localhost:3000", "http://localhost:3000", true),
        ("*", "https://anything.example", true),
        ("chrome-extension://abcdef", "chrome-extension://abcdef", true),
        ("https://chat.example.org", "http://chat.example.org", false),
        ("https://chat.example.org", "https://chat.example.org:8443", false),
        ("https://chat.example.org", "https://chat.example.org.evil.example", false),
        ("https://chat.example.org", "https://evil-chat.example.org", false),
        ("https://example.org", "https://chat.example.org", false),
        ("http://localhost:3000", "http://127.0.0.1:3000", false),
    ];
    for (listed, origin, passes) in cases {
        let outcome = page(origin, "127.0.0.1:18789", &[listed]);
        assert_eq!(outcome == Ok(Page::Listed), passes, "{listed} {origin} {outcome:?}");
    }
    for bad in ["", "null", "example.org", "*.example.org", "https://*", "https://a b", "https:/a"]
    {
        assert!(bad.parse::<AllowedOrigin>().is_err(), "{bad}");
    }
    let read: Vec<AllowedOrigin> =
        serde_json::from_str(r#"["*", "https://A.example:443"]"#).unwrap();
    assert!(read[0].is_any() && !read[1].is_any());
    assert_eq!(read[1].to_string(), "https://a.example");
}

#[test]
fn without_an_origin_only_programs_pass() {
    let ours = Some("127.0.0.1:18789");
    let cases = [
        (None, ours, client("cli", "cli"), Ok(Page::None)),
        (None, None, client("cli", "cli"), Ok(Page::None)),
        (None, ours, client("gateway-client", "backend"), Ok(Page::None)),
        (None, ours, client("openclaw-tui", "ui"), Ok(Page::None)),
        (None, ours, client("openclaw-control-ui", "ui"), Err(OriginFault::Missing)),
        (None, ours, client(" OpenClaw-Control-UI", "cli"), Err(OriginFault::Missing)),
        (None, ours, client("webchat-ui", "ui"), Err(OriginFault::Missing)),
        (None, ours, client("webchat", "ui"), Err(OriginFault::Missing)),
        (None, ours, client("test", "webchat"), Err(OriginFault::Missing)),
        (Some("cross-site"), ours, client("cli", "cli"), Err(OriginFault::CrossSite)),
        (Some("same-site"), ours, client("cli", "cli"), Err(OriginFault::CrossSite)),
        (Some("rubbish"), ours, client("cli", "cli"), Err(OriginFault::CrossSite)),
        (Some(""), ours, client("cli", "cli"), Err(OriginFault::CrossSite)),
        (Some("same-origin"), ours, client("cli", "cli"), Ok(Page::Own)),
        (Some("none"), ours, client("cli", "cli"), Ok(Page::Own)),
        (
            Some("same-origin"),
            Some("evil.example"),
            client("cli", "cli"),
            Err(OriginFault::CrossSite),
        ),
        (Some("same-origin"), None, client("cli", "cli"), Err(OriginFault::CrossSite)),
    ];
    for (site, host, client, expected) in cases {
        let headers = headers(None, site, host);
        let outcome = check_origin(&headers, Some(&client), &list(&["*"]));
        assert_eq!(outcome, expected, "{site:?} {host:?} {client}");
        assert_eq!(headers.from_browser(), site.is_some());
    }
}

#[test]
fn headers_that_come_twice_fit_nothing() {
    let lines = [
        ("Origin", "http://localhost:18789"),
        ("origin", "https://evil.example"),
        ("HOST", "localhost:18789"),
        ("Sec-Fetch-Site", "same-origin"),
        ("Cookie", "x"),
    ];
    let found = BrowserHeaders::gather(lines.iter().map(|(name, value)| (*name, value.as_bytes())));
    assert_eq!(found.host.as_deref(), Some("localhost:18789"));
    assert_eq!(check_origin(&found, None, &list(&["*"])), Err(OriginFault::Malformed));
    let no_text = BrowserHeaders::gather([("Origin", &b"http://\xff"[..])]);
    assert_eq!(check_origin(&no_text, None, &list(&["*"])), Err(OriginFault::Malformed));
}

#[test]
fn the_refusal_is_the_one_clients_know() {
    for fault in [
        OriginFault::Missing,
        OriginFault::Null,
        OriginFault::Malformed,
        OriginFault::CrossSite,
        OriginFault::NameNotListed("http://a".to_owned()),
        OriginFault::NotListed("http://a".to_owned()),
    ] {
        let reason = fault.reason();
        let wire = WireError::from(Refusal::from(fault));
        assert_eq!(wire.code, ErrorCode::InvalidRequest);
        assert_eq!(wire.detail_code(), Some("CONTROL_UI_ORIGIN_NOT_ALLOWED"));
        assert_eq!(wire.detail("reason"), Some(reason));
        assert_eq!(wire.detail("rule"), Some("gateway.controlUi.allowedOrigins"));
    }
}

proptest! {
    /// A page passes by a host nobody can repoint, or not at all.
    #[test]
    fn no_name_passes_unlisted(
        origin in "[ -~]{0,40}",
        name in "([a-z0-9-]{1,8}\\.){1,3}[a-z]{2,6}",
        port in 1_u16..,
    ) {
        let own = headers(Some(&origin), None, Some("127.0.0.1:18789"));
        prop_assert!(check_origin(&own, None, &[]).is_err());
        let rebound = headers(
            Some(&format!("http://{name}:{port}")),
            Some("same-origin"),
            Some(&format!("{name}:{port}")),
        );
        prop_assert!(check_origin(&rebound, None, &[]).is_err());
    }
}
