//! How many refusals the journal takes.

/// How many refusals are written in a minute. What comes on top is in the log alone, so that
/// nobody who is refused can make the journal grow.
const MAX_PER_MINUTE: u32 = 60;

const MINUTE_MS: u64 = 60_000;

/// Counts refusals within the current minute.
#[derive(Debug, Default)]
pub(crate) struct RefusalLog {
    minute: u64,
    written: u32,
}

impl RefusalLog {
    /// Whether one more may be written at `now_ms`; if so, it counts.
    pub(crate) fn may_write(&mut self, now_ms: u64) -> bool {
        let minute = now_ms / MINUTE_MS;
        if minute != self.minute {
            *self = Self { minute, written: 0 };
        }
        self.written += 1;
        self.written <= MAX_PER_MINUTE
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_PER_MINUTE, RefusalLog};

    #[test]
    fn the_limit_holds_within_a_minute_and_begins_anew_with_the_next() {
        let mut log = RefusalLog::default();
        let written = (0..100).filter(|_| log.may_write(120_000)).count();
        assert_eq!(written, MAX_PER_MINUTE as usize);
        assert!(log.may_write(180_000));
    }
}
