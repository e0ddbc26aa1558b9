//! Tickets: a run's grant on the wire, for processes outside the gateway.
//!
//! A ticket is a biscuit (<https://www.biscuitsec.org>, version 3 of the format): signed by a key
//! that lives as long as the gateway process, attenuable by whoever holds it, good for one
//! redemption, by a process of the run's own tree, while the run lives.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, SystemTime};

use biscuit_auth::builder::{BiscuitBuilder, Term, date, fact, int, string};
use biscuit_auth::datalog::RunLimits;
use biscuit_auth::{AuthorizerBuilder, Biscuit, KeyPair, error};
use hatchery_protocol::{RunId, Scope};

use crate::{Caller, Grant, Refusal, Remedy};

/// The longest ticket that is looked at, in bytes; ours have about 700.
pub(crate) const MAX_TICKET_BYTES: usize = 8 * 1024;

/// How long the checks of one ticket may take. A holder can attenuate a ticket with checks of its
/// own, so their cost is bounded here.
const CHECK_TIME: Duration = Duration::from_millis(100);

/// A signed ticket, ready to be handed to a process.
pub struct Ticket(Vec<u8>);

/// Makes tickets and takes them back. It knows the runs that live, and nothing else does.
pub struct TicketOffice {
    key: KeyPair,
    live: BTreeMap<RunId, LiveRun>,
}

struct LiveRun {
    grant: Grant,
    next_serial: u64,
    /// Serials of redeemed tickets. All attenuations of one ticket share its serial.
    redeemed: BTreeSet<u64>,
}

/// A ticket could not be made.
#[derive(Debug, thiserror::Error)]
pub enum TicketError {
    /// The run is over, or never was.
    #[error("there is no live run {0}")]
    NoSuchRun(RunId),
    /// The ticket library refused.
    #[error("a ticket could not be signed: {0}")]
    Signing(#[from] error::Token),
}

/// Why a ticket was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TicketRefusal {
    /// It is no ticket of this gateway: damaged, forged, or from before a restart.
    NotOurs,
    /// Its run is over.
    RunEnded,
    /// It was shown by a process outside its run's tree.
    WrongProcess,
    /// It was redeemed before.
    UsedTwice,
    /// It has expired, or a restriction someone added to it does not hold.
    Restricted,
}

impl Ticket {
    /// The ticket's bytes. They are a secret: never in argv, on disk or in a log.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({} bytes)", self.0.len())
    }
}

impl Default for TicketOffice {
    fn default() -> Self {
        Self::new()
    }
}

impl TicketOffice {
    /// An office with a new key: no ticket from before is good any more.
    #[must_use]
    pub fn new() -> Self {
        Self { key: KeyPair::new(), live: BTreeMap::new() }
    }

    /// From now on there are tickets for this run.
    pub fn open(&mut self, grant: Grant) {
        let run = grant.run().clone();
        self.live.insert(run, LiveRun { grant, next_serial: 0, redeemed: BTreeSet::new() });
    }

    /// From now on the run's tickets are worth nothing.
    pub fn close(&mut self, run: &RunId) {
        self.live.remove(run);
    }

    /// The grant of a live run.
    #[must_use]
    pub fn grant(&self, run: &RunId) -> Option<&Grant> {
        self.live.get(run).map(|live| &live.grant)
    }

    /// Makes a new ticket for a live run.
    ///
    /// # Errors
    /// [`TicketError`] when the run is over or signing fails.
    pub fn mint(&mut self, run: &RunId) -> Result<Ticket, TicketError> {
        let live = self.live.get_mut(run).ok_or_else(|| TicketError::NoSuchRun(run.clone()))?;
        let serial = live.next_serial;
        live.next_serial += 1;
        let grant = &live.grant;
        let mut builder = BiscuitBuilder::new()
            .fact(fact("run", &[text(run)]))?
            .fact(fact("serial", &[int(serial.cast_signed())]))?
            .fact(fact("session", &[text(grant.session())]))?
            .fact(fact("agent", &[text(grant.agent())]))?
            .fact(fact("depth", &[int(grant.depth().into())]))?
            .fact(fact("max_depth", &[int(grant.max_depth().into())]))?
            .fact(fact("workspace", &[text(grant.workspace().display())]))?
            .fact(fact("descendants", &[int(grant.max_descendants().into())]))?
            .check("check if inside($run), run($run)")?;
        for scope in grant.scopes() {
            builder = builder.fact(fact("scope", &[text(scope.as_str())]))?;
        }
        if let Some(at) = grant.expires_at_ms() {
            builder = builder
                .fact(fact("expires", &[date(&instant(at))]))?
                .check("check if time($now), expires($end), $now < $end")?;
        }
        Ok(Ticket(builder.build(&self.key)?.to_vec()?))
    }

