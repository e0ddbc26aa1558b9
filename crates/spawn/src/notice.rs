//! Results that are also told elsewhere, on a route that was named at the spawn.
//!
//! The inbox of a session always takes a result; the outside world may not. A notice is tried
//! again for half an hour, and is then visibly blocked until the owner retries or dismisses it.

use hatchery_protocol::SessionId;
use serde::{Deserialize, Serialize};

/// How long after a failed attempt the next one is made, in milliseconds. After the last of
/// these the notice is blocked.
const PAUSES_MS: [u64; 8] = [1_000, 5_000, 15_000, 60_000, 120_000, 300_000, 600_000, 700_000];

/// How long a blocked notice is kept before it is dismissed by itself, in milliseconds: 7 days.
pub const NOTICE_KEPT_MS: u64 = 7 * 24 * 60 * 60 * 1_000;

/// How many notices may be open (waiting or blocked) before no more routes are taken on.
pub const MAX_OPEN_NOTICES: usize = 1_000;

/// Where else a result is told, captured when the run is accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    /// What carries it: `webhook`, or the name of a chat channel.
    pub channel: String,
    /// To whom there: an address in the channel's own form.
    pub to: String,
}

/// A notice that is not delivered yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// Where it goes.
    pub route: Route,
    /// The session of the run it tells of.
    pub session: SessionId,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next, in milliseconds since 1970.
    pub due_at_ms: u64,
    /// Since when it is open, in milliseconds since 1970.
    pub since_ms: u64,
    /// Why it is not tried any more, once it is not.
    pub blocked: Option<String>,
}

/// When the next attempt is made after `attempts` have failed; none where there is no next.
#[must_use]
pub(crate) fn next_attempt(attempts: u32, now_ms: u64) -> Option<u64> {
    let at = usize::try_from(attempts).ok()?.checked_sub(1)?;
    PAUSES_MS.get(at).map(|pause| now_ms.saturating_add(*pause))
}

#[cfg(test)]
mod tests {
    use super::{PAUSES_MS, next_attempt};

    #[test]
    fn attempts_go_on_for_half_an_hour_and_come_to_an_end() {
        assert_eq!(next_attempt(1, 10), Some(1_010));
        assert_eq!(next_attempt(8, 0), Some(700_000));
        assert_eq!(next_attempt(9, 0), None);
        let minutes = PAUSES_MS.iter().sum::<u64>() / 60_000;
        assert_eq!(minutes, 30);
    }
}
