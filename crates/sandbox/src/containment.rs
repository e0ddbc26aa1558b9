//! What a tree is held by.

use serde::{Deserialize, Serialize};

use crate::identity::ProcessIdentity;

/// What a tree may be held by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Containment {
    /// A PID namespace wherever the kernel allows one and the program loses nothing by it, else
    /// its keeper alone. An ordinary user gets one only without network: it takes a user
    /// namespace, in which set-user-ID programs gain nothing, as then they do not anyway.
    Auto,
    /// A PID namespace wherever the kernel allows one, also if set-user-ID programs gain nothing
    /// there.
    Namespace,
    /// Its keeper alone.
    NoNamespace,
}

/// What a tree is held by, the strongest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// A PID namespace. The kernel kills all of it at once when its first process ends, and that
    /// one ends with the keeper.
    Namespace {
        /// The first process of the namespace, a part of the keeper.
        init: ProcessIdentity,
    },
    /// The keeper adopts every orphan and kills what it sees until the kernel shows nobody. A
    /// keeper that is killed together with its gateway can leave somebody behind.
    Keeper,
}
