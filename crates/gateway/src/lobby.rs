//! Those who are at the door and have not yet said who they are.
//!
//! Strangers may open sockets and never speak. Their sockets are limited in number, from one
//! address and together, and when there is no room the oldest one has to go: somebody who means it
//! is through the door in milliseconds.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// How many sockets from one address may wait to be let in. A hundred programs of one machine that
/// start together find room.
pub(crate) const MAX_FROM_ONE_ADDRESS: usize = 128;

/// How many may wait together.
pub(crate) const MAX_TOGETHER: usize = 1_024;

/// How long a socket is safe from those who come after it.
const SAFE: Duration = Duration::from_millis(500);

/// The sockets of those who have not yet said who they are.
#[derive(Debug, Default)]
pub(crate) struct Lobby {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// By number, and so by age.
    places: BTreeMap<u64, Arc<Entry>>,
    next: u64,
}

#[derive(Debug)]
struct Entry {
    from: IpAddr,
    since: Instant,
    sent_away: AtomicBool,
    told: Notify,
}

/// A place in the lobby, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct PlaceInLobby {
    lobby: Arc<Lobby>,
    number: u64,
    entry: Arc<Entry>,
}

/// There is no room for one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Lobby {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Every change is complete before anything can panic.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a socket from this address, an older one's if need be. Somebody who
    /// speaks for many, as a trusted proxy does, is limited only together with all others.
    pub(crate) fn enter(
        self: &Arc<Self>,
        from: IpAddr,
        for_many: bool,
    ) -> Result<PlaceInLobby, Full> {
        let from = household(from);
        let now = Instant::now();
        let mut waiting = self.waiting();
        let of_same = waiting.places.values().filter(|entry| entry.from == from).count();
        if !for_many && of_same >= MAX_FROM_ONE_ADDRESS {
            waiting.make_room(now, |entry| entry.from == from)?;
        } else if waiting.places.len() >= MAX_TOGETHER {
            waiting.make_room(now, |_| true)?;
        }
        let number = waiting.next;
        waiting.next += 1;
        let entry = Arc::new(Entry {
            from,
            since: now,
            sent_away: AtomicBool::new(false),
            told: Notify::new(),
        });
        waiting.places.insert(number, Arc::clone(&entry));
        Ok(PlaceInLobby { lobby: Arc::clone(self), number, entry })
    }
}

impl Waiting {
    /// Sends the oldest of those away, if it is old enough.
    fn make_room(&mut self, now: Instant, of: impl Fn(&Entry) -> bool) -> Result<(), Full> {
        let oldest = self.places.iter().find(|(_, entry)| of(entry));
        let Some((number, entry)) = oldest else { return Err(Full) };
        if now.duration_since(entry.since) < SAFE {
            return Err(Full);
        }
        entry.sent_away.store(true, Ordering::Relaxed);
        entry.told.notify_one();
        let number = *number;
        self.places.remove(&number);
        Ok(())
    }
}

impl PlaceInLobby {
    /// Returns once the socket has to make room.
    pub(crate) async fn sent_away(&self) {
        while !self.entry.sent_away.load(Ordering::Relaxed) {
            self.entry.told.notified().await;
        }
    }
}

impl Drop for PlaceInLobby {
    fn drop(&mut self) {
        self.lobby.waiting().places.remove(&self.number);
    }
}

/// What counts as one address: an IPv4 address, also where it is written as IPv6, or the network a
/// single IPv6 customer has.
fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::IpAddr;
    use std::sync::Arc;

    use super::{Full, Lobby, MAX_FROM_ONE_ADDRESS, MAX_TOGETHER, SAFE};

    fn address(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_makes_room_once_it_had_its_time() {
        let lobby = Arc::new(Lobby::default());
        let places: Vec<_> =
            (0..MAX_FROM_ONE_ADDRESS).map(|_| lobby.enter(address(1), false).unwrap()).collect();
        assert_eq!(lobby.enter(address(1), false).unwrap_err(), Full);
        let _other = lobby.enter(address(2), false).unwrap();
        let mapped = "::ffff:10.0.0.1".parse().unwrap();
        assert_eq!(lobby.enter(mapped, false).unwrap_err(), Full);
        tokio::time::advance(SAFE).await;
        let _newest = lobby.enter(mapped, false).unwrap();
        places[0].sent_away().await;
        assert_eq!(lobby.waiting().places.len(), MAX_FROM_ONE_ADDRESS + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn many_addresses_share_a_limit_and_places_are_given_back() {
        let lobby = Arc::new(Lobby::default());
        let mut places: Vec<_> =
            (0..MAX_TOGETHER).map(|_| lobby.enter(address(1), true).unwrap()).collect();
        assert_eq!(lobby.enter(address(2), false).unwrap_err(), Full);
        places.pop();
        lobby.enter(address(2), false).unwrap();
    }

    #[test]
    fn one_ipv6_customer_is_one_address() {
        let household = |text: &str| super::household(text.parse().unwrap());
        assert_eq!(household("2001:db8::1"), household("2001:db8::ffff:1"));
        assert_ne!(household("2001:db8::1"), household("2001:db8:0:1::1"));
    }
}
