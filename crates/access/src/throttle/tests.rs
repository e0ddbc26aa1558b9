#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hatchery_protocol::WireError;
use proptest::prelude::*;

use super::key::{Circle, Key};
use super::*;
use crate::{ForwardingHeaders, locate};

const NOW: u64 = 1_000_000;

fn from(address: impl Into<IpAddr>) -> Source {
    locate(address.into(), &ForwardingHeaders::default(), &[]).unwrap()
}

fn text(address: &str) -> Source {
    from(address.parse::<IpAddr>().unwrap())
}

fn throttle() -> Throttle {
    Throttle::new(ThrottleSettings::default())
}

/// Knocks with a wrong secret; says whether it was looked at.
fn guess(throttle: &mut Throttle, source: &Source, now_ms: u64) -> bool {
    let looked_at = throttle.may_try(source, now_ms).is_ok();
    if looked_at {
        throttle.failed(source, now_ms);
    }
    looked_at
}

fn guesses(throttle: &mut Throttle, source: &Source, tries: usize, now_ms: u64) -> usize {
    (0..tries).filter(|_| guess(throttle, source, now_ms)).count()
}

#[test]
fn the_tenth_wrong_secret_locks_an_address_out_for_five_minutes() {
    for address in ["203.0.113.7", "127.0.0.1", "::1", "192.168.1.2", "2001:db8::1"] {
        let (mut throttle, source) = (throttle(), text(address));
        assert_eq!(guesses(&mut throttle, &source, 1000, NOW), 10, "{address}");
        let refused = throttle.may_try(&source, NOW + 1).unwrap_err();
        assert_eq!(refused, RetryAfter { ms: 299_999, because: Because::Address });
        assert!(throttle.may_try(&source, NOW + 299_999).is_err());
        assert_eq!(throttle.locked(NOW + 299_999), 1);
        assert_eq!(throttle.may_try(&source, NOW + 300_000), Ok(()));
        assert_eq!(guesses(&mut throttle, &source, 1000, NOW + 300_000), 10, "a new window");
    }
}

#[test]
fn nine_wrong_secrets_are_forgotten_with_their_window() {
    let (mut throttle, source) = (throttle(), text("203.0.113.7"));
    assert_eq!(guesses(&mut throttle, &source, 9, NOW), 9);
    assert_eq!(guesses(&mut throttle, &source, 9, NOW + 60_000), 9);
    assert!(throttle.may_try(&source, NOW + 60_000).is_ok());
    assert_eq!(guesses(&mut throttle, &source, 9, NOW + 60_001), 1);
}

#[test]
fn one_budget_for_every_way_to_write_an_address() {
    let same = [
        ["203.0.113.7", "::ffff:203.0.113.7"],
        ["127.0.0.1", "127.99.3.4"],
        ["127.0.0.1", "::1"],
        ["::ffff:127.0.0.1", "::1"],
        ["2001:db8::1", "2001:db8::ffff:ffff:1:2"],
    ];
    for [one, other] in same {
        let mut throttle = throttle();
        let first = guesses(&mut throttle, &text(one), 5, NOW);
        assert_eq!(first + guesses(&mut throttle, &text(other), 1000, NOW), 10, "{one} {other}");
        assert!(throttle.may_try(&text(one), NOW).is_err());
    }
    let mut throttle = throttle();
    guesses(&mut throttle, &text("203.0.113.7"), 1000, NOW);
    assert!(throttle.may_try(&text("203.0.113.8"), NOW).is_ok());
    guesses(&mut throttle, &text("2001:db8::1"), 1000, NOW);
    assert!(throttle.may_try(&text("2001:db8:0:1::1"), NOW).is_ok());
}

#[test]
fn whoever_owns_many_networks_does_not_own_many_budgets() {
    let mut throttle = throttle();
    let network = |n: u16| from(Ipv6Addr::new(0x2001, 0xdb8, 7, n, 0, 0, 0, 1));
    let looked_at: usize = (0..1000).map(|n| guesses(&mut throttle, &network(n), 9, NOW)).sum();
    assert_eq!(looked_at, 40);
    assert!(throttle.may_try(&text("2001:db8:8::1"), NOW).is_ok(), "somebody else's");
}

#[test]
fn a_proxy_that_speaks_for_the_loopback_does_not_spend_the_loopbacks_budget() {
    let headers = ForwardingHeaders {
        x_forwarded_for: vec!["127.0.0.1".to_owned()],
        ..ForwardingHeaders::default()
    };
    let trusted = ["127.0.0.1".parse().unwrap()];
    let proxied = locate(Ipv4Addr::LOCALHOST.into(), &headers, &trusted).unwrap();
    let mut throttle = throttle();
    assert_eq!(guesses(&mut throttle, &proxied, 1000, NOW), 10);
    assert!(throttle.may_try(&text("127.0.0.1"), NOW).is_ok());
    assert_eq!(Circle::of(&proxied), Circle::Public);
}

