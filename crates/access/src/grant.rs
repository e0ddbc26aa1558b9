//! Grants: the authority of one run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use hatchery_protocol::{AgentId, RunId, Scope, SessionId};

use crate::{Caller, GrantRecord};

/// The authority of one run. It is derived from the authority of whoever started the run and is
/// never wider. Parent, depth and workspace in it are facts the supervisor set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    run: RunId,
    session: SessionId,
    agent: AgentId,
    scopes: BTreeSet<Scope>,
    depth: u32,
    max_depth: u32,
    workspace: PathBuf,
    max_descendants: u32,
    expires_at_ms: Option<u64>,
    of_the_owner: bool,
}

/// What the supervisor knows of a run for which it derives a grant.
#[derive(Clone, Debug)]
pub struct ChildFacts {
    /// The run.
    pub run: RunId,
    /// Its session.
    pub session: SessionId,
    /// Its agent.
    pub agent: AgentId,
    /// The deepest run the settings allow, 1 being a direct child of the owner.
    pub max_depth: u32,
    /// The directory it works in, absolute and resolved.
    pub workspace: PathBuf,
    /// How many live children the run may have at a time.
    pub max_descendants: u32,
    /// When the run's deadline ends its authority, in milliseconds since 1970.
    pub expires_at_ms: Option<u64>,
}

impl Grant {
    /// The grant of a run that `parent` starts: of each part the narrower of what the parent has
    /// and what the settings give. A run never gets [`Scope::Admin`].
    #[must_use]
    pub fn for_child(parent: &Caller, facts: ChildFacts) -> Self {
        let scopes = parent.scopes().filter(|scope| *scope != Scope::Admin).collect();
        let above = parent.grant();
        let earliest = |ours: Option<u64>, theirs: Option<u64>| match (ours, theirs) {
            (Some(ours), Some(theirs)) => Some(ours.min(theirs)),
            (one, other) => one.or(other),
        };
        Self {
            run: facts.run,
            session: facts.session,
            agent: facts.agent,
            scopes,
            depth: parent.depth() + 1,
            max_depth: above.map_or(facts.max_depth, |grant| grant.max_depth.min(facts.max_depth)),
            workspace: facts.workspace,
            max_descendants: above.map_or(facts.max_descendants, |grant| {
                grant.max_descendants.min(facts.max_descendants)
            }),
            expires_at_ms: earliest(facts.expires_at_ms, above.and_then(|g| g.expires_at_ms)),
            of_the_owner: parent.is_of_the_owner(),
        }
    }

    /// The grant of a turn that `asker` asked for in a conversation: as that of a child, but it
    /// stands where its asker stands. What it starts is one deeper, as if the asker had done it.
    #[must_use]
    pub fn for_turn(asker: &Caller, facts: ChildFacts) -> Self {
        Self { depth: asker.depth(), ..Self::for_child(asker, facts) }
    }

    /// The run whose authority this is.
    #[must_use]
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// The run's session.
    #[must_use]
    pub fn session(&self) -> &SessionId {
        &self.session
    }

    /// The run's agent.
    #[must_use]
    pub fn agent(&self) -> &AgentId {
        &self.agent
    }

    /// What the run may do.
    #[must_use]
    pub fn scopes(&self) -> &BTreeSet<Scope> {
        &self.scopes
    }

    /// How deep the run stands: 1 for a run the owner started, 0 for a turn.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.depth
    }

    /// The deepest run that may stand below this one.
    #[must_use]
    pub fn max_depth(&self) -> u32 {
        self.max_depth
    }

    /// The directory the run and everything below it works in.
    #[must_use]
    pub fn workspace(&self) -> &Path {
        &self.workspace
    }

    /// How many live children the run may have at a time.
    #[must_use]
    pub fn max_descendants(&self) -> u32 {
        self.max_descendants
    }

    /// When the grant ends, in milliseconds since 1970; `None` where only the run's end ends it.
    #[must_use]
    pub fn expires_at_ms(&self) -> Option<u64> {
        self.expires_at_ms
    }

    /// Whether the owner started the tree the run belongs to, and not a device.
    #[must_use]
    pub fn is_of_the_owner(&self) -> bool {
        self.of_the_owner
    }

    /// Whether a directory (absolute and resolved) lies within the run's workspace.
    #[must_use]
    pub fn covers(&self, directory: &Path) -> bool {
        directory.starts_with(&self.workspace)
    }

    pub(crate) fn record(&self) -> GrantRecord {
        GrantRecord {
            run: self.run.clone(),
            session: self.session.clone(),
            agent: self.agent.clone(),
            scopes: self.scopes.clone(),
            depth: self.depth,
            max_depth: self.max_depth,
            workspace: self.workspace.clone(),
            max_descendants: self.max_descendants,
            expires_at_ms: self.expires_at_ms,
            of_the_owner: self.of_the_owner,
        }
    }

    pub(crate) fn restored(record: GrantRecord) -> Self {
        Self {
            run: record.run,
            session: record.session,
            agent: record.agent,
            scopes: record.scopes,
            depth: record.depth,
            max_depth: record.max_depth,
            workspace: record.workspace,
            max_descendants: record.max_descendants,
            expires_at_ms: record.expires_at_ms,
            of_the_owner: record.of_the_owner,
        }
    }

    /// The same grant with only those scopes that `keep` names.
    #[must_use]
    pub(crate) fn narrowed_to(mut self, keep: &BTreeSet<Scope>) -> Self {
        self.scopes.retain(|scope| keep.contains(scope));
        self
    }
}
