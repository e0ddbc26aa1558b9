//! Callers: who stands behind a request.

use std::collections::BTreeSet;

use hatchery_protocol::{Role, Scope};
use serde::{Deserialize, Serialize};

use crate::Grant;

/// Who stands behind a request, as a door has established it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A person or program of the same user on this machine, known by the kernel's word.
    Owner,
    /// Somebody who came over the network.
    Device(DeviceCaller),
    /// A run, by its handle inside the process or by a ticket from outside.
    Run(Grant),
}

/// Somebody who came over the network and was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceCaller {
    /// The device, where it showed a device key. Without one the caller is only as lasting as its
    /// connection.
    pub device: Option<DeviceId>,
    /// As what it is connected.
    pub role: Role,
    /// What it may do: what it asked for and was granted.
    pub scopes: BTreeSet<Scope>,
    /// How logs and lists name it: its program, as it says itself.
    pub client: String,
}

/// A device's id: the SHA-256 of its raw public key, in lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeviceId(String);

impl DeviceId {
    /// Takes an id that a door has checked, or that a store has kept.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Enough of it for people to tell devices apart.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl std::fmt::Display for DeviceId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Caller {
    /// What the caller may do.
    pub fn scopes(&self) -> impl Iterator<Item = Scope> + '_ {
        Scope::ALL.into_iter().filter(move |scope| match self {
            Self::Owner => true,
            Self::Device(device) => device.scopes.contains(scope),
            Self::Run(grant) => grant.scopes().contains(scope),
        })
    }

    /// As what it is connected.
    #[must_use]
    pub fn role(&self) -> Role {
        match self {
            Self::Owner | Self::Run(_) => Role::Operator,
            Self::Device(device) => device.role,
        }
    }

    /// The run's grant, where the caller is a run.
    #[must_use]
    pub fn grant(&self) -> Option<&Grant> {
        match self {
            Self::Owner | Self::Device(_) => None,
            Self::Run(grant) => Some(grant),
        }
    }

    /// The device, where the caller is one that showed a key.
    #[must_use]
    pub fn device(&self) -> Option<&DeviceId> {
        match self {
            Self::Device(device) => device.device.as_ref(),
            Self::Owner | Self::Run(_) => None,
        }
    }

    /// Whether the owner stands behind it: directly, or as the one whose tree the run belongs to.
    /// What a device starts is the device's, however deep.
    #[must_use]
    pub fn is_of_the_owner(&self) -> bool {
        match self {
            Self::Owner => true,
            Self::Device(_) => false,
            Self::Run(grant) => grant.is_of_the_owner(),
        }
    }

    /// How deep the caller stands: 0 for the owner and for devices.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.grant().map_or(0, Grant::depth)
    }

    /// How the journal names the caller.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Owner => "owner".to_owned(),
            Self::Device(DeviceCaller { device: Some(device), client, .. }) => {
                format!("device {} ({client})", device.short())
            }
            Self::Device(DeviceCaller { device: None, client, .. }) => {
                format!("a client without a device key ({client})")
            }
            Self::Run(grant) => format!("run {} in {}", grant.run(), grant.session()),
        }
    }
}
