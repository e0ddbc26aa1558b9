//! A limit on anything that somebody may do now and then.

use std::collections::BTreeMap;

use super::bucket::Bucket;
use super::{Because, RetryAfter};

/// Lets each key do something so many times at once, and then once in a while. It tells a limited
/// number of keys apart; where that is reached, new keys wait until an older one has rested.
#[derive(Clone, Debug)]
pub struct RateLimit<K> {
    burst: u32,
    refill_ms: u64,
    max_keys: usize,
    buckets: BTreeMap<K, Bucket>,
}

impl<K: Ord> RateLimit<K> {
    /// A limit of `burst` times at once and one more time every `refill_ms`, for at most
    /// `max_keys` keys.
    #[must_use]
    pub fn new(burst: u32, refill_ms: u64, max_keys: usize) -> Self {
        Self { burst, refill_ms, max_keys, buckets: BTreeMap::new() }
    }

    /// Counts one more time.
    ///
    /// # Errors
    /// [`RetryAfter`] where that is too often; then nothing is counted.
    pub fn take(&mut self, key: K, now_ms: u64) -> Result<(), RetryAfter> {
        if !self.buckets.contains_key(&key) && self.buckets.len() >= self.max_keys {
            self.buckets.retain(|_, bucket| !bucket.is_full(now_ms));
            if self.buckets.len() >= self.max_keys {
                return Err(RetryAfter { ms: self.refill_ms, because: Because::Everybody });
            }
        }
        let full = Bucket::full(self.burst, self.refill_ms, now_ms);
        let bucket = self.buckets.entry(key).or_insert(full);
        if let Some(ms) = bucket.wait(now_ms) {
            return Err(RetryAfter { ms, because: Because::Address });
        }
        bucket.take(now_ms);
        Ok(())
    }

    /// How many keys are told apart now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buckets.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }
}