    /// Takes a ticket back from a process that, by the kernel's word, stands inside the tree of
    /// `presenter` (or inside none), at `now_ms` since 1970, and gives the authority it stands for.
    ///
    /// # Errors
    /// [`TicketRefusal`]; it says which rule the ticket broke.
    pub fn redeem(
        &mut self,
        ticket: &[u8],
        presenter: Option<&RunId>,
        now_ms: u64,
    ) -> Result<Caller, TicketRefusal> {
        if ticket.len() > MAX_TICKET_BYTES {
            return Err(TicketRefusal::NotOurs);
        }
        let biscuit =
            Biscuit::from(ticket, self.key.public()).map_err(|_| TicketRefusal::NotOurs)?;
        let (run, serial) = read_identity(&biscuit).ok_or(TicketRefusal::NotOurs)?;
        let live = self.live.get_mut(&run).ok_or(TicketRefusal::RunEnded)?;
        if presenter != Some(&run) {
            return Err(TicketRefusal::WrongProcess);
        }
        if live.redeemed.contains(&serial) {
            return Err(TicketRefusal::UsedTwice);
        }
        // A holder may have narrowed the ticket, so each scope is asked for by itself.
        let allowed: BTreeSet<Scope> = live
            .grant
            .scopes()
            .iter()
            .copied()
            .filter(|scope| allows(&biscuit, &run, *scope, now_ms))
            .collect();
        if allowed.is_empty() {
            return Err(TicketRefusal::Restricted);
        }
        live.redeemed.insert(serial);
        Ok(Caller::Run(live.grant.clone().narrowed_to(&allowed)))
    }
}

fn text(value: impl fmt::Display) -> Term {
    string(&value.to_string())
}

fn instant(ms: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(ms)
}

fn limits() -> RunLimits {
    RunLimits { max_time: CHECK_TIME, ..RunLimits::default() }
}

/// The run and serial in the part of the ticket that we signed; what a holder appended is not
/// looked at here.
fn read_identity(biscuit: &Biscuit) -> Option<(RunId, u64)> {
    let mut world = AuthorizerBuilder::new().set_limits(limits()).build(biscuit).ok()?;
    let (run, serial): (String, i64) =
        world.query_exactly_one("identity($run, $serial) <- run($run), serial($serial)").ok()?;
    Some((RunId::new(run), serial.cast_unsigned()))
}

fn allows(biscuit: &Biscuit, run: &RunId, scope: Scope, now_ms: u64) -> bool {
    let decide = || -> Result<usize, error::Token> {
        AuthorizerBuilder::new()
            .fact(fact("inside", &[text(run)]))?
            .fact(fact("time", &[date(&instant(now_ms))]))?
            .fact(fact("operation", &[text(scope.as_str())]))?
            .policy("allow if operation($scope), scope($scope)")?
            .set_limits(limits())
            .build(biscuit)?
            .authorize()
    };
    decide().is_ok()
}

impl TicketRefusal {
    /// The refusal's stable name.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotOurs => "TICKET_INVALID",
            Self::RunEnded => "TICKET_RUN_ENDED",
            Self::WrongProcess => "TICKET_WRONG_PROCESS",
            Self::UsedTwice => "TICKET_USED",
            Self::Restricted => "TICKET_RESTRICTED",
        }
    }
}

