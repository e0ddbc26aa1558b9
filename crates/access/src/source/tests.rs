#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn ranges(texts: &[&str]) -> Vec<AddressRange> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn headers(lines: &[(&str, &str)]) -> ForwardingHeaders {
    ForwardingHeaders::gather(lines.iter().map(|(name, value)| (*name, value.as_bytes())))
}

#[test]
fn without_headers_the_peer_is_the_source() {
    let cases = [
        ("127.0.0.1", "127.0.0.1", true),
        ("127.9.9.9", "127.9.9.9", true),
        ("::1", "::1", true),
        ("::ffff:127.0.0.1", "127.0.0.1", true),
        ("::ffff:10.0.0.1", "10.0.0.1", false),
        ("10.0.0.1", "10.0.0.1", false),
        ("192.168.65.1", "192.168.65.1", false),
        ("0.0.0.0", "0.0.0.0", false),
        ("2001:db8::1", "2001:db8::1", false),
    ];
    // To be a trusted proxy changes nothing for one that forwards nothing.
    for trusted in [ranges(&[]), ranges(&["127.0.0.0/8", "::1", "10.0.0.0/8"])] {
        for (peer, address, direct_loopback) in cases {
            let source = locate(ip(peer), &headers(&[]), &trusted).unwrap();
            let expected = Source { address: ip(address), direct_loopback, via_proxy: false };
            assert_eq!(source, expected, "{peer}");
        }
    }
}

