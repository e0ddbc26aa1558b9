//! What a run is at while it works, apart from what it prints.
//!
//! Everything told here has its bounds, whatever an agent says: whoever keeps it or shows it need
//! not cut it again.

use std::path::PathBuf;

use hatchery_agent::Usage;

/// The most characters of a step that are told.
const STEP_CHARACTERS: usize = 200;

/// What a run is at. Each is a sign of life too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It lives: it thinks, plans, goes on with a step, or says what nobody here understands.
    Alive,
    /// It has begun something, or calls it by another name now: `execute: npm test`. One line of
    /// at most 200 characters, without control characters.
    Step(String),
    /// A step is about this file. An absolute path of at most 1 KiB, and each only once; no more
    /// than 100 of a run are told.
    Touched(PathBuf),
    /// It waits for somebody's leave (`true`), or need not any longer (`false`). Silence in
    /// between is not the run's.
    Waiting(bool),
    /// What it has used up since it began. Whatever is told later replaces this.
    Spent(Spent),
}

/// What a run has used up since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Its tokens, where whoever counts them says so.
    pub tokens: Option<Usage>,
    /// Its cost in millionths of a US dollar, where its agent says so. No price is known here.
    pub micro_dollars: Option<u64>,
}

impl Progress {
    /// A step of this kind; none where its title has nothing to show.
    pub(crate) fn step(kind: &str, title: &str) -> Option<String> {
        let title = one_line(title, STEP_CHARACTERS);
        if title.is_empty() {
            return None;
        }
        Some(one_line(&format!("{kind}: {title}"), STEP_CHARACTERS))
    }
}

/// `text` as one line of at most `limit` characters, without what would move about whatever is
/// shown around it. What is cut off shows as `…`.
fn one_line(text: &str, limit: usize) -> String {
    let mut line = String::new();
    let mut count = 0;
    let mut gap = false;
    for character in text.chars() {
        if character.is_whitespace() || character.is_control() {
            gap = count > 0;
            continue;
        }
        if is_invisible(character) {
            continue;
        }
        let width = if gap { 2 } else { 1 };
        if count + width > limit {
            // One more fits always, in the place of the last one.
            if count == limit {
                line.pop();
            }
            line.push('…');
            break;
        }
        if std::mem::take(&mut gap) {
            line.push(' ');
        }
        line.push(character);
        count += width;
    }
    line
}

/// Characters that show nothing and turn the direction of what stands beside them.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::{Progress, STEP_CHARACTERS, one_line};

    #[test]
    fn a_step_is_one_line_without_control_characters() {
        for (title, step) in [
            ("npm test", Some("execute: npm test")),
            ("  a\n\tb \u{1b}[31mred\r\n", Some("execute: a b [31mred")),
            ("in\u{202e}verted", Some("execute: inverted")),
            ("", None),
            (" \n\u{7}\u{200b}", None),
        ] {
            assert_eq!(Progress::step("execute", title).as_deref(), step, "{title:?}");
        }
    }

    #[test]
    fn a_step_has_its_limit() {
        let fits = STEP_CHARACTERS - "execute: ".len();
        let step = Progress::step("execute", &"ä".repeat(fits)).unwrap_or_default();
        assert_eq!((step.chars().count(), step.ends_with('ä')), (STEP_CHARACTERS, true));
        let step = Progress::step("execute", &"ä".repeat(fits + 1)).unwrap_or_default();
        assert_eq!((step.chars().count(), step.ends_with("ä…")), (STEP_CHARACTERS, true));
    }

    #[test]
    fn a_line_is_cut_at_its_limit_and_not_before() {
        for (text, line) in [
            ("abcd", "abcd"),
            ("abcde", "abc…"),
            ("abc d", "abc…"),
            ("ab d ", "ab d"),
            ("abcd ", "abcd"),
        ] {
            assert_eq!(one_line(text, 4), line, "{text:?}");
        }
    }
}
