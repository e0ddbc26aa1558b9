//! Requests of ours that have no answer yet.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::oneshot;

use super::rpc::RpcError;

type Answer = Result<Value, RpcError>;

/// Requests of ours that have no answer yet. Once closed it stays empty: everybody who waits
/// learns at once that no answer will come.
#[derive(Debug, Default)]
pub(crate) struct Pending(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    closed: bool,
    last_id: u64,
    waiting: HashMap<u64, oneshot::Sender<Answer>>,
}

impl Pending {
    /// Reserves an id; none once the other side is gone.
    pub(crate) fn register(&self) -> Option<(u64, oneshot::Receiver<Answer>)> {
        let mut state = self.lock();
        if state.closed {
            return None;
        }
        state.last_id += 1;
        let id = state.last_id;
        let (sender, receiver) = oneshot::channel();
        state.waiting.insert(id, sender);
        Some((id, receiver))
    }

    /// Hands an answer to whoever waits for it. False where nobody does.
    pub(crate) fn resolve(&self, id: &Value, answer: Answer) -> bool {
        let sender = id.as_u64().and_then(|id| self.lock().waiting.remove(&id));
        sender.is_some_and(|sender| sender.send(answer).is_ok())
    }

    /// Takes back a request nobody waits for any more.
    pub(crate) fn forget(&self, id: u64) {
        self.lock().waiting.remove(&id);
    }

    /// Fails everything that waits and everything to come.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.waiting.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};

    use super::Pending;

    #[tokio::test]
    async fn an_answer_finds_whoever_asked_and_nobody_else() {
        let pending = Pending::default();
        let (first, wait_first) = pending.register().unwrap();
        let (second, wait_second) = pending.register().unwrap();
        assert!(pending.resolve(&json!(second), Ok(json!("b"))));
        assert!(pending.resolve(&json!(first), Ok(json!("a"))));
        assert_eq!(wait_first.await.unwrap(), Ok(json!("a")));
        assert_eq!(wait_second.await.unwrap(), Ok(json!("b")));
        for id in [json!(first), json!(99), json!("1"), json!(-1), Value::Null] {
            assert!(!pending.resolve(&id, Ok(Value::Null)), "{id}");
        }
    }

    #[tokio::test]
    async fn closing_fails_what_waits_and_what_comes() {
        let pending = Pending::default();
        let (_, wait) = pending.register().unwrap();
        pending.close();
        assert!(wait.await.is_err());
        assert!(pending.register().is_none());
    }
}
