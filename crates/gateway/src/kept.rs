//! Answers kept in the form in which they are sent, for as long as they are right.
//!
//! What most clients ask most often is the same for all of them: it is put into words once and
//! then only copied. An answer is kept while nothing that can be read has changed, and never
//! longer than [`KEPT_FOR`], which bounds how old its `ts` and the settings in it can be. Whoever
//! asks is part of the key, as far as it decides what may be seen.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

/// How long an answer is kept at most.
const KEPT_FOR: Duration = Duration::from_secs(1);

/// How many answers of one kind are kept. One more, and all are let go.
const MAX_KEPT: usize = 128;

/// How large they may be together, in bytes.
const MAX_KEPT_BYTES: usize = 8 * 1024 * 1024;

/// Answers of one kind.
#[derive(Debug)]
pub(crate) struct Kept<K> {
    shelf: Mutex<Shelf<K>>,
    /// Held by whoever makes an answer, so that a crowd has it made once.
    making: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Shelf<K> {
    /// The state of the journal all of them show.
    generation: u64,
    since: Instant,
    answers: HashMap<K, Bytes>,
    bytes: usize,
}

impl<K: Clone + Eq + Hash> Kept<K> {
    pub(crate) fn new() -> Self {
        let shelf =
            Shelf { generation: 0, since: Instant::now(), answers: HashMap::new(), bytes: 0 };
        Self { shelf: Mutex::new(shelf), making: tokio::sync::Mutex::new(()) }
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf<K>> {
        // Every change is complete before anything can panic.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer, where it is kept and still right.
    fn find(&self, generation: u64, now: Instant, key: &K) -> Option<Bytes> {
        let mut shelf = self.shelf();
        if shelf.generation != generation || now.duration_since(shelf.since) >= KEPT_FOR {
            shelf.clear(generation, now);
        }
        shelf.answers.get(key).cloned()
    }

    fn put(&self, generation: u64, now: Instant, key: K, answer: &Bytes) {
        let mut shelf = self.shelf();
        if shelf.generation != generation {
            // Made of what is not so any more; whoever asked has it, nobody else gets it.
            return;
        }
        if shelf.answers.len() >= MAX_KEPT || shelf.bytes + answer.len() > MAX_KEPT_BYTES {
            shelf.clear(generation, now);
        }
        if answer.len() <= MAX_KEPT_BYTES {
            shelf.bytes += answer.len();
            shelf.answers.insert(key, answer.clone());
        }
    }

    /// The kept answer, or the one that `make` makes. `generation` counts the changes of what
    /// `make` reads.
    pub(crate) async fn get<E, F>(
        &self,
        generation: impl Fn() -> u64,
        key: K,
        make: impl FnOnce(K) -> F,
    ) -> Result<Bytes, E>
    where
        F: Future<Output = Result<Bytes, E>>,
    {
        if let Some(answer) = self.find(generation(), Instant::now(), &key) {
            return Ok(answer);
        }
        let _making = self.making.lock().await;
        let (state, now) = (generation(), Instant::now());
        if let Some(answer) = self.find(state, now, &key) {
            return Ok(answer);
        }
        let answer = make(key.clone()).await?;
        self.put(state, now, key, &answer);
        Ok(answer)
    }
}

impl<K> Shelf<K> {
    fn clear(&mut self, generation: u64, now: Instant) {
        self.generation = generation;
        self.since = now;
        self.answers.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::convert::Infallible;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Instant;

    use bytes::Bytes;

    use super::{KEPT_FOR, Kept, MAX_KEPT, MAX_KEPT_BYTES};

    #[tokio::test]
    async fn an_answer_is_made_once_until_something_changes() {
        let kept = Kept::new();
        let (generation, made) = (AtomicU64::new(0), AtomicU64::new(0));
        let ask = async |key: &'static str| {
            let count = || made.fetch_add(1, Ordering::Relaxed);
            let make = |key| {
                std::future::ready(Ok::<_, Infallible>(Bytes::from(format!("{key}{}", count()))))
            };
            kept.get(|| generation.load(Ordering::Relaxed), key, make).await.unwrap()
        };
        assert_eq!(ask("a").await, "a0");
        assert_eq!(ask("a").await, "a0");
        assert_eq!(ask("b").await, "b1");
        generation.fetch_add(1, Ordering::Relaxed);
        assert_eq!(ask("a").await, "a2");
        assert_eq!(ask("b").await, "b3");
        assert_eq!(ask("a").await, "a2");
    }

    #[test]
    fn an_answer_is_not_kept_for_ever() {
        let kept = Kept::new();
        let start = Instant::now();
        assert_eq!(kept.find(1, start, &"a"), None);
        kept.put(1, start, "a", &Bytes::from_static(b"x"));
        assert!(kept.find(1, start + KEPT_FOR / 2, &"a").is_some());
        assert!(kept.find(1, start + KEPT_FOR, &"a").is_none());
    }

    #[test]
    fn an_answer_of_yesterday_is_not_put_beside_those_of_today() {
        let kept = Kept::new();
        let now = Instant::now();
        assert_eq!(kept.find(2, now, &"a"), None);
        kept.put(1, now, "a", &Bytes::from_static(b"old"));
        assert_eq!(kept.find(2, now, &"a"), None);
    }

    #[test]
    fn what_is_kept_is_bounded_in_number_and_size() {
        let kept = Kept::new();
        let now = Instant::now();
        assert_eq!(kept.find(1, now, &0), None);
        for key in 0..=MAX_KEPT {
            kept.put(1, now, key, &Bytes::from_static(b"x"));
        }
        assert_eq!(kept.shelf().answers.len(), 1);
        let large = Bytes::from(vec![b'x'; MAX_KEPT_BYTES / 2]);
        for key in 0..3 {
            kept.put(1, now, 1_000 + key, &large);
        }
        assert!(kept.shelf().bytes <= MAX_KEPT_BYTES);
        kept.put(1, now, 2_000, &Bytes::from(vec![b'x'; MAX_KEPT_BYTES + 1]));
        assert_eq!(kept.shelf().bytes, 0);
    }
}
