//! Finding a gateway again after the connection to it broke: it was restarted, or killed.

use std::time::Duration;

use hatchery_protocol::SessionId;
use tokio::time::Instant;

use crate::attach::{Attached, Purpose, attach, attach_to_running};

/// How long a gateway is looked for before the command looks into the journal itself.
const PATIENCE: Duration = Duration::from_secs(30);

/// The first pause between two looks, and the longest; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A connection to the gateway that is there again. Where none comes within [`PATIENCE`] of
/// `since`, one from within, which knows how things ended; `None` where that is impossible too.
pub(super) async fn find_again(since: Instant) -> Option<Attached> {
    let found = keep_looking(since, async || match attach_to_running().await {
        Ok(client) => client,
        Err(failure) => {
            tracing::debug!("the gateway is not there yet: {failure}");
            None
        }
    });
    if let Some(client) = found.await {
        return Some(Attached { client, host: None });
    }
    match attach(Purpose::Look).await {
        Ok(attached) => Some(attached),
        Err(failure) => {
            eprintln!("hatchery: {failure}");
            None
        }
    }
}

/// Looks again and again, at least once, with longer pauses each time, within bounds.
async fn keep_looking<T>(since: Instant, mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let mut pause = FIRST_PAUSE;
    loop {
        // The first pause comes first: a connection breaks a moment before its door is closed.
        tokio::time::sleep(pause).await;
        if let Some(found) = look().await {
            return Some(found);
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
        if Instant::now() + pause > since + PATIENCE {
            return None;
        }
    }
}

/// The command that shows the rest of a run.
pub(super) fn later(session: &SessionId, seen: u64) -> String {
    match seen {
        0 => format!("hatchery sessions attach {session}"),
        seen => format!("hatchery sessions attach {session} --after {seen}"),
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::{LONGEST_PAUSE, PATIENCE, keep_looking};

    #[tokio::test(start_paused = true)]
    async fn a_gateway_is_looked_for_until_it_is_found_or_time_is_up() {
        let began = Instant::now();
        let mut looks = 0;
        let found = keep_looking(began, async || {
            looks += 1;
            (looks == 4).then_some(looks)
        });
        assert_eq!(found.await, Some(4));
        assert!(began.elapsed() < LONGEST_PAUSE);

        let began = Instant::now();
        assert_eq!(keep_looking(began, async || None::<()>).await, None);
        assert!(began.elapsed() <= PATIENCE && began.elapsed() > PATIENCE - LONGEST_PAUSE);
    }
}