#[test]
fn a_flood_slows_newcomers_of_its_circle_and_nobody_else() {
    let mut throttle = throttle();
    let friend = text("198.51.100.1");
    throttle.succeeded(&friend, Shown::OwnToken, NOW);
    let stranger = |n: u32| from(Ipv4Addr::from_bits(0x0b00_0000 + n));
    let within_a_minute = (0..60_000_u32)
        .filter(|n| guess(&mut throttle, &stranger(n % 30_000), NOW + u64::from(*n)))
        .count();
    // A hundred at once and a hundred a minute, however many they are.
    assert!((100..=201).contains(&within_a_minute), "{within_a_minute}");
    let later = NOW + 60_000;
    let newcomer = text("198.51.100.2");
    let wait = throttle.may_try(&newcomer, NOW + 59_999).unwrap_err();
    assert_eq!(wait.because, Because::Everybody);
    assert!(wait.ms <= CIRCLE_REFILL_MS, "a newcomer is slowed down, not locked out: {wait:?}");
    assert_eq!(throttle.may_try(&newcomer, NOW + 59_999 + wait.ms), Ok(()));
    for address in ["127.0.0.1", "192.168.1.2", "fd00::2", "100.64.0.9", "198.51.100.1"] {
        assert_eq!(throttle.may_try(&text(address), later), Ok(()), "{address}");
    }
    // To be known helps nobody to guess.
    assert_eq!(guesses(&mut throttle, &friend, 1000, later), 10);
    // And it is forgotten after a day.
    let next_day = later + KNOWN_MS;
    let flood = (0..200).filter(|n| guess(&mut throttle, &stranger(*n), next_day)).count();
    assert_eq!(flood, 100);
    assert!(throttle.may_try(&text("198.51.100.1"), next_day).is_err());
}

#[test]
fn the_right_secret_is_looked_at_in_a_flood_as_long_as_one_is_not_locked_out() {
    let mut throttle = throttle();
    let owner = text("127.0.0.1");
    for n in 0..100_000 {
        guess(&mut throttle, &from(Ipv4Addr::from_bits(0x0b00_0000 + n)), NOW);
    }
    for _ in 0..1000 {
        assert_eq!(throttle.may_try(&owner, NOW), Ok(()));
        throttle.succeeded(&owner, Shown::SharedSecret, NOW);
    }
}

#[test]
fn only_the_shared_secret_wipes_the_slate() {
    let (mut throttle, source) = (throttle(), text("203.0.113.7"));
    for _ in 0..9 {
        assert!(guess(&mut throttle, &source, NOW));
        throttle.succeeded(&source, Shown::OwnToken, NOW);
    }
    assert!(guess(&mut throttle, &source, NOW));
    assert!(throttle.may_try(&source, NOW).is_err(), "a token of one's own resets nothing");

    let mut throttle = self::throttle();
    guesses(&mut throttle, &source, 9, NOW);
    throttle.succeeded(&source, Shown::SharedSecret, NOW);
    assert_eq!(guesses(&mut throttle, &source, 1000, NOW), 10);
}

#[test]
fn memory_is_bounded_and_a_full_table_frees_nobody() {
    let longest = ThrottleSettings::new(10, 60_000, u64::MAX);
    let mut throttle = Throttle::new(longest);
    let culprit = text("203.0.113.7");
    guesses(&mut throttle, &culprit, 10, NOW);
    // Slow enough for the circle, each locked out for a week.
    let mut now = NOW;
    let strangers = u32::try_from(MAX_TRACKED).unwrap() + 500;
    for n in 0..strangers {
        for _ in 0..10 {
            now += CIRCLE_REFILL_MS / 10;
            throttle.failed(&from(Ipv4Addr::from_bits(0x0b00_0000 + n)), now);
        }
    }
    assert_eq!(throttle.failures.len(), MAX_TRACKED);
    assert!(throttle.may_try(&culprit, now).is_err(), "still locked out");
    // The last ones found no room: they are counted together.
    let untracked = text("198.51.100.9");
    let refused = throttle.may_try(&untracked, now + 60_000).unwrap_err();
    assert_eq!(refused.because, Because::Address);
    // Whoever is known is counted alone all the same, once it is.
    throttle.succeeded(&untracked, Shown::SharedSecret, now);
    assert_eq!(throttle.may_try(&untracked, now + 60_000), Ok(()));
    // With the lockouts the table empties.
    let after = now + longest.lockout_ms();
    throttle.failed(&untracked, after);
    assert!(throttle.failures.len() < 3, "{}", throttle.failures.len());
    assert_eq!(throttle.may_try(&text("198.51.100.10"), after), Ok(()));
}

