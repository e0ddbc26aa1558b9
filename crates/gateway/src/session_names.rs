//! What a client calls the sessions it speaks in.
//!
//! In what it is told of its turn, a client of protocol 3 looks for the session's key as it has sent
//! it. One of protocol 4 takes the key the gateway uses, so nothing is kept for it.

use std::collections::VecDeque;

use hatchery_protocol::SessionKey;

/// The most names kept for a connection. The oldest is forgotten first.
const MAX_NAMES: usize = 64;

/// The names a connection has used, each with the key of the session.
#[derive(Debug, Default)]
pub(crate) struct SessionNames(VecDeque<(SessionKey, String)>);

impl SessionNames {
    /// From now on the session has this name.
    pub(crate) fn keep(&mut self, key: &SessionKey, name: &str) {
        self.0.retain(|(known, _)| known != key);
        if name == key.as_str() {
            return;
        }
        if self.0.len() == MAX_NAMES {
            self.0.pop_front();
        }
        self.0.push_back((key.clone(), name.to_owned()));
    }

    /// What the session with this key is called, if it is not by its key.
    pub(crate) fn of(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known.as_str() == key).map(|(_, name)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use hatchery_protocol::SessionKey;

    use super::{MAX_NAMES, SessionNames};

    fn key(number: usize) -> SessionKey {
        SessionKey::new(format!("agent:main:dashboard:{number}"))
    }

    #[test]
    fn the_last_name_of_a_session_counts_until_it_is_called_by_its_key() {
        let mut names = SessionNames::default();
        names.keep(&key(1), "one");
        names.keep(&key(1), "dashboard:1");
        assert_eq!(names.of(key(1).as_str()), Some("dashboard:1"));
        assert_eq!(names.of(key(2).as_str()), None);
        names.keep(&key(1), key(1).as_str());
        assert_eq!(names.of(key(1).as_str()), None);
    }

    #[test]
    fn the_oldest_of_too_many_names_is_forgotten() {
        let mut names = SessionNames::default();
        for number in 0..=MAX_NAMES {
            names.keep(&key(number), "name");
        }
        assert_eq!(names.of(key(0).as_str()), None);
        assert_eq!(names.of(key(1).as_str()), Some("name"));
        assert_eq!(names.of(key(MAX_NAMES).as_str()), Some("name"));
    }
}
