//! Which gateway is measured, and as whom.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hatchery_access::DeviceKey;

use crate::failure::Failure;

/// A gateway that speaks the wire, and the device it is asked as.
pub(crate) struct Target {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Its shared token.
    pub(crate) token: String,
    /// The device that connects, on this machine and with the token.
    pub(crate) key: Arc<DeviceKey>,
    sessions: AtomicU64,
}

impl Target {
    /// A gateway at this address with this token.
    pub(crate) fn new(address: SocketAddr, token: String) -> Result<Self, Failure> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| Failure::Wrong {
            what: "drawing a device key".to_owned(),
            how: error.to_string(),
        })?;
        let key = Arc::new(DeviceKey::from_seed(seed));
        Ok(Self { address, token, key, sessions: AtomicU64::new(0) })
    }

    /// A number that no session of this run has yet.
    pub(crate) fn next_session(&self) -> u64 {
        self.sessions.fetch_add(1, Ordering::Relaxed)
    }
}
