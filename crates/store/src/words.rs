//! What lists show of longer texts.

use hatchery_protocol::Task;

/// How many characters of a message a list of sessions shows.
pub(crate) const PREVIEW_CHARACTERS: usize = 160;

/// How many characters of the first message name a session that has no label.
pub(crate) const TITLE_CHARACTERS: usize = 80;

/// A task as a person would have typed it.
pub(crate) fn task_text(task: &Task) -> String {
    match task {
        Task::Text(text) => text.clone(),
        Task::Argv(words) => words.join(" "),
    }
}

/// The beginning of a text, on one line. What it costs follows from what it gives.
pub(crate) fn one_line(text: &str, characters: usize) -> String {
    let words = text.split_whitespace();
    let mut line = String::new();
    let mut length = 0;
    for word in words {
        if !line.is_empty() {
            line.push(' ');
            length += 1;
        }
        let room = characters + 1 - length.min(characters);
        let taken = word.char_indices().nth(room).map_or(word, |(end, _)| &word[..end]);
        line.push_str(taken);
        length += taken.chars().count();
        if length > characters {
            let cut: String = line.chars().take(characters.saturating_sub(1)).collect();
            return cut + "…";
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn a_preview_is_one_line_within_its_limit() {
        assert_eq!(one_line("  a\n b\t c ", 10), "a b c");
        assert_eq!(one_line("", 10), "");
        assert_eq!(one_line("0123456789", 10), "0123456789");
        assert_eq!(one_line("01234567890", 10), "012345678…");
        assert_eq!(one_line(&"ä ".repeat(100), 9).chars().count(), 9);
        assert_eq!(one_line("012345 789 and on", 10), "012345 78…");
        assert_eq!(one_line("012345 789", 10), "012345 789");
        assert_eq!(one_line(&"ä".repeat(1_000), 9), "ääääääää…");
    }
}
