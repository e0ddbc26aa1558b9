//! What is known of somebody who connects, before anything is decided.

use std::collections::BTreeSet;
use std::net::IpAddr;

use hatchery_protocol::{ConnectAuth, ConnectParams, ProtocolVersion, Role, Scope, Secret};

use crate::DeviceId;
use crate::pairing::PublicKey;

/// What is known of somebody who connects. All but `params` is what the gateway found out.
#[derive(Clone, Debug)]
pub struct Arrival<'a> {
    /// What the client says and asks.
    pub params: &'a ConnectParams,
    /// The version of the wire that was settled on.
    pub version: ProtocolVersion,
    /// The device key it proved to hold. A proof that failed never comes as far as here.
    pub device: Option<ProvenDevice>,
    /// Whence it comes: the socket's address, or what a trusted proxy says.
    pub address: IpAddr,
    /// Whether the socket itself comes from this machine and no forwarding header is on it.
    pub direct_loopback: bool,
    /// Whether it came through a proxy.
    pub via_proxy: bool,
    /// The page it comes from, where it is a browser. It was checked already.
    pub origin: Option<&'a str>,
    /// What came of the shared secret.
    pub shared: SharedProof,
}

/// A device that has proved to hold its key, over this connection's own nonce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenDevice {
    /// The device.
    pub id: DeviceId,
    /// Its key.
    pub key: PublicKey,
}

/// What came of the shared secret, or of what stands in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SharedProof {
    /// The shared token was right.
    Token,
    /// The shared password was right.
    Password,
    /// The gateway asks for no secret (`gateway.auth.mode: "none"`), so nothing is proved.
    Open,
    /// A trusted proxy vouches for who it is. What the person may do is not the proxy's to say.
    Proxy {
        /// The person.
        user: String,
    },
    /// It was not right, or not there.
    Failed(SharedFailure),
}

/// Why the shared secret did not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SharedFailure {
    /// The gateway wants a token and none was shown.
    TokenMissing,
    /// The token that was shown is wrong.
    TokenMismatch,
    /// The gateway wants a token and has none.
    TokenNotConfigured,
    /// The gateway wants a password and none was shown.
    PasswordMissing,
    /// The password that was shown is wrong.
    PasswordMismatch,
    /// The gateway wants a password and has none.
    PasswordNotConfigured,
    /// It did not come through a trusted proxy, or the proxy's headers are not there.
    ProxyIdentityMissing,
    /// The proxy names nobody, or nobody who is allowed.
    ProxyUserRefused,
}

impl SharedProof {
    /// Whether a secret was shown and right.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        matches!(self, Self::Token | Self::Password)
    }
}

impl Arrival<'_> {
    /// Whether it comes straight from this machine: nothing stands between, and no page sent it.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        self.direct_loopback && !self.via_proxy && self.origin.is_none()
    }

    /// Whether it is the owner by another way: straight from this machine, with the shared secret.
    #[must_use]
    pub fn is_owner_by_secret(&self) -> bool {
        self.is_direct() && self.shared.is_secret()
    }

    /// As what it wants to connect; `None` where there is no such role.
    pub(crate) fn role(&self) -> Option<Role> {
        self.params.role.as_deref().map_or(Some(Role::Operator), Role::parse)
    }

    /// What it asks for; `None` where it asks for nothing in particular. A scope that does not
    /// exist is not asked for, and a node has none.
    pub(crate) fn asked(&self, role: Role) -> Option<BTreeSet<Scope>> {
        match role {
            Role::Node => Some(BTreeSet::new()),
            Role::Operator => self
                .params
                .scopes
                .as_ref()
                .map(|scopes| scopes.iter().filter_map(|scope| Scope::parse(scope)).collect()),
        }
    }

    /// Something it shows, where it is there and not empty.
    pub(crate) fn shows<'s>(
        &'s self,
        which: impl Fn(&'s ConnectAuth) -> Option<&'s Secret>,
    ) -> Option<&'s Secret> {
        self.params.auth.as_ref().and_then(which).filter(|secret| !secret.is_empty())
    }

    /// Whether the client says it is that program in that use.
    pub(crate) fn says_it_is(&self, id: &str, mode: &str) -> bool {
        self.params.client.id == id && self.params.client.mode == mode
    }
}
