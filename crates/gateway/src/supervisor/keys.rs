//! The names clients give their messages: the same name is the same message.
//!
//! The journal knows every name that was ever used. This knows those that the journal may not
//! know yet, or may not have known when it was asked.

use std::collections::{BTreeMap, VecDeque};

use hatchery_protocol::SessionId;

/// How many names are remembered after their message is done with. The journal knows a name long
/// before so many others have come and gone.
const REMEMBERED: usize = 1_000;

/// The names of messages that are being answered, or were a moment ago.
#[derive(Debug, Default)]
pub(super) struct MessageKeys {
    live: BTreeMap<String, SessionId>,
    done: VecDeque<(String, SessionId)>,
}

impl MessageKeys {
    /// Takes a name; gives the session that has it already, where one has.
    pub(super) fn take(&mut self, key: &str, session: &SessionId) -> Result<(), SessionId> {
        let done = self.done.iter().find(|(done, _)| done == key).map(|(_, session)| session);
        if let Some(session) = self.live.get(key).or(done) {
            return Err(session.clone());
        }
        self.live.insert(key.to_owned(), session.clone());
        Ok(())
    }

    /// The message was never taken on: its name is free.
    pub(super) fn give_back(&mut self, key: &str) {
        self.live.remove(key);
    }

    /// The message is done with.
    pub(super) fn finish(&mut self, key: &str) {
        let Some(session) = self.live.remove(key) else { return };
        self.done.push_back((key.to_owned(), session));
        if self.done.len() > REMEMBERED {
            self.done.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use hatchery_protocol::SessionId;

    use super::{MessageKeys, REMEMBERED};

    #[test]
    fn a_name_is_taken_once_and_stays_taken_until_it_is_given_back() {
        let (one, two) = (SessionId::main(), SessionId::new("sess_two".to_owned()));
        let mut keys = MessageKeys::default();
        assert_eq!(keys.take("a", &one), Ok(()));
        assert_eq!(keys.take("a", &two), Err(one.clone()));
        keys.finish("a");
        assert_eq!(keys.take("a", &two), Err(one.clone()));
        assert_eq!(keys.take("b", &two), Ok(()));
        keys.give_back("b");
        assert_eq!(keys.take("b", &one), Ok(()));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut keys = MessageKeys::default();
        for number in 0..=REMEMBERED {
            let key = number.to_string();
            assert_eq!(keys.take(&key, &SessionId::main()), Ok(()));
            keys.finish(&key);
        }
        assert!(keys.take("1", &SessionId::main()).is_err());
        assert_eq!(keys.take("0", &SessionId::main()), Ok(()));
    }
}
