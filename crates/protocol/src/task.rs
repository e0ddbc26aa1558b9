//! What a run is asked to do.

use serde::{Deserialize, Serialize};

/// The most bytes a task may have, all arguments together.
pub(crate) const MAX_BYTES: usize = 256 * 1024;

/// What a run is asked to do: a text (which the model `builtin/shell` reads as a shell line), or
/// an argument vector kept exactly as it was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a task is a text or a list of texts")]
pub enum Task {
    /// A text; `builtin/shell` gives it to `sh -c`.
    Text(String),
    /// A program and its arguments; never seen by a shell.
    Argv(Vec<String>),
}

/// Why something is no task.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTask {
    /// Nothing was asked.
    #[error("there is no task: say after `--` what the agent should do")]
    Empty,
    /// It is over the limit.
    #[error("the task has {actual} bytes; at most {limit} are taken")]
    TooLong {
        /// How long it is, in bytes.
        actual: usize,
        /// The longest there may be, in bytes.
        limit: usize,
    },
    /// It holds a NUL byte, which no program can be given.
    #[error("the task holds a NUL byte, which no program can be given")]
    HasNul,
}

impl Task {
    /// Reads the words behind `--`: one word is a text, several are an argument vector.
    ///
    /// # Errors
    /// [`InvalidTask`] when nothing was said, too much was said, or a word holds a NUL byte.
    pub fn from_words(mut words: Vec<String>) -> Result<Self, InvalidTask> {
        let task = match words.len() {
            1 => Self::Text(words.remove(0)),
            _ => Self::Argv(words),
        };
        task.check()?;
        Ok(task)
    }

    /// How many bytes its words have.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Argv(words) => words.iter().map(String::len).sum(),
        }
    }

    /// Holds a task from the wire to the same rules as one from the command line.
    ///
    /// # Errors
    /// [`InvalidTask`], as for [`Task::from_words`].
    pub fn check(&self) -> Result<(), InvalidTask> {
        let words: &[String] = match self {
            Self::Text(text) => std::slice::from_ref(text),
            Self::Argv(argv) => argv,
        };
        if words.first().is_none_or(|word| word.trim().is_empty()) {
            return Err(InvalidTask::Empty);
        }
        let actual = words.iter().map(String::len).sum();
        if actual > MAX_BYTES {
            return Err(InvalidTask::TooLong { actual, limit: MAX_BYTES });
        }
        if words.iter().any(|word| word.contains('\0')) {
            return Err(InvalidTask::HasNul);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidTask, MAX_BYTES, Task};

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn one_word_is_a_text_and_several_are_an_argv() {
        assert_eq!(Task::from_words(words(&["a b"])), Ok(Task::Text("a b".to_owned())));
        assert_eq!(Task::from_words(words(&["a", ""])), Ok(Task::Argv(words(&["a", ""]))));
    }

    #[test]
    fn nothing_is_no_task() {
        for nothing in [&[][..], &[""], &["  "], &["", "a"]] {
            assert_eq!(Task::from_words(words(nothing)), Err(InvalidTask::Empty), "{nothing:?}");
        }
    }

    #[test]
    fn the_length_limit_holds_at_its_edge() {
        assert!(Task::from_words(vec!["x".repeat(MAX_BYTES)]).is_ok());
        assert!(Task::from_words(vec!["x".repeat(MAX_BYTES), "y".to_owned()]).is_err());
    }
}
