//! How often strangers may guess.
//!
//! Only wrong secrets count. An address that shows too many is locked out for a while, this
//! machine's own addresses included: a page in a browser can knock there as well. Wrong secrets of
//! many addresses together only slow newcomers of the same [circle](Circle) down: an address that
//! has shown a right one before is spared that, so no stranger locks the owner's devices out. The
//! owner's socket never comes here, and neither does a connection that is already let in.
//!
//! Nothing a client says of itself enters, so no field switches the throttle off. Ask
//! [`Throttle::may_try`], compare, and report the outcome under one lock: then not even a thousand
//! connections at once get one comparison more.

mod bucket;
mod key;
mod rate;
mod settings;

use std::collections::BTreeMap;

use hatchery_protocol::ErrorCode;

pub use rate::RateLimit;
pub use settings::ThrottleSettings;

use crate::{Refusal, Remedy, Source};
use bucket::Bucket;
use key::{Circle, Key};

/// How many addresses with wrong secrets are told apart. The limit on all of a circle together
/// keeps them far fewer, unless a lockout lasts for hours.
pub const MAX_TRACKED: usize = 4096;

/// How many addresses are remembered for having shown a right secret.
pub const MAX_KNOWN: usize = 1024;

/// How long they are.
pub const KNOWN_MS: u64 = 24 * 60 * 60 * 1000;

/// How many wrong secrets all addresses of a circle together may show at once.
pub const CIRCLE_BURST: u32 = 100;

/// After how long they may show one more.
pub const CIRCLE_REFILL_MS: u64 = 600;

/// How many times the failures of one address its whole neighbourhood may have.
const NEIGHBOURHOOD: u32 = 4;

/// Counts wrong secrets.
#[derive(Clone, Debug)]
pub struct Throttle {
    settings: ThrottleSettings,
    failures: BTreeMap<Key, Failures>,
    /// What addresses that found no room in `failures` have in common.
    crowd: Failures,
    circles: BTreeMap<Circle, Bucket>,
    /// When each address last showed a right secret.
    known: BTreeMap<Key, u64>,
}

/// The failures within one window.
#[derive(Clone, Copy, Debug, Default)]
struct Failures {
    count: u32,
    since_ms: u64,
    locked_until_ms: u64,
}

/// What was shown and was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The shared token or password.
    SharedSecret,
    /// A token of one device, or of a setup code. Whoever has one does not know the shared secret
    /// by it, and goes on being counted.
    OwnToken,
}

/// A try that is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unauthorized: too many failed attempts, try again in {} s", .ms.div_ceil(1000))]
pub struct RetryAfter {
    /// After how many milliseconds it would be.
    pub ms: u64,
    /// Whose tries they were.
    pub because: Because,
}

/// Whose tries were too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// Those of this address or of the network it belongs to.
    Address,
    /// Those of all addresses that are not known together.
    Everybody,
}

impl Throttle {
    /// A throttle that has seen nothing.
    #[must_use]
    pub fn new(settings: ThrottleSettings) -> Self {
        Self {
            settings,
            failures: BTreeMap::new(),
            crowd: Failures::default(),
            circles: BTreeMap::new(),
            known: BTreeMap::new(),
        }
    }

    /// Changes the limits for what happens from now on. Who is locked out stays so.
    pub fn set_settings(&mut self, settings: ThrottleSettings) {
        self.settings = settings;
    }

    /// Whether a secret from there may be looked at now.
    ///
    /// # Errors
    /// [`RetryAfter`] where it may not, whatever the secret is.
    pub fn may_try(&self, source: &Source, now_ms: u64) -> Result<(), RetryAfter> {
        let own = Key::of(source);
        let known = self.is_known(&own, now_ms);
        let until =
            if known { self.locked_until(&own) } else { self.newcomer_until(source, now_ms) };
        if until > now_ms {
            return Err(RetryAfter { ms: until - now_ms, because: Because::Address });
        }
        if known {
            return Ok(());
        }
        match self.circles.get(&Circle::of(source)) {
            Some(bucket) => bucket
                .wait(now_ms)
                .map_or(Ok(()), |ms| Err(RetryAfter { ms, because: Because::Everybody })),
            None => Ok(()),
        }
    }

