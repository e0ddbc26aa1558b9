//! Permits: proof that a caller was allowed, as a value that handlers take.

use std::marker::PhantomData;

use hatchery_protocol::Scope;

use crate::{Caller, Refusal, Remedy};

/// Proof that a caller may do what `S` stands for. Only [`authorize`] makes one.
#[derive(Clone, Debug)]
pub struct Permit<S> {
    caller: Caller,
    scope: PhantomData<S>,
}

/// A scope as a type, so that a handler names in its signature what it needs.
pub trait RequiredScope {
    /// The scope.
    const SCOPE: Scope;
}

/// Needs [`Scope::Read`].
#[derive(Clone, Copy, Debug)]
pub struct Read;

/// Needs [`Scope::Write`].
#[derive(Clone, Copy, Debug)]
pub struct Write;

/// Needs [`Scope::Pairing`].
#[derive(Clone, Copy, Debug)]
pub struct Pairing;

/// Needs [`Scope::Approvals`].
#[derive(Clone, Copy, Debug)]
pub struct Approvals;

/// Needs [`Scope::Questions`].
#[derive(Clone, Copy, Debug)]
pub struct Questions;

/// Needs [`Scope::Admin`].
#[derive(Clone, Copy, Debug)]
pub struct Admin;

impl RequiredScope for Read {
    const SCOPE: Scope = Scope::Read;
}

impl RequiredScope for Write {
    const SCOPE: Scope = Scope::Write;
}

impl RequiredScope for Pairing {
    const SCOPE: Scope = Scope::Pairing;
}

impl RequiredScope for Approvals {
    const SCOPE: Scope = Scope::Approvals;
}

impl RequiredScope for Questions {
    const SCOPE: Scope = Scope::Questions;
}

impl RequiredScope for Admin {
    const SCOPE: Scope = Scope::Admin;
}

impl<S> Permit<S> {
    /// Who was allowed.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }
}

/// Decides whether a caller may do what `S` stands for: whether one of its scopes
/// [covers](Scope::covers) it.
///
/// # Errors
/// A [`Refusal`] that names the missing scope.
pub fn authorize<S: RequiredScope>(caller: &Caller) -> Result<Permit<S>, Refusal> {
    if caller.scopes().any(|held| held.covers(S::SCOPE)) {
        return Ok(Permit { caller: caller.clone(), scope: PhantomData });
    }
    let scope = S::SCOPE.as_str();
    Err(Refusal::forbidden(
        "MISSING_SCOPE",
        scope,
        format!("missing scope: {scope}"),
        Remedy::Advice("ask from the owner's own terminal, outside any run".to_owned()),
    )
    .with_log(caller.describe()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use hatchery_protocol::{AgentId, RunId, Scope, SessionId};

    use super::{Admin, Read, Write, authorize};
    use crate::{Caller, ChildFacts, Grant};

    fn run_with(scopes: &[Scope]) -> Caller {
        let facts = ChildFacts {
            run: RunId::new("r".into()),
            session: SessionId::new("s".into()),
            agent: AgentId::main(),
            max_depth: 1,
            workspace: "/w".into(),
            max_descendants: 5,
            expires_at_ms: None,
        };
        let keep: BTreeSet<Scope> = scopes.iter().copied().collect();
        Caller::Run(Grant::for_child(&Caller::Owner, facts).narrowed_to(&keep))
    }

    #[test]
    fn a_caller_gets_what_its_scopes_cover_and_no_more() {
        let cases = [
            (Caller::Owner, [true, true, true]),
            (run_with(&[Scope::Read, Scope::Write]), [true, true, false]),
            (run_with(&[Scope::Write]), [true, true, false]),
            (run_with(&[Scope::Read]), [true, false, false]),
            (run_with(&[]), [false, false, false]),
        ];
        for (caller, [read, write, admin]) in cases {
            assert_eq!(authorize::<Read>(&caller).is_ok(), read, "{caller:?}");
            assert_eq!(authorize::<Write>(&caller).is_ok(), write, "{caller:?}");
            assert_eq!(authorize::<Admin>(&caller).is_ok(), admin, "{caller:?}");
        }
    }

    #[test]
    fn a_run_never_inherits_the_owners_admin_scope() {
        let caller = run_with(&[Scope::Admin, Scope::Read, Scope::Write]);
        assert!(authorize::<Admin>(&caller).is_err());
    }
}
