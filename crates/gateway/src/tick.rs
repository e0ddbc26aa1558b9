//! A sign of life for every connection.

use std::sync::Arc;
use std::time::Duration;

use hatchery_protocol::event;
use serde_json::json;
use tokio::time::MissedTickBehavior;

use crate::clock::now_ms;
use crate::hub::{Audience, Hub};

/// How often every connection hears a sign of life. Clients take twice this silence for the end of
/// the connection (OpenClaw protocol §1.8).
pub(crate) const TICK_INTERVAL: Duration = Duration::from_secs(30);

/// Ticks until the task is ended.
pub(crate) async fn tick(hub: Arc<Hub>) {
    let mut clock =
        tokio::time::interval_at(tokio::time::Instant::now() + TICK_INTERVAL, TICK_INTERVAL);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        hub.tell(&Audience::Everyone, event::TICK, json!({"ts": now_ms()}));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;
    use std::sync::Arc;

    use hatchery_access::Caller;

    use super::{TICK_INTERVAL, tick};
    use crate::hub::{Hub, Joining};
    use crate::outbox::{Content, Outbox};
    use crate::presence::Seen;

    #[tokio::test(start_paused = true)]
    async fn everybody_hears_a_tick_every_interval() {
        let hub = Arc::new(Hub::default());
        let (outbox, mut waiting) = Outbox::new();
        let joining = Joining {
            caller: Caller::Owner,
            by_secret: false,
            by_own_token: false,
            caps: BTreeSet::new(),
            commands: BTreeSet::new(),
            outbox,
            is_pinged: false,
            seen: Seen::default(),
        };
        hub.join(1, joining);
        let ticking = tokio::spawn(tick(hub));
        let began = tokio::time::Instant::now();
        for count in 1..=3 {
            let outgoing = waiting.queue.recv().await.unwrap();
            let Content::Event(event) = outgoing.content else { panic!("{outgoing:?}") };
            assert!(event.body.starts_with(br#"{"type":"event","event":"tick","payload":{"ts":"#));
            assert_eq!(began.elapsed(), TICK_INTERVAL * count);
        }
        ticking.abort();
    }
}
