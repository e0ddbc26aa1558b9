//! What a run is at, as far as its outcome will tell of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hatchery_runtime::Spent;
use hatchery_spawn::MAX_FILES_TOUCHED;
use tokio::time::Instant;

/// How often at most what an agent has used is set against its budget.
const SETTLE_EVERY: Duration = Duration::from_secs(2);

/// What a run has done so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Doing {
    /// The last thing it began.
    pub(super) last_step: Option<String>,
    /// The files it said it touched.
    pub(super) files_touched: Vec<String>,
    /// What it said it has used.
    pub(super) spent: Spent,
}

/// The same, while it goes on. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Doings(Arc<Mutex<Noted>>);

#[derive(Debug, Default)]
struct Noted {
    doing: Doing,
    settled_at: Option<Instant>,
}

impl Doings {
    fn noted(&self) -> MutexGuard<'_, Noted> {
        // Every change is complete before anything can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn step(&self, step: String) {
        self.noted().doing.last_step = Some(step);
    }

    pub(super) fn touched(&self, file: String) {
        let files = &mut self.noted().doing.files_touched;
        if files.len() < MAX_FILES_TOUCHED && !files.contains(&file) {
            files.push(file);
        }
    }

    /// Takes note of what was used; whether it is time to set it against the budget.
    pub(super) fn spent(&self, spent: Spent, now: Instant) -> bool {
        let mut noted = self.noted();
        noted.doing.spent = spent;
        let due = noted.settled_at.is_none_or(|at| now.duration_since(at) >= SETTLE_EVERY);
        if due {
            noted.settled_at = Some(now);
        }
        due
    }

    pub(super) fn so_far(&self) -> Doing {
        self.noted().doing.clone()
    }
}

#[cfg(test)]
mod tests {
    use hatchery_runtime::Spent;
    use hatchery_spawn::MAX_FILES_TOUCHED;
    use tokio::time::Instant;

    use super::{Doings, SETTLE_EVERY};

    #[test]
    fn each_file_is_named_once_and_the_list_has_an_end() {
        let doings = Doings::default();
        for number in 0..=MAX_FILES_TOUCHED {
            doings.touched(number.to_string());
            doings.touched("0".to_owned());
        }
        let files = doings.so_far().files_touched;
        assert_eq!((files.len(), files[1].as_str()), (MAX_FILES_TOUCHED, "1"));
    }

    #[test]
    fn what_is_used_is_settled_now_and_then() {
        let (doings, begin) = (Doings::default(), Instant::now());
        assert!(doings.spent(Spent::default(), begin));
        assert!(!doings.spent(Spent::default(), begin + SETTLE_EVERY / 2));
        assert!(doings.spent(Spent::default(), begin + SETTLE_EVERY));
    }
}
