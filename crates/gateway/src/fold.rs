//! How much of what others cause gets into the journal: so little that nobody outside can make it
//! grow or hold up a commit.
//!
//! Whoever was not let in only ever adds to a count. The counts of a minute become one entry for
//! each source, for a bounded number of sources, and one for all the others together. Callers that
//! are known have entries of their own until there are too many of them within a minute.

use std::collections::BTreeMap;

use hatchery_store::AuditEvent;

/// How many sources are named in a minute; the rest are counted together.
pub(crate) const MAX_SOURCES: usize = 16;

/// How many refusals of known callers, and how many connects, have entries of their own in a
/// minute.
pub(crate) const MAX_SINGLE: u32 = 60;

/// How many connects of one source have entries of their own in a minute.
pub(crate) const MAX_SINGLE_CONNECTS: u64 = 4;

const MINUTE_MS: u64 = 60_000;

/// What is written of one thing that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// An entry of its own.
    Singly,
    /// It was counted, the first of its kind from this source in this minute.
    FirstOfItsKind,
    /// It was counted.
    Counted,
}

/// Counts what happens within the current minute.
#[derive(Debug, Default)]
pub(crate) struct Fold {
    minute: u64,
    single_refusals: u32,
    single_connects: u32,
    /// How many connects of each source have entries of their own.
    connects_of: BTreeMap<String, u64>,
    sources: BTreeMap<String, Tally>,
    others: Tally,
}

#[derive(Debug, Default)]
struct Tally {
    connects: u64,
    refusals: BTreeMap<&'static str, u64>,
}

impl Fold {
    /// A known caller was refused.
    pub(crate) fn refused(&mut self, source: &str, code: &'static str) -> Written {
        self.single_refusals += 1;
        if self.single_refusals <= MAX_SINGLE {
            return Written::Singly;
        }
        self.single_refusals = MAX_SINGLE;
        self.count_refusal(source, code)
    }

    /// Somebody who was not let in was refused.
    pub(crate) fn turned_away(&mut self, source: &str, code: &'static str) -> Written {
        self.count_refusal(source, code)
    }

    /// Somebody was let in.
    pub(crate) fn connected(&mut self, source: &str) -> Written {
        let is_known = self.connects_of.contains_key(source);
        if self.single_connects < MAX_SINGLE && (is_known || self.connects_of.len() < MAX_SOURCES) {
            let own = self.connects_of.entry(source.to_owned()).or_default();
            if *own < MAX_SINGLE_CONNECTS {
                *own += 1;
                self.single_connects += 1;
                return Written::Singly;
            }
        }
        let tally = self.tally(source);
        tally.connects += 1;
        if tally.connects == 1 { Written::FirstOfItsKind } else { Written::Counted }
    }

    fn count_refusal(&mut self, source: &str, code: &'static str) -> Written {
        let count = self.tally(source).refusals.entry(code).or_default();
        *count += 1;
        if *count == 1 { Written::FirstOfItsKind } else { Written::Counted }
    }

    fn tally(&mut self, source: &str) -> &mut Tally {
        if !self.sources.contains_key(source) {
            if self.sources.len() >= MAX_SOURCES {
                return &mut self.others;
            }
            self.sources.insert(source.to_owned(), Tally::default());
        }
        self.sources.entry(source.to_owned()).or_default()
    }

    /// The counts of the last minute in which anything happened, once it is over. To be called
    /// before anything is counted at `now_ms`.
    pub(crate) fn due(&mut self, now_ms: u64) -> Vec<AuditEvent> {
        if now_ms / MINUTE_MS == self.minute {
            return Vec::new();
        }
        self.take(now_ms)
    }