    /// A wrong secret came from there.
    pub fn failed(&mut self, source: &Source, now_ms: u64) {
        let circle = Bucket::full(CIRCLE_BURST, CIRCLE_REFILL_MS, now_ms);
        self.circles.entry(Circle::of(source)).or_insert(circle).take(now_ms);
        for key in Key::all_of(source) {
            let allowed = match key {
                Key::Neighbourhood(_) => self.settings.max_attempts().saturating_mul(NEIGHBOURHOOD),
                Key::Loopback | Key::Address(_) | Key::Network(_) => self.settings.max_attempts(),
            };
            let settings = self.settings;
            self.entry(key, now_ms).count(allowed, settings, now_ms);
        }
    }

    /// A right secret came from there.
    pub fn succeeded(&mut self, source: &Source, shown: Shown, now_ms: u64) {
        let key = Key::of(source);
        if shown == Shown::SharedSecret {
            self.failures.remove(&key);
        }
        if !self.known.contains_key(&key) && self.known.len() >= MAX_KNOWN {
            let oldest = self.known.iter().min_by_key(|(_, at)| **at).map(|(key, _)| *key);
            if let Some(oldest) = oldest {
                self.known.remove(&oldest);
            }
        }
        self.known.insert(key, now_ms);
    }

    /// How many addresses and networks are locked out now.
    #[must_use]
    pub fn locked(&self, now_ms: u64) -> usize {
        self.failures.values().filter(|failures| failures.locked_until_ms > now_ms).count()
    }

    fn locked_until(&self, key: &Key) -> u64 {
        self.failures.get(key).map_or(0, |failures| failures.locked_until_ms)
    }

    /// A newcomer is held to account for its network too, and, where nobody keeps count of it, for
    /// all of whom nobody does.
    fn newcomer_until(&self, source: &Source, now_ms: u64) -> u64 {
        let counted = self.failures.contains_key(&Key::of(source)) || self.has_room(now_ms);
        let crowd = if counted { 0 } else { self.crowd.locked_until_ms };
        Key::all_of(source).map(|key| self.locked_until(&key)).fold(crowd, u64::max)
    }

    fn is_known(&self, key: &Key, now_ms: u64) -> bool {
        self.known.get(key).is_some_and(|at| now_ms.saturating_sub(*at) < KNOWN_MS)
    }

    fn has_room(&self, now_ms: u64) -> bool {
        self.failures.len() < MAX_TRACKED
            || self.failures.values().any(|failures| failures.is_over(self.settings, now_ms))
    }

    /// Where failures of `key` are counted. What still counts is never dropped to make room, so
    /// nobody gets rid of a lockout by failing from elsewhere.
    fn entry(&mut self, key: Key, now_ms: u64) -> &mut Failures {
        if !self.failures.contains_key(&key) && self.failures.len() >= MAX_TRACKED {
            let settings = self.settings;
            self.failures.retain(|_, failures| !failures.is_over(settings, now_ms));
            if self.failures.len() >= MAX_TRACKED {
                return &mut self.crowd;
            }
        }
        self.failures.entry(key).or_default()
    }
}

impl Failures {
    fn count(&mut self, allowed: u32, settings: ThrottleSettings, now_ms: u64) {
        if self.is_over(settings, now_ms) {
            *self = Self { count: 0, since_ms: now_ms, locked_until_ms: 0 };
        }
        self.count = self.count.saturating_add(1);
        if self.count >= allowed {
            self.locked_until_ms = now_ms.saturating_add(settings.lockout_ms());
        }
    }

    /// Whether nothing of it counts any more.
    fn is_over(&self, settings: ThrottleSettings, now_ms: u64) -> bool {
        let window_over = now_ms.saturating_sub(self.since_ms) >= settings.window_ms();
        let lock_over = self.locked_until_ms <= now_ms;
        // A lockout ends the window with it.
        lock_over && (window_over || self.locked_until_ms > 0)
    }
}

impl From<RetryAfter> for Refusal {
    fn from(retry: RetryAfter) -> Self {
        let seconds = retry.ms.div_ceil(1000);
        let remedy = Remedy::Advice(format!(
            "wait {seconds} s, then connect with the right secret; on the gateway's own machine \
             `hatchery` commands are never held up by this"
        ));
        Self::forbidden("AUTH_RATE_LIMITED", "gateway.auth.rateLimit", retry.to_string(), remedy)
            .in_class(ErrorCode::InvalidRequest)
            .with_detail("authReason", "rate_limited")
            .with_detail("canRetryWithDeviceToken", false)
            .with_detail("recommendedNextStep", "wait_then_retry")
            .with_detail("retryAfterMs", retry.ms)
            .with_retry_after(retry.ms)
    }
}

#[cfg(test)]
mod tests;
