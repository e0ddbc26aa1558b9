//! Scopes: the coarse authorities of the wire.

use serde::{Deserialize, Serialize};

/// What a caller may do, in the wire's own terms (OpenClaw protocol §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// Everything, including the gateway's own life and settings.
    #[serde(rename = "operator.admin")]
    Admin,
    /// Look.
    #[serde(rename = "operator.read")]
    Read,
    /// Start, steer and stop runs.
    #[serde(rename = "operator.write")]
    Write,
}

impl Scope {
    /// The scope's name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "operator.admin",
            Self::Read => "operator.read",
            Self::Write => "operator.write",
        }
    }

    /// Reads a scope's name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Admin, Self::Read, Self::Write].into_iter().find(|scope| scope.as_str() == text)
    }
}
