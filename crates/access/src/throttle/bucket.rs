//! A bucket of tokens that fills up again.

/// Tokens that come back one by one. Counting is in time: a token is worth the time it takes to
/// come back, so nothing is lost to rounding.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    refill_ms: u64,
    /// How much time a full bucket is worth.
    full_ms: u64,
    /// When it will be full again.
    full_at_ms: u64,
}

impl Bucket {
    /// A full one.
    pub(super) fn full(burst: u32, refill_ms: u64, now_ms: u64) -> Self {
        let refill_ms = refill_ms.max(1);
        let full_ms = refill_ms.saturating_mul(u64::from(burst.max(1)));
        Self { refill_ms, full_ms, full_at_ms: now_ms }
    }

    /// How long until there is a token, where there is none.
    pub(super) fn wait(&self, now_ms: u64) -> Option<u64> {
        let missing = self.full_at_ms.saturating_sub(now_ms);
        let over = missing.saturating_add(self.refill_ms).saturating_sub(self.full_ms);
        (over > 0).then_some(over)
    }

    /// Takes a token. An empty bucket stays empty.
    pub(super) fn take(&mut self, now_ms: u64) {
        let begin = self.full_at_ms.max(now_ms);
        let emptiest = now_ms.saturating_add(self.full_ms);
        self.full_at_ms = begin.saturating_add(self.refill_ms).min(emptiest);
    }

    /// Whether it is as if nothing had ever been taken.
    pub(super) fn is_full(&self, now_ms: u64) -> bool {
        self.full_at_ms <= now_ms
    }
}
