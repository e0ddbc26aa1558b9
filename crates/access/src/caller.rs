//! Callers: who stands behind a request.

use hatchery_protocol::Scope;

use crate::Grant;

/// Who stands behind a request, as a door has established it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A person or program of the same user on this machine, known by the kernel's word.
    Owner,
    /// A run, by its handle inside the process or by a ticket from outside.
    Run(Grant),
}

impl Caller {
    /// What the caller may do.
    pub fn scopes(&self) -> impl Iterator<Item = Scope> + '_ {
        let all = [Scope::Admin, Scope::Read, Scope::Write];
        all.into_iter().filter(move |scope| match self {
            Self::Owner => true,
            Self::Run(grant) => grant.scopes().contains(scope),
        })
    }

    /// The run's grant, where the caller is a run.
    #[must_use]
    pub fn grant(&self) -> Option<&Grant> {
        match self {
            Self::Owner => None,
            Self::Run(grant) => Some(grant),
        }
    }

    /// How deep the caller stands: 0 for the owner.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.grant().map_or(0, Grant::depth)
    }

    /// How the journal names the caller.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Owner => "owner".to_owned(),
            Self::Run(grant) => format!("run {} in {}", grant.run(), grant.session()),
        }
    }
}
