//! The devices that are known, while the gateway runs.

use hatchery_access::connect::{Admission, Arrival, DoorPolicy, admit_device};
use hatchery_access::pairing::{FreshToken, PairingState};
use tokio::sync::Mutex;

use crate::clock::now_ms;

/// The devices that are known.
#[derive(Debug)]
pub(crate) struct PairingService {
    state: Mutex<PairingState>,
}

impl PairingService {
    pub(crate) fn new() -> Self {
        Self { state: Mutex::new(PairingState::new([0; 32], [])) }
    }

    /// Decides about somebody who connects.
    pub(crate) async fn connect(&self, arrival: &Arrival<'_>, policy: &DoorPolicy) -> Admission {
        let mut random = [0; 32];
        if let Err(error) = getrandom::fill(&mut random) {
            tracing::error!("no token can be made: {error}");
        }
        let fresh = FreshToken::from_random(random);
        let mut state = self.state.lock().await;
        let admission = admit_device(&state, arrival, policy, fresh, now_ms());
        let events = match &admission {
            Admission::Admitted(admitted) => admitted.events.as_slice(),
            Admission::Pending(pending) => pending.events.as_slice(),
            Admission::Refused(_) => &[],
        };
        for event in events {
            state.apply(event);
        }
        admission
    }
}
