//! Whether the clients of the device door are still there.
//!
//! A network that dies says nothing: the other end is gone, and a socket to it looks as it did
//! before. So a client of which nothing was heard is pinged, which its WebSocket answers without
//! the program behind it, and after some silence it is given up. What a client is slow to take
//! counts as a sign of life; for that the writer has a limit of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::hub::Hub;
use crate::outbox::Closing;
use crate::websocket::frame;

/// How often a client of which nothing was heard meanwhile is asked for a sign of life.
pub const PULSE_INTERVAL: Duration = Duration::from_secs(30);

/// After how many such intervals of silence a client is given up.
const PATIENCE: u32 = 3;

/// The close code: what clients say themselves when they hear nothing more (OpenClaw protocol
/// §1.6).
const NO_SIGN_OF_LIFE: u16 = 4000;

/// Goes on until the task is ended.
pub(crate) async fn feel(hub: Arc<Hub>, interval: Duration) {
    let ping = frame::ping().freeze();
    let last_word = Closing::new(NO_SIGN_OF_LIFE, "no sign of life");
    let mut clock = interval_at(Instant::now() + interval, interval);
    // After a pause of this machine the others get their time to answer.
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        hub.feel_pulse(&ping, PATIENCE, &last_word);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;
    use std::sync::Arc;
    use std::time::Duration;

    use hatchery_access::Caller;
    use tokio::time::Instant;

    use super::{PATIENCE, PULSE_INTERVAL, feel};
    use crate::hub::{Hub, Joining};
    use crate::outbox::{Content, Outbox, Outgoing, Share, Waiting};
    use crate::presence::Seen;

    fn joined(is_pinged: bool) -> (Arc<Hub>, Outbox, Waiting) {
        let hub = Arc::new(Hub::default());
        let (outbox, waiting) = Outbox::new();
        let joining = Joining {
            caller: Caller::Owner,
            by_secret: false,
            by_own_token: false,
            caps: BTreeSet::new(),
            commands: BTreeSet::new(),
            outbox: outbox.clone(),
            is_pinged,
            seen: Seen::default(),
        };
        hub.join(1, joining);
        (hub, outbox, waiting)
    }

    /// What comes next, written at once.
    async fn next(waiting: &mut Waiting) -> Box<Outgoing> {
        let outgoing = waiting.queue.recv().await.unwrap();
        waiting.state.written(outgoing.content.len());
        outgoing
    }

    fn is_ping(outgoing: &Outgoing) -> bool {
        matches!(&outgoing.content, Content::Control(bytes) if bytes[..] == [0x89, 0])
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_no_sign_of_life_is_asked_and_then_given_up() {
        let (hub, _outbox, mut waiting) = joined(true);
        let began = Instant::now();
        let pulse = tokio::spawn(feel(hub, PULSE_INTERVAL));
        for _ in 1..PATIENCE {
            assert!(is_ping(&*next(&mut waiting).await));
        }
        let last = next(&mut waiting).await;
        let Content::Close(Some(closing)) = &last.content else { panic!("{last:?}") };
        assert_eq!((closing.code, &*closing.reason), (4000, "no sign of life"));
        assert_eq!(began.elapsed(), PULSE_INTERVAL * PATIENCE);
        // That is said once.
        tokio::time::sleep(PULSE_INTERVAL * 10).await;
        assert!(waiting.queue.try_recv().is_err());
        pulse.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn who_answers_pings_stays_however_long_it_says_nothing() {
        let (hub, outbox, mut waiting) = joined(true);
        let pulse = tokio::spawn(feel(hub, PULSE_INTERVAL));
        for _ in 0..100 {
            assert!(is_ping(&*next(&mut waiting).await));
            outbox.hear();
        }
        pulse.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_slow_to_take_what_it_is_told_or_is_not_read_from_stays() {
        for is_deaf in [false, true] {
            let (hub, outbox, mut waiting) = joined(true);
            if is_deaf {
                outbox.deafen(true);
            } else {
                outbox.put_line(bytes::Bytes::from_static(b"x"), Share::None).unwrap();
            }
            let pulse = tokio::spawn(feel(hub, PULSE_INTERVAL));
            tokio::time::sleep(PULSE_INTERVAL * 10 + Duration::from_secs(1)).await;
            pulse.abort();
            while let Ok(outgoing) = waiting.queue.try_recv() {
                assert!(!matches!(outgoing.content, Content::Close(_)), "{outgoing:?}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn where_the_system_says_when_the_other_end_is_gone_nobody_is_asked() {
        let (hub, _outbox, mut waiting) = joined(false);
        let pulse = tokio::spawn(feel(hub, PULSE_INTERVAL));
        tokio::time::sleep(PULSE_INTERVAL * 10).await;
        assert!(waiting.queue.try_recv().is_err());
        pulse.abort();
    }
}