#[test]
fn every_forwarding_header_ends_a_connection_that_is_no_proxys() {
    let lines = [
        ("Forwarded", "for=127.0.0.1"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("x-forwarded-for", ""),
        ("X-Forwarded-Host", "localhost"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Whatever", ""),
        ("X-Real-IP", "::1"),
        ("CF-Connecting-IP", "127.0.0.1"),
        ("True-Client-IP", "127.0.0.1"),
    ];
    for line in lines {
        for (peer, trusted) in [
            ("127.0.0.1", ranges(&[])),
            ("::1", ranges(&["127.0.0.1"])),
            ("203.0.113.9", ranges(&["127.0.0.1", "10.0.0.0/8"])),
        ] {
            let fault = locate(ip(peer), &headers(&[line]), &trusted).unwrap_err();
            assert_eq!(fault, SourceFault::NotTrusted { peer: ip(peer) }, "{line:?}");
            let refusal = Refusal::from(fault);
            assert_eq!(refusal.code, "PROXY_NOT_TRUSTED");
            assert!(refusal.remedy.as_str().contains(peer));
        }
    }
    assert!(headers(&[("Host", "localhost"), ("X-Forward", "x"), ("Via", "1.1 p")]).is_empty());
}

#[test]
fn from_a_trusted_proxy_the_right_most_stranger_counts() {
    let xff = "X-Forwarded-For";
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[(xff, "203.0.113.9")], "203.0.113.9"),
        (&[(xff, "203.0.113.9:4711")], "203.0.113.9"),
        (&[(xff, "::ffff:203.0.113.9")], "203.0.113.9"),
        (&[(xff, "2001:db8::9")], "2001:db8::9"),
        (&[(xff, "[2001:db8::9]:4711")], "2001:db8::9"),
        (&[(xff, "fe80::9%eth0")], "fe80::9"),
        // What the client wrote itself stands on the left.
        (&[(xff, "127.0.0.1, 203.0.113.9")], "203.0.113.9"),
        (&[(xff, "127.0.0.1, ::1, 10.0.0.5, 203.0.113.9, 10.0.0.2")], "203.0.113.9"),
        (&[(xff, "rubbish, 203.0.113.9")], "203.0.113.9"),
        (&[(xff, "127.0.0.1"), (xff, "203.0.113.9")], "203.0.113.9"),
        // A proxy in a row of proxies.
        (&[(xff, "203.0.113.9, 10.0.0.2, 10.0.0.3")], "203.0.113.9"),
        // A client behind the owner's own proxies, with an address of theirs.
        (&[(xff, "10.0.0.9, 10.0.0.2")], "10.0.0.9"),
        // A client that claims the loopback stays behind the proxy.
        (&[(xff, "127.0.0.1")], "127.0.0.1"),
        (&[("X-Real-IP", "203.0.113.9")], "203.0.113.9"),
        (&[(xff, "203.0.113.9"), ("X-Real-IP", "127.0.0.1")], "203.0.113.9"),
        (&[("Forwarded", "for=203.0.113.9")], "203.0.113.9"),
        (&[("Forwarded", "For=203.0.113.9;proto=https;by=10.0.0.1")], "203.0.113.9"),
        (&[("Forwarded", r#"for="[2001:db8::9]:4711""#)], "2001:db8::9"),
        (&[("Forwarded", "for=127.0.0.1, for=203.0.113.9")], "203.0.113.9"),
        (&[("Forwarded", r#"for=127.0.0.1;host="a,for=1.1.1.1", for=203.0.113.9"#)], "203.0.113.9"),
        (&[("Forwarded", r#"host="x\",for=127.0.0.1";for=203.0.113.9"#)], "203.0.113.9"),
        (&[("Forwarded", "for=203.0.113.9"), (xff, "1.1.1.1, 203.0.113.9")], "203.0.113.9"),
    ];
    let trusted = ranges(&["10.0.0.0/8"]);
    for (lines, address) in cases {
        let source = locate(ip("::ffff:10.0.0.1"), &headers(lines), &trusted).unwrap();
        let expected = Source { address: ip(address), direct_loopback: false, via_proxy: true };
        assert_eq!(source, expected, "{lines:?}");
    }
}

#[test]
fn a_proxy_that_does_not_say_for_whom_it_speaks_is_refused() {
    let xff = "X-Forwarded-For";
    let long = vec!["10.0.0.2"; MAX_HOPS + 1].join(",");
    let huge = format!("{}, 203.0.113.9", "x".repeat(MAX_FORWARDING_BYTES));
    let cases: &[&[(&str, &str)]] = &[
        &[("X-Forwarded-Proto", "https")],
        &[("CF-Connecting-IP", "203.0.113.9")],
        &[(xff, "")],
        &[(xff, "unknown")],
        &[(xff, "203.0.113.9,")],
        &[(xff, "localhost")],
        &[(xff, "127.evil.com")],
        &[(xff, "203.0.113.9:99999")],
        &[(xff, "[203.0.113.9]:80")],
        &[(xff, "[::1]80")],
        &[(xff, "203.0.113.9\u{fffd}")],
        &[(xff, &long)],
        &[(xff, &huge)],
        &[("X-Real-IP", "rubbish")],
        &[("Forwarded", "for=unknown")],
        &[("Forwarded", "for=_hidden")],
        &[("Forwarded", "proto=https")],
        &[("Forwarded", "for=203.0.113.9, proto=https")],
        &[("Forwarded", "for=1.1.1.1;for=203.0.113.9")],
        &[("Forwarded", "rubbish")],
        &[("Forwarded", r#"for="203.0.113.9"#)],
        &[("Forwarded", "for=203.0.113.9"), (xff, "203.0.113.10")],
    ];
    for lines in cases {
        let fault = locate(ip("10.0.0.1"), &headers(lines), &ranges(&["10.0.0.0/8"])).unwrap_err();
        assert!(matches!(fault, SourceFault::Unclear(_)), "{lines:?} {fault:?}");
        assert_eq!(Refusal::from(fault).code, "PROXY_ATTRIBUTION_REQUIRED");
    }
    let edge = vec!["10.0.0.2"; MAX_HOPS].join(",");
    assert!(locate(ip("10.0.0.1"), &headers(&[(xff, &edge)]), &ranges(&["10.0.0.0/8"])).is_ok());
}

#[test]
fn a_host_that_is_elsewhere_takes_the_loopback_away_and_none_gives_it() {
    let near = locate(ip("127.0.0.1"), &headers(&[]), &[]).unwrap();
    let far = locate(ip("203.0.113.9"), &headers(&[]), &[]).unwrap();
    let cases = [
        (None, true),
        (Some("localhost"), true),
        (Some("LOCALHOST:18789"), true),
        (Some("127.0.0.1:18789"), true),
        (Some("[::1]:18789"), true),
        (Some("[::ffff:127.0.0.1]"), true),
        (Some("127.evil.com"), false),
        (Some("127.0.0.1.evil.com:18789"), false),
        (Some("localhost.evil.com"), false),
        (Some("evil.localhost"), false),
        (Some("gateway.example.org"), false),
        (Some("192.168.1.2:18789"), false),
        (Some("localhost:x"), false),
        (Some("localhost:+1"), false),
        (Some("user@localhost"), false),
        (Some("[::1"), false),
        (Some(""), false),
    ];
    for (host, direct) in cases {
        assert_eq!(near.addressed_to(host).direct_loopback, direct, "{host:?}");
        assert!(!far.addressed_to(host).direct_loopback, "{host:?}");
    }
}

fn any_header() -> impl Strategy<Value = (&'static str, String)> {
    let name = prop::sample::select(vec![
        "Forwarded",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Real-IP",
    ]);
    let value = prop_oneof![
        "[ -~]{0,40}",
        "(for=)?\"?\\[?(127\\.0\\.0\\.1|::1|10\\.0\\.0\\.1|203\\.0\\.113\\.9)\\]?(:80)?\"?(, ?10\\.0\\.0\\.1){0,3}",
    ];
    (name, value)
}

proptest! {
    /// No header makes anybody local, whoever sends it and whoever is trusted.
    #[test]
    fn nobody_becomes_local_by_a_header(
        lines in prop::collection::vec(any_header(), 1..5),
        peer in prop::sample::select(vec!["127.0.0.1", "::1", "10.0.0.1", "203.0.113.9"]),
        trusted in prop::sample::select(vec!["127.0.0.0/8", "::1", "10.0.0.0/8", "0.0.0.0/0"]),
    ) {
        let lines: Vec<_> = lines.iter().map(|(name, value)| (*name, value.as_str())).collect();
        if let Ok(source) = locate(ip(peer), &headers(&lines), &ranges(&[trusted])) {
            prop_assert!(!source.direct_loopback && source.via_proxy);
            prop_assert!(ranges(&[trusted])[0].contains(ip(peer)));
        }
    }

    /// What a client writes before its proxy appends never moves it.
    #[test]
    fn a_client_behind_a_proxy_cannot_choose_its_address(spoofed in "[ -~]{0,60}") {
        let line = format!("{spoofed}, 203.0.113.9");
        let found = locate(ip("10.0.0.1"), &headers(&[("X-Forwarded-For", &line)]), &ranges(&["10.0.0.0/8"]));
        match found {
            Ok(source) => prop_assert_eq!(source.address, ip("203.0.113.9")),
            Err(fault) => prop_assert!(matches!(fault, SourceFault::Unclear(_))),
        }
    }
}
