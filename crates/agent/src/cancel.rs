//! The wish that something end before it is done.
//!
//! A cancel is a wish, not an ending: whoever holds the other end finishes its own way out, and
//! the turn reports how it ended. It only ever grows: it cannot be taken back.

use std::sync::Arc;

use tokio::sync::watch;

/// How much has been asked for so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wish {
    GoOn,
    Stop,
    StopNow,
}

/// A wish to stop that every clone shares.
#[derive(Clone, Debug)]
pub struct Cancel(Arc<watch::Sender<Wish>>);

impl Cancel {
    /// A fresh one: nobody has asked for anything yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Wish::GoOn)))
    }

    /// Asks for an orderly stop: programs get time to put their things away.
    pub fn cancel(&self) {
        self.raise(Wish::Stop);
    }

    /// Asks for a stop with next to no time to put things away, because the asker itself must
    /// go. Shortens a stop that is already under way.
    pub fn cancel_now(&self) {
        self.raise(Wish::StopNow);
    }

    /// Whether a stop of either kind was asked for.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow() >= Wish::Stop
    }

    /// Returns once a stop of either kind is asked for; at once where it already was.
    pub async fn cancelled(&self) {
        self.reached(Wish::Stop).await;
    }

    /// Returns once a stop without delay is asked for; at once where it already was.
    pub async fn cancelled_now(&self) {
        self.reached(Wish::StopNow).await;
    }

    fn raise(&self, wish: Wish) {
        self.0.send_if_modified(|current| {
            let raised = wish > *current;
            *current = wish.max(*current);
            raised
        });
    }

    async fn reached(&self, wish: Wish) {
        // An error would mean that no sender is left, and `self` is one.
        if self.0.subscribe().wait_for(|&current| current >= wish).await.is_err() {
            std::future::pending().await
        }
    }
}

impl Default for Cancel {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::Cancel;

    #[tokio::test]
    async fn every_clone_hears_of_it() {
        let cancel = Cancel::new();
        let clone = cancel.clone();
        assert!(!clone.is_cancelled());
        let ((), ()) = tokio::join!(clone.cancelled(), async { cancel.cancel() });
        assert!(clone.is_cancelled());
    }

    #[tokio::test]
    async fn a_wish_only_grows() {
        let cancel = Cancel::new();
        cancel.cancel_now();
        cancel.cancel();
        cancel.cancelled_now().await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_orderly_stop_is_not_an_urgent_one() {
        let cancel = Cancel::new();
        cancel.cancel();
        let wait = std::time::Duration::from_secs(3600);
        assert!(tokio::time::timeout(wait, cancel.cancelled_now()).await.is_err());
    }
}
