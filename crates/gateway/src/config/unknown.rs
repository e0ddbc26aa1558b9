//! The known key somebody probably meant.

use super::schema::{ANY, KEYS, Named, children, join};

/// The known key nearest to `name` in a section (in the table's spelling, and at its real path): first at its own level, where small slips are
/// forgiven; then a key of that very name anywhere else, for one that stands at the wrong level.
pub(crate) fn nearest(section: &str, path: &str, name: &str) -> Option<String> {
    let wanted = name.to_lowercase();
    let here = children(section).into_iter().filter(|known| *known != ANY);
    let close = here
        .map(|known| (strsim::damerau_levenshtein(&wanted, &known.to_lowercase()), known))
        .filter(|(slips, _)| *slips <= 1 + wanted.chars().count() / 4)
        .min_by_key(|(slips, _)| *slips);
    if let Some((_, known)) = close {
        return Some(join(path, known));
    }
    let elsewhere = KEYS.iter().find(|key| {
        key.path.rsplit('.').next().is_some_and(|last| last.eq_ignore_ascii_case(name))
    });
    elsewhere.map(|key| match Named::within(key.path) {
        Some(named) => key.path.replace(ANY, named.placeholder()),
        None => key.path.to_owned(),
    })
}
