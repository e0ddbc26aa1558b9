//! Who started a run, as the journal keeps it: so that an accepted run can begin after a restart
//! with the authority it was accepted with, and never with more.
//!
//! Only the supervisor turns a record back into a [`Caller`], and only with records from the
//! journal, whose entries are chained by a keyed hash.

use std::collections::BTreeSet;
use std::path::PathBuf;

use hatchery_protocol::{AgentId, Role, RunId, Scope, SessionId};
use serde::{Deserialize, Serialize};

use crate::caller::DeviceCaller;
use crate::{Caller, DeviceId, Grant};

/// A caller, written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum CallerRecord {
    /// The owner.
    Owner,
    /// A device.
    Device {
        /// The device, where it showed a key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        device: Option<DeviceId>,
        /// As what it was connected.
        role: Role,
        /// What it could do.
        scopes: BTreeSet<Scope>,
        /// Its program, as it says itself.
        client: String,
    },
    /// A run, with the authority it had.
    Run(Box<GrantRecord>),
}

/// A grant, written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GrantRecord {
    pub(crate) run: RunId,
    pub(crate) session: SessionId,
    pub(crate) agent: AgentId,
    pub(crate) scopes: BTreeSet<Scope>,
    pub(crate) depth: u32,
    pub(crate) max_depth: u32,
    pub(crate) workspace: PathBuf,
    pub(crate) max_descendants: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at_ms: Option<u64>,
    pub(crate) of_the_owner: bool,
}

impl From<&Caller> for CallerRecord {
    fn from(caller: &Caller) -> Self {
        match caller {
            Caller::Owner => Self::Owner,
            Caller::Device(DeviceCaller { device, role, scopes, client }) => Self::Device {
                device: device.clone(),
                role: *role,
                scopes: scopes.clone(),
                client: client.clone(),
            },
            Caller::Run(grant) => Self::Run(Box::new(grant.record())),
        }
    }
}

impl CallerRecord {
    /// Whether the owner stands behind it, directly or at the top of the tree it belongs to.
    #[must_use]
    pub fn is_of_the_owner(&self) -> bool {
        match self {
            Self::Owner => true,
            Self::Device { .. } => false,
            Self::Run(record) => record.of_the_owner,
        }
    }

    /// The caller as it was. What was taken from it since is for the supervisor to find out.
    #[must_use]
    pub fn restore(self) -> Caller {
        match self {
            Self::Owner => Caller::Owner,
            Self::Device { device, role, scopes, client } => {
                Caller::Device(DeviceCaller { device, role, scopes, client })
            }
            Self::Run(record) => Caller::Run(Grant::restored(*record)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;

    use hatchery_protocol::{AgentId, Role, RunId, Scope, SessionId};

    use super::CallerRecord;
    use crate::{Caller, ChildFacts, DeviceCaller, DeviceId, Grant};

    #[test]
    fn a_caller_is_the_same_after_it_was_written_down() {
        let device = Caller::Device(DeviceCaller {
            device: Some(DeviceId::new("abc".to_owned())),
            role: Role::Operator,
            scopes: BTreeSet::from([Scope::Read, Scope::Write]),
            client: "tui".to_owned(),
        });
        let facts = ChildFacts {
            run: RunId::new("r".to_owned()),
            session: SessionId::new("sess_r".to_owned()),
            agent: AgentId::main(),
            max_depth: 2,
            workspace: "/w".into(),
            max_descendants: 3,
            expires_at_ms: Some(7),
        };
        let run = Caller::Run(Grant::for_child(&device, facts));
        for caller in [Caller::Owner, device, run] {
            let text = serde_json::to_string(&CallerRecord::from(&caller)).unwrap();
            let read: CallerRecord = serde_json::from_str(&text).unwrap();
            assert_eq!(read.is_of_the_owner(), caller.is_of_the_owner());
            assert_eq!(read.restore(), caller, "{text}");
        }
    }
}
