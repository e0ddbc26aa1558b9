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
