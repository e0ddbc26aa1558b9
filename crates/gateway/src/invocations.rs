//! What nodes were asked and have not answered: each question waits in memory, for one answer of
//! that very node on that very connection, in bounded time.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hatchery_access::{DeviceId, Refusal, Remedy};
use hatchery_protocol::ErrorCode;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::hub::ConnectionId;

/// How many questions wait at a time, and how many for one node.
const MAX_OPEN: usize = 256;
const MAX_OPEN_OF_ONE: usize = 32;

/// The questions that wait.
#[derive(Debug, Default)]
pub(crate) struct Invocations {
    open: Mutex<BTreeMap<String, Open>>,
}

#[derive(Debug)]
struct Open {
    node: DeviceId,
    connection: ConnectionId,
    answer: oneshot::Sender<NodeAnswer>,
}

/// What a node has answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum NodeAnswer {
    /// It did it.
    Done(Value),
    /// It did not.
    Failed { code: String, message: String },
}

impl Invocations {
    fn open(&self) -> MutexGuard<'_, BTreeMap<String, Open>> {
        // Every change is complete before anything can panic.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A question is about to be asked. The answer comes at the other end, which closes where the
    /// node goes without one.
    pub(crate) fn begin(
        &self,
        id: String,
        node: &DeviceId,
        connection: ConnectionId,
    ) -> Result<oneshot::Receiver<NodeAnswer>, Refusal> {
        let mut open = self.open();
        let of_one = open.values().filter(|open| open.node == *node).count();
        if open.len() >= MAX_OPEN || of_one >= MAX_OPEN_OF_ONE {
            return Err(Refusal::forbidden(
                "TOO_MANY_INVOCATIONS",
                "questions to nodes",
                "too many questions wait for an answer of nodes",
                Remedy::Advice("wait until some are answered".to_owned()),
            )
            .in_class(ErrorCode::Unavailable));
        }
        let (tell, told) = oneshot::channel();
        open.insert(id, Open { node: node.clone(), connection, answer: tell });
        Ok(told)
    }

    /// A node has answered. Says whether anybody waited for that.
    pub(crate) fn answered(
        &self,
        id: &str,
        node: &DeviceId,
        connection: ConnectionId,
        answer: NodeAnswer,
    ) -> bool {
        let mut open = self.open();
        let theirs =
            open.get(id).is_some_and(|open| open.node == *node && open.connection == connection);
        if !theirs {
            return false;
        }
        open.remove(id).is_some_and(|open| open.answer.send(answer).is_ok())
    }

    /// Nobody waits for the answer any more.
    pub(crate) fn given_up(&self, id: &str) {
        self.open().remove(id);
    }

    /// A connection is gone, and with it every answer that could have come on it.
    pub(crate) fn left(&self, connection: ConnectionId) {
        self.open().retain(|_, open| open.connection != connection);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use hatchery_access::DeviceId;
    use serde_json::json;

    use super::{Invocations, MAX_OPEN, MAX_OPEN_OF_ONE, NodeAnswer};

    fn node(name: &str) -> DeviceId {
        DeviceId::new(name.to_owned())
    }

    #[test]
    fn an_answer_counts_once_and_only_from_the_node_that_was_asked() {
        let invocations = Invocations::default();
        let mut told = invocations.begin("q".into(), &node("a"), 1).unwrap();
        let done = || NodeAnswer::Done(json!(1));
        for (id, name, connection) in [("q", "b", 1), ("q", "a", 2), ("other", "a", 1)] {
            assert!(!invocations.answered(id, &node(name), connection, done()));
        }
        assert!(told.try_recv().is_err());
        assert!(invocations.answered("q", &node("a"), 1, done()));
        assert_eq!(told.try_recv(), Ok(done()));
        assert!(!invocations.answered("q", &node("a"), 1, done()));
    }

    #[test]
    fn whoever_waits_hears_when_the_node_goes() {
        let invocations = Invocations::default();
        let told = invocations.begin("q".into(), &node("a"), 1).unwrap();
        let other = invocations.begin("r".into(), &node("a"), 2).unwrap();
        invocations.left(1);
        assert!(told.blocking_recv().is_err());
        assert!(invocations.answered("r", &node("a"), 2, NodeAnswer::Done(json!(1))));
        drop(other);
    }

    #[test]
    fn the_number_of_questions_is_bounded_and_room_comes_back() {
        let invocations = Invocations::default();
        let mut kept = Vec::new();
        for number in 0..MAX_OPEN_OF_ONE {
            kept.push(invocations.begin(format!("a{number}"), &node("a"), 1).unwrap());
        }
        assert!(invocations.begin("a-more".into(), &node("a"), 1).is_err());
        for number in MAX_OPEN_OF_ONE..MAX_OPEN {
            let name = format!("n{number}");
            kept.push(invocations.begin(name.clone(), &node(&name), 1).unwrap());
        }
        assert!(invocations.begin("more".into(), &node("new"), 1).is_err());
        invocations.given_up("a0");
        assert!(invocations.begin("more".into(), &node("new"), 1).is_ok());
    }
}