impl From<TicketRefusal> for Refusal {
    fn from(refusal: TicketRefusal) -> Self {
        let (message, advice) = match refusal {
            TicketRefusal::NotOurs => (
                "the ticket is none of this gateway's, or was damaged",
                "start the command from inside a running agent, which hands it a ticket of its own",
            ),
            TicketRefusal::RunEnded => (
                "the ticket's run is over, and its authority with it",
                "start a new run from the owner's terminal",
            ),
            TicketRefusal::WrongProcess => (
                "the ticket belongs to another run's processes and is worth nothing here",
                "start the command from inside the run the ticket was made for",
            ),
            TicketRefusal::UsedTwice => (
                "the ticket was used before; a ticket is good once",
                "start the command again: it takes a fresh ticket each time",
            ),
            TicketRefusal::Restricted => (
                "the ticket has expired or was restricted to less than this",
                "start the command again from the run's own shell",
            ),
        };
        Self::forbidden(refusal.code(), "ticket door", message, Remedy::Advice(advice.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use biscuit_auth::UnverifiedBiscuit;
    use biscuit_auth::builder::BlockBuilder;
    use hatchery_protocol::{AgentId, RunId, Scope, SessionId};

    use super::{TicketOffice, TicketRefusal};
    use crate::{Caller, ChildFacts, Grant};

    fn run(name: &str) -> RunId {
        RunId::new(name.to_owned())
    }

    fn grant(name: &str) -> Grant {
        Grant::for_child(
            &Caller::Owner,
            ChildFacts {
                run: run(name),
                session: SessionId::new(format!("sess_{name}")),
                agent: AgentId::main(),
                max_depth: 2,
                workspace: "/w".into(),
                max_descendants: 5,
                expires_at_ms: Some(1_000),
            },
        )
    }

    fn office() -> TicketOffice {
        let mut office = TicketOffice::new();
        office.open(grant("a"));
        office.open(grant("b"));
        office
    }

    fn attenuated(ticket: &[u8], check: &str) -> Vec<u8> {
        let block = BlockBuilder::new().check(check).unwrap();
        UnverifiedBiscuit::from(ticket).unwrap().append(block).unwrap().to_vec().unwrap()
    }

    #[test]
    fn a_ticket_gives_its_runs_grant_once() {
        let mut office = office();
        let ticket = office.mint(&run("a")).unwrap();
        let first = office.redeem(ticket.as_bytes(), Some(&run("a")), 10);
        assert_eq!(first, Ok(Caller::Run(grant("a"))));
        let second = office.redeem(ticket.as_bytes(), Some(&run("a")), 10);
        assert_eq!(second, Err(TicketRefusal::UsedTwice));
        let another = office.mint(&run("a")).unwrap();
        assert!(office.redeem(another.as_bytes(), Some(&run("a")), 10).is_ok());
    }

    #[test]
    fn a_ticket_is_worth_nothing_outside_its_runs_tree() {
        let mut office = office();
        let ticket = office.mint(&run("a")).unwrap();
        for presenter in [None, Some(&run("b"))] {
            let outcome = office.redeem(ticket.as_bytes(), presenter, 10);
            assert_eq!(outcome, Err(TicketRefusal::WrongProcess));
        }
        // The failed tries have not used it up.
        assert!(office.redeem(ticket.as_bytes(), Some(&run("a")), 10).is_ok());
    }

    #[test]
    fn a_ticket_dies_with_its_run_its_time_and_its_gateway() {
        let mut office = office();
        let ticket = office.mint(&run("a")).unwrap();
        let late = office.redeem(ticket.as_bytes(), Some(&run("a")), 1_000);
        assert_eq!(late, Err(TicketRefusal::Restricted));
        office.close(&run("a"));
        let ended = office.redeem(ticket.as_bytes(), Some(&run("a")), 10);
        assert_eq!(ended, Err(TicketRefusal::RunEnded));
        let mut restarted = self::office();
        let foreign = restarted.redeem(ticket.as_bytes(), Some(&run("a")), 10);
        assert_eq!(foreign, Err(TicketRefusal::NotOurs));
        assert!(office.mint(&run("a")).is_err());
    }

    #[test]
    fn damaged_and_oversized_tickets_are_refused() {
        let mut office = office();
        let good = office.mint(&run("a")).unwrap();
        let mut bad = good.as_bytes().to_vec();
        let middle = bad.len() / 2;
        bad[middle] ^= 1;
        for ticket in [&bad[..], b"", b"rubbish", &vec![0; 9 * 1024]] {
            let outcome = office.redeem(ticket, Some(&run("a")), 10);
            assert_eq!(outcome, Err(TicketRefusal::NotOurs));
        }
    }

    #[test]
    fn a_holder_can_narrow_a_ticket_and_never_widen_it() {
        let mut office = office();
        let ticket = office.mint(&run("a")).unwrap();
        let read_only = attenuated(ticket.as_bytes(), r#"check if operation("operator.read")"#);
        let caller = office.redeem(&read_only, Some(&run("a")), 10).unwrap();
        assert_eq!(caller.scopes().collect::<Vec<_>>(), [Scope::Read]);
        // The whole ticket has the serial of the narrowed one.
        let whole = office.redeem(ticket.as_bytes(), Some(&run("a")), 10);
        assert_eq!(whole, Err(TicketRefusal::UsedTwice));

        let fresh = office.mint(&run("a")).unwrap();
        let block =
            BlockBuilder::new().code(r#"scope("operator.admin"); run("b"); serial(77);"#).unwrap();
        let widened = UnverifiedBiscuit::from(fresh.as_bytes()).unwrap();
        let widened = widened.append(block).unwrap().to_vec().unwrap();
        let caller = office.redeem(&widened, Some(&run("a")), 10).unwrap();
        assert_eq!(caller, Caller::Run(grant("a")));
    }

    #[test]
    fn a_ticket_does_not_show_itself_in_debug_output() {
        let ticket = office().mint(&run("a")).unwrap();
        assert!(format!("{ticket:?}").starts_with("Ticket("));
        assert!(format!("{ticket:?}").len() < 24);
    }
}
