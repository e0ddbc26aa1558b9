//! The limits the owner may set.

use serde::Deserialize;

/// How many wrong secrets an address may show by default.
const MAX_ATTEMPTS: u32 = 10;

/// Within which time, by default.
const WINDOW_MS: u64 = 60_000;

/// How long it is locked out after that, by default.
const LOCKOUT_MS: u64 = 300_000;

/// The most attempts that can be set. More would be no limit.
const MOST_ATTEMPTS: u32 = 1000;

/// The shortest window and lockout that can be set. Shorter ones would be none.
const SHORTEST_MS: u64 = 1000;

/// The longest ones: a week.
const LONGEST_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// How many wrong secrets lock an address out, and for how long (`gateway.auth.rateLimit`).
/// Whatever is set, there is a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ThrottleSettings {
    max_attempts: u32,
    window_ms: u64,
    lockout_ms: u64,
}

impl Default for ThrottleSettings {
    fn default() -> Self {
        Self { max_attempts: MAX_ATTEMPTS, window_ms: WINDOW_MS, lockout_ms: LOCKOUT_MS }
    }
}

impl ThrottleSettings {
    /// Takes what is set. A value out of reach counts as the nearest one within.
    #[must_use]
    pub fn new(max_attempts: u32, window_ms: u64, lockout_ms: u64) -> Self {
        Self { max_attempts, window_ms, lockout_ms }
    }

    /// How many wrong secrets an address may show within the window.
    #[must_use]
    pub fn max_attempts(&self) -> u32 {
        self.max_attempts.clamp(1, MOST_ATTEMPTS)
    }

    /// How long failures count.
    #[must_use]
    pub fn window_ms(&self) -> u64 {
        self.window_ms.clamp(SHORTEST_MS, LONGEST_MS)
    }

    /// How long an address is locked out.
    #[must_use]
    pub fn lockout_ms(&self) -> u64 {
        self.lockout_ms.clamp(SHORTEST_MS, LONGEST_MS)
    }
}