    /// The counts there are, whether or not the minute is over.
    pub(crate) fn take(&mut self, now_ms: u64) -> Vec<AuditEvent> {
        let since_ms = self.minute * MINUTE_MS;
        let Self { sources, others, .. } =
            std::mem::replace(self, Self { minute: now_ms / MINUTE_MS, ..Self::default() });
        let named = sources.into_iter().map(|(source, tally)| (Some(source), tally));
        named
            .chain([(None, others)])
            .filter(|(_, tally)| tally.connects > 0 || !tally.refusals.is_empty())
            .map(|(source, Tally { connects, refusals })| {
                let refusals = refusals.into_iter().map(|(code, count)| (code.to_owned(), count));
                AuditEvent::Folded { since_ms, source, connects, refusals: refusals.collect() }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use hatchery_store::AuditEvent;

    use super::{Fold, MAX_SINGLE, MAX_SINGLE_CONNECTS, MAX_SOURCES, Written};

    const NOW: u64 = 120_000;

    fn started() -> Fold {
        let mut fold = Fold::default();
        assert!(fold.due(NOW).is_empty());
        fold
    }

    fn folded(source: Option<&str>, connects: u64, refusals: &[(&str, u64)]) -> AuditEvent {
        let refusals: BTreeMap<String, u64> =
            refusals.iter().map(|(code, count)| ((*code).to_owned(), *count)).collect();
        let source = source.map(str::to_owned);
        AuditEvent::Folded { since_ms: NOW, source, connects, refusals }
    }

    #[test]
    fn whatever_strangers_do_makes_one_entry_for_each_source_and_minute() {
        let mut fold = started();
        assert_eq!(fold.turned_away("10.0.0.1", "A"), Written::FirstOfItsKind);
        for _ in 0..999 {
            assert_eq!(fold.turned_away("10.0.0.1", "A"), Written::Counted);
        }
        assert_eq!(fold.turned_away("10.0.0.1", "B"), Written::FirstOfItsKind);
        fold.turned_away("10.0.0.2", "A");
        assert!(fold.due(NOW + 59_999).is_empty());
        assert_eq!(
            fold.due(NOW + 60_000),
            [
                folded(Some("10.0.0.1"), 0, &[("A", 1000), ("B", 1)]),
                folded(Some("10.0.0.2"), 0, &[("A", 1)]),
            ]
        );
        assert!(fold.due(NOW + 120_000).is_empty());
    }

    #[test]
    fn sources_beyond_the_limit_are_one_entry_together() {
        let mut fold = started();
        for number in 0..MAX_SOURCES + 100 {
            fold.turned_away(&format!("source {number:03}"), "A");
        }
        let entries = fold.take(NOW);
        assert_eq!(entries.len(), MAX_SOURCES + 1);
        assert_eq!(entries.last(), Some(&folded(None, 0, &[("A", 100)])));
    }

    #[test]
    fn a_known_caller_has_entries_of_its_own_up_to_the_limit() {
        let mut fold = started();
        for _ in 0..MAX_SINGLE {
            assert_eq!(fold.refused("run r", "A"), Written::Singly);
        }
        assert_eq!(fold.refused("run r", "A"), Written::FirstOfItsKind);
        assert_eq!(fold.refused("owner", "A"), Written::FirstOfItsKind);
        assert_eq!(fold.refused("run r", "A"), Written::Counted);
        let expected =
            [folded(Some("owner"), 0, &[("A", 1)]), folded(Some("run r"), 0, &[("A", 2)])];
        assert_eq!(fold.due(NOW + 60_000), expected);
        assert_eq!(fold.refused("run r", "A"), Written::Singly);
    }

    #[test]
    fn one_device_that_connects_over_and_over_is_counted_and_leaves_room_for_others() {
        let mut fold = started();
        for _ in 0..MAX_SINGLE_CONNECTS {
            assert_eq!(fold.connected("a"), Written::Singly);
        }
        assert_eq!(fold.connected("a"), Written::FirstOfItsKind);
        assert_eq!(fold.connected("a"), Written::Counted);
        assert_eq!(fold.connected("b"), Written::Singly);
        assert_eq!(fold.take(NOW), [folded(Some("a"), 2, &[])]);
        // Many devices are bounded too.
        let mut fold = started();
        let singly = (0..1000)
            .filter(|number| fold.connected(&format!("d{}", number % 20)) == Written::Singly)
            .count();
        assert_eq!(singly, MAX_SINGLE as usize);
        assert!(fold.take(NOW).len() <= MAX_SOURCES + 1);
    }
}
