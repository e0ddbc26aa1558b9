//! A task as a command: what is executed, and what a person is shown.

use hatchery_protocol::Task;
use shlex::Quoter;

/// The program and arguments that do what `task` says.
pub(crate) fn argv(task: &Task) -> Vec<String> {
    match task {
        Task::Argv(argv) => argv.clone(),
        Task::Text(line) => {
            let mut argv = vec!["/bin/sh".to_owned(), "-c".to_owned()];
            // The shell would read such a line as one more of its own options.
            if line.starts_with(['-', '+']) {
                argv.push("--".to_owned());
            }
            argv.push(line.clone());
            argv
        }
    }
}

/// The command as a person would type it: a text as it is, an argument vector quoted for a shell.
#[must_use]
pub fn command_line(task: &Task) -> String {
    match task {
        Task::Text(line) => line.clone(),
        // NUL is the one character quoting would refuse, and no task has one.
        Task::Argv(argv) => Quoter::new()
            .allow_nul(true)
            .join(argv.iter().map(String::as_str))
            .unwrap_or_else(|_| argv.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use hatchery_protocol::Task;

    use super::{argv, command_line};

    fn task(words: &[&str]) -> Task {
        Task::Argv(words.iter().map(|&word| word.to_owned()).collect())
    }

    #[test]
    fn a_text_is_a_shell_line_and_an_argv_stays_as_it_is() {
        assert_eq!(argv(&Task::Text("a | b".to_owned())), ["/bin/sh", "-c", "a | b"]);
        assert_eq!(argv(&task(&["a", "| b", ""])), ["a", "| b", ""]);
    }

    #[test]
    fn a_text_is_never_taken_for_an_option_of_the_shell() {
        assert_eq!(argv(&Task::Text("-x".to_owned())), ["/bin/sh", "-c", "--", "-x"]);
    }

    #[test]
    fn a_command_line_reads_back_as_its_argv() {
        for words in [&["ls"][..], &["echo", "a b", "it's", "", "$x"], &["printf", "\n\t\\"]] {
            assert_eq!(
                shlex::split(&command_line(&task(words))),
                Some(words.iter().map(|&word| word.to_owned()).collect())
            );
        }
        assert_eq!(command_line(&Task::Text("a 'b".to_owned())), "a 'b");
    }
}