#[test]
fn the_list_of_known_addresses_is_bounded() {
    let mut throttle = throttle();
    for n in 0..2 * u32::try_from(MAX_KNOWN).unwrap() {
        throttle.succeeded(&from(Ipv4Addr::from_bits(n)), Shown::OwnToken, NOW + u64::from(n));
    }
    assert_eq!(throttle.known.len(), MAX_KNOWN);
    assert!(!throttle.known.contains_key(&Key::Address(Ipv4Addr::from_bits(1))));
}

#[test]
fn no_setting_switches_it_off() {
    for (settings, looked_at) in [
        (ThrottleSettings::new(0, 0, 0), 1),
        (ThrottleSettings::new(u32::MAX, 0, 0), 100),
        (ThrottleSettings::new(3, u64::MAX, u64::MAX), 3),
    ] {
        let (mut throttle, source) = (Throttle::new(settings), text("203.0.113.7"));
        assert_eq!(guesses(&mut throttle, &source, 100_000, NOW), looked_at, "{settings:?}");
    }
    let read: ThrottleSettings = serde_json::from_str(r#"{"maxAttempts": 3}"#).unwrap();
    assert_eq!(read, ThrottleSettings::new(3, 60_000, 300_000));
    assert!(serde_json::from_str::<ThrottleSettings>(r#"{"exemptLoopback": true}"#).is_err());
}

#[test]
fn a_clock_that_jumps_neither_frees_nor_breaks() {
    let (mut throttle, source) = (throttle(), text("203.0.113.7"));
    guesses(&mut throttle, &source, 10, NOW);
    assert!(throttle.may_try(&source, 0).is_err());
    assert!(throttle.may_try(&source, NOW).is_err());
    throttle.failed(&source, u64::MAX);
    assert!(throttle.may_try(&source, u64::MAX - 1).is_ok());
}

#[test]
fn the_refusal_is_the_one_clients_wait_after() {
    let refusal = Refusal::from(RetryAfter { ms: 1500, because: Because::Address });
    let wire = WireError::from(refusal);
    assert_eq!(wire.detail_code(), Some("AUTH_RATE_LIMITED"));
    assert_eq!(wire.detail("authReason"), Some("rate_limited"));
    assert_eq!(wire.detail("recommendedNextStep"), Some("wait_then_retry"));
    assert_eq!(wire.retry_after_ms, Some(1500));
    assert!(wire.message.ends_with("try again in 2 s"), "{}", wire.message);
}

#[test]
fn a_rate_limit_holds_per_key_and_in_number() {
    let mut limit = RateLimit::new(3, 1000, 2);
    let taken = |limit: &mut RateLimit<&str>, key, now| {
        (0..10).take_while(|_| limit.take(key, now).is_ok()).count()
    };
    assert_eq!(taken(&mut limit, "a", NOW), 3);
    assert_eq!(taken(&mut limit, "b", NOW + 500), 3);
    let wait = limit.take("a", NOW + 500).unwrap_err();
    assert_eq!(wait, RetryAfter { ms: 500, because: Because::Address });
    assert_eq!(taken(&mut limit, "a", NOW + 1000), 1);
    assert_eq!(limit.take("c", NOW + 1000).unwrap_err().because, Because::Everybody);
    assert_eq!(limit.len(), 2);
    assert_eq!(limit.take("c", NOW + 10_000), Ok(()));
    assert_eq!(limit.len(), 1);
    assert!(!limit.is_empty());
}

proptest! {
    /// However a stranger spreads its guesses over time, no window of its own lets through more
    /// than two windows' worth.
    #[test]
    fn guesses_per_address_are_bounded(pauses in prop::collection::vec(0_u64..20_000, 1..400)) {
        let (mut throttle, source) = (throttle(), text("203.0.113.7"));
        let mut now = NOW;
        let mut times = Vec::new();
        for pause in pauses {
            now += pause;
            if guess(&mut throttle, &source, now) {
                times.push(now);
            }
        }
        for begin in &times {
            let within = times.iter().filter(|at| (*begin..begin + 60_000).contains(at)).count();
            prop_assert!(within < 20, "{within}");
        }
    }

    /// Whatever happens elsewhere, nobody is freed from a lockout before its time.
    #[test]
    fn a_lockout_lasts(others in prop::collection::vec((any::<u32>(), 0_u64..2000), 1..300)) {
        let (mut throttle, source) = (throttle(), text("203.0.113.7"));
        guesses(&mut throttle, &source, 10, NOW);
        let mut now = NOW;
        for (other, pause) in others {
            now += pause;
            let other = from(Ipv4Addr::from_bits(other));
            if Key::of(&other) != Key::of(&source) {
                guess(&mut throttle, &other, now);
            }
            prop_assert_eq!(throttle.may_try(&source, now).is_err(), now < NOW + 300_000);
        }
    }
}
