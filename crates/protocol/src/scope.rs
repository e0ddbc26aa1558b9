//! Roles and scopes: the coarse authorities of the wire.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a caller may do, in the wire's own terms (OpenClaw protocol §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// Everything, including the gateway's own life and settings.
    #[serde(rename = "operator.admin")]
    Admin,
    /// Answer questions of runs that want to do something dangerous.
    #[serde(rename = "operator.approvals")]
    Approvals,
    /// Let devices and nodes in, and put them out.
    #[serde(rename = "operator.pairing")]
    Pairing,
    /// Answer questions of agents.
    #[serde(rename = "operator.questions")]
    Questions,
    /// Look.
    #[serde(rename = "operator.read")]
    Read,
    /// Look at sessions.
    #[serde(rename = "operator.sessions.read")]
    SessionsRead,
    /// Change sessions.
    #[serde(rename = "operator.sessions.write")]
    SessionsWrite,
    /// Talk by voice.
    #[serde(rename = "operator.talk")]
    Talk,
    /// See the secrets that voice needs.
    #[serde(rename = "operator.talk.secrets")]
    TalkSecrets,
    /// Start, steer and stop runs.
    #[serde(rename = "operator.write")]
    Write,
}

impl Scope {
    /// Every scope there is.
    pub const ALL: [Self; 10] = [
        Self::Admin,
        Self::Approvals,
        Self::Pairing,
        Self::Questions,
        Self::Read,
        Self::SessionsRead,
        Self::SessionsWrite,
        Self::Talk,
        Self::TalkSecrets,
        Self::Write,
    ];

    /// The scope's name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "operator.admin",
            Self::Approvals => "operator.approvals",
            Self::Pairing => "operator.pairing",
            Self::Questions => "operator.questions",
            Self::Read => "operator.read",
            Self::SessionsRead => "operator.sessions.read",
            Self::SessionsWrite => "operator.sessions.write",
            Self::Talk => "operator.talk",
            Self::TalkSecrets => "operator.talk.secrets",
            Self::Write => "operator.write",
        }
    }

    /// Reads a scope's name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }

    /// Whether holding this scope is enough where `needed` is asked for: admin covers
    /// everything; write covers read, talk and the two scopes of sessions (OpenClaw protocol §2);
    /// read covers looking at sessions.
    #[must_use]
    pub fn covers(self, needed: Self) -> bool {
        self == needed
            || match self {
                Self::Admin => true,
                Self::Write => matches!(
                    needed,
                    Self::Read | Self::SessionsRead | Self::SessionsWrite | Self::Talk
                ),
                Self::Read => needed == Self::SessionsRead,
                Self::SessionsWrite => needed == Self::SessionsRead,
                Self::Approvals
                | Self::Pairing
                | Self::Questions
                | Self::SessionsRead
                | Self::Talk
                | Self::TalkSecrets => false,
            }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// As what a device connects (OpenClaw protocol §1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A person, or a program for one.
    Operator,
    /// A machine that lends its abilities.
    Node,
}

impl Role {
    /// The role's name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Node => "node",
        }
    }

    /// Reads a role's name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Operator, Self::Node].into_iter().find(|role| role.as_str() == text)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::{Role, Scope};

    #[test]
    fn scopes_and_roles_are_read_by_the_name_they_print() {
        for scope in Scope::ALL {
            assert_eq!(Scope::parse(scope.as_str()), Some(scope));
            assert_eq!(serde_json::to_value(scope).ok(), Some(scope.as_str().into()));
        }
        assert_eq!(Scope::parse("operator"), None);
        for role in [Role::Operator, Role::Node] {
            assert_eq!(Role::parse(role.as_str()), Some(role));
        }
        assert_eq!(Role::parse("Operator"), None);
    }

    #[test]
    fn what_a_scope_covers_covers_no_more_than_it_does() {
        for (a, b) in Scope::ALL.into_iter().flat_map(|a| Scope::ALL.map(|b| (a, b))) {
            for c in Scope::ALL {
                assert!(!(a.covers(b) && b.covers(c)) || a.covers(c), "{a} {b} {c}");
            }
            assert!(!b.covers(Scope::Admin) || b == Scope::Admin, "{b}");
        }
    }
}
