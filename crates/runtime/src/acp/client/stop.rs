//! Seeing an agent off: after its turn, or because somebody cancelled it.
//!
//! This runs beside the conversation and not in it, so that nothing in the conversation, a slow
//! observer for one, can hold a cancel up. It asks before it kills, and every wait ends.

use std::convert::Infallible;

use hatchery_agent::Cancel;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Duration, timeout};

use crate::AcpDeadlines;
use crate::acp::peer::Peer;
use crate::acp::wire::CANCEL;

/// How long an agent may take to end where whoever cancelled must go itself.
const SHORT_GRACE: Duration = Duration::from_millis(200);

/// How far the conversation is.
pub(crate) struct Phase(watch::Sender<State>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// There is no turn to cancel yet.
    Opening,
    /// A turn runs in the session of this name.
    Prompting(String),
    /// There is nothing more to be had from the agent.
    Over,
}

impl Phase {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(State::Opening))
    }

    /// The prompt was sent.
    pub(crate) fn prompting(&self, session: &str) {
        self.0.send_replace(State::Prompting(session.to_owned()));
    }

    /// The turn has ended, or cannot begin.
    pub(crate) fn over(&self) {
        self.0.send_replace(State::Over);
    }

    async fn until_over(&self) {
        // There is a sender: `self`.
        drop(self.0.subscribe().wait_for(|state| *state == State::Over).await);
    }
}

/// Waits for the turn's end or a cancel, and sees the agent off. Never returns: the end of the
/// agent's tree is for others to notice. `stop` ends the tree within the grace it is given.
pub(crate) async fn see_off(
    peer: &Peer,
    phase: &Phase,
    stop: impl Fn(Duration),
    deadlines: &AcpDeadlines,
    cancel: &Cancel,
) -> Infallible {
    let hurried = async {
        cancel.cancelled_now().await;
        stop(SHORT_GRACE);
        std::future::pending::<Infallible>().await
    };
    let orderly = async {
        tokio::select! {
            biased;
            () = phase.until_over() => {}
            () = cancel.cancelled() => end_turn(peer, phase, deadlines).await,
        }
        // A well-behaved agent ends by itself once nobody can say anything to it any more.
        if *phase.0.borrow() == State::Over
            && timeout(deadlines.exit, async {
                peer.close().await;
                std::future::pending::<()>().await;
            })
            .await
            .is_err()
        {
            tracing::debug!("the agent did not end by itself");
        }
        stop(deadlines.terminate);
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        never = hurried => never,
        never = orderly => never,
    }
}

/// Asks the agent to end its turn, and gives it time to. Where no turn runs there is nothing
/// worth waiting for.
async fn end_turn(peer: &Peer, phase: &Phase, deadlines: &AcpDeadlines) {
    let State::Prompting(session) = phase.0.borrow().clone() else { return };
    let ask = async {
        peer.notify(CANCEL, &json!({ "sessionId": session })).await;
        phase.until_over().await;
    };
    if timeout(deadlines.cancel, ask).await.is_err() {
        tracing::debug!("the agent did not end its turn");
    }
}
