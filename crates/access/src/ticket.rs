//! Tickets: a run's grant on the wire, for processes outside the gateway.
//!
//! A ticket is a biscuit (<https://www.biscuitsec.org>, version 3 of the format): signed by a key
//! that lives as long as the gateway process, attenuable by whoever holds it, good for one
//! redemption, by a process of the run's own tree, while the run lives.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use biscuit_auth::builder::{BiscuitBuilder, Term, date, fact, int, string};
use biscuit_auth::datalog::RunLimits;
use biscuit_auth::{AuthorizerBuilder, Biscuit, KeyPair, PublicKey, error};
use hatchery_protocol::{RunId, Scope};

use crate::{Caller, Grant, Refusal, Remedy};

/// The longest ticket that is looked at, in bytes; ours have about 700.
pub(crate) const MAX_TICKET_BYTES: usize = 8 * 1024;

/// How long the checks that a holder has added to a ticket may take, each time they are asked.
const CHECK_TIME: Duration = Duration::from_millis(100);

/// The same for a ticket that is as we made it. It is time on the clock, also while the machine is
/// busy with something else, and nothing that we made may fail by that.
const OWN_CHECK_TIME: Duration = Duration::from_secs(60);

/// A signed ticket, ready to be handed to a process.
pub struct Ticket(Vec<u8>);

/// Gives tickets out and takes them back. It knows the runs that live, and nothing else does.
///
/// What takes time, signing and checking, is done apart from it, by [`TicketDraft`] and
/// [`ReadTicket`]: whoever keeps it under a lock need not hold that meanwhile.
pub struct TicketOffice {
    key: Arc<KeyPair>,
    live: BTreeMap<RunId, LiveRun>,
}

struct LiveRun {
    grant: Arc<Grant>,
    next_serial: u64,
    /// Serials of redeemed tickets. All attenuations of one ticket share its serial.
    redeemed: BTreeSet<u64>,
}

/// A ticket that is to be signed.
pub struct TicketDraft {
    key: Arc<KeyPair>,
    grant: Arc<Grant>,
    serial: u64,
}

/// A ticket that somebody has shown: signed by us, and what it says.
#[derive(Debug)]
pub struct ReadTicket {
    run: RunId,
    serial: u64,
    /// The scopes that are left by what a holder has added to it; None if nothing was added.
    left: Option<BTreeSet<Scope>>,
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
        Self { key: Arc::new(KeyPair::new()), live: BTreeMap::new() }
    }

    /// From now on there are tickets for this run.
    pub fn open(&mut self, grant: Grant) {
        let (run, grant) = (grant.run().clone(), Arc::new(grant));
        self.live.insert(run, LiveRun { grant, next_serial: 0, redeemed: BTreeSet::new() });
    }

    /// From now on the run's tickets are worth nothing.
    pub fn close(&mut self, run: &RunId) {
        self.live.remove(run);
    }

    /// The grant of a live run.
    #[must_use]
    pub fn grant(&self, run: &RunId) -> Option<&Grant> {
        self.live.get(run).map(|live| &*live.grant)
    }

    /// The key that this office's tickets are read with.
    #[must_use]
    pub fn key(&self) -> PublicKey {
        self.key.public()
    }

    /// A new ticket for a live run, to be signed.
    ///
    /// # Errors
    /// [`TicketError::NoSuchRun`] when the run is over.
    pub fn draft(&mut self, run: &RunId) -> Result<TicketDraft, TicketError> {
        let live = self.live.get_mut(run).ok_or_else(|| TicketError::NoSuchRun(run.clone()))?;
        let serial = live.next_serial;
        live.next_serial += 1;
        Ok(TicketDraft { key: Arc::clone(&self.key), grant: Arc::clone(&live.grant), serial })
    }

    /// Takes a ticket back from a process that, by the kernel's word, stands inside the tree of
    /// `presenter` (or inside none), at `now_ms` since 1970, and gives the authority it stands for.
    ///
    /// # Errors
    /// [`TicketRefusal`]; it says which rule the ticket broke.
    pub fn redeem(
        &mut self,
        ticket: &ReadTicket,
        presenter: Option<&RunId>,
        now_ms: u64,
    ) -> Result<Caller, TicketRefusal> {
        let live = self.live.get_mut(&ticket.run).ok_or(TicketRefusal::RunEnded)?;
        if presenter != Some(&ticket.run) {
            return Err(TicketRefusal::WrongProcess);
        }
        if live.redeemed.contains(&ticket.serial) {
            return Err(TicketRefusal::UsedTwice);
        }
        let grant = &live.grant;
        let all = grant.scopes();
        let allowed = match &ticket.left {
            None => all.clone(),
            Some(left) => all.intersection(left).copied().collect(),
        };
        let has_expired = grant.expires_at_ms().is_some_and(|at| at <= now_ms);
        if allowed.is_empty() || has_expired {
            return Err(TicketRefusal::Restricted);
        }
        let grant = Grant::clone(grant).narrowed_to(&allowed);
        live.redeemed.insert(ticket.serial);
        Ok(Caller::Run(grant))
    }
}

impl TicketDraft {
    /// Makes the ticket.
    ///
    /// # Errors
    /// [`TicketError::Signing`].
    pub fn sign(self) -> Result<Ticket, TicketError> {
        let Self { key, grant, serial } = self;
        let mut builder = BiscuitBuilder::new()
            .fact(fact("run", &[text(grant.run())]))?
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
        Ok(Ticket(builder.build(&key)?.to_vec()?))
    }
}

impl ReadTicket {
    /// Reads a ticket that somebody shows at `now_ms` since 1970 and checks that it was signed with
    /// `key`. What a holder has added to it is asked here, which can take a second. Whether it is
    /// worth anything is for the [office](TicketOffice::redeem) to say.
    ///
    /// # Errors
    /// [`TicketRefusal::NotOurs`].
    pub fn read(ticket: &[u8], key: PublicKey, now_ms: u64) -> Result<Self, TicketRefusal> {
        if ticket.len() > MAX_TICKET_BYTES {
            return Err(TicketRefusal::NotOurs);
        }
        let biscuit = Biscuit::from(ticket, key).map_err(|_| TicketRefusal::NotOurs)?;
        let is_narrowed = biscuit.block_count() > 1;
        let time = if is_narrowed { CHECK_TIME } else { OWN_CHECK_TIME };
        let (run, serial) = read_identity(&biscuit, time).ok_or(TicketRefusal::NotOurs)?;
        // What we signed says nothing that the office does not know better.
        let left = is_narrowed.then(|| {
            // Each scope is asked for by itself.
            let scopes = Scope::ALL.into_iter();
            scopes.filter(|scope| allows(&biscuit, &run, *scope, now_ms)).collect()
        });
        Ok(Self { run, serial, left })
    }
}

fn text(value: impl fmt::Display) -> Term {
    string(&value.to_string())
}

fn instant(ms: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(ms)
}

fn limits(max_time: Duration) -> RunLimits {
    RunLimits { max_time, ..RunLimits::default() }
}

/// The run and serial in the part of the ticket that we signed; what a holder appended is not
/// looked at here.
fn read_identity(biscuit: &Biscuit, time: Duration) -> Option<(RunId, u64)> {
    let mut world = AuthorizerBuilder::new().set_limits(limits(time)).build(biscuit).ok()?;
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
            .set_limits(limits(CHECK_TIME))
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

    use super::{ReadTicket, Ticket, TicketError, TicketOffice, TicketRefusal};
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

    fn mint(office: &mut TicketOffice, name: &str) -> Result<Ticket, TicketError> {
        office.draft(&run(name))?.sign()
    }

    fn redeem(
        office: &mut TicketOffice,
        ticket: &[u8],
        presenter: Option<&RunId>,
        now_ms: u64,
    ) -> Result<Caller, TicketRefusal> {
        office.redeem(&ReadTicket::read(ticket, office.key(), now_ms)?, presenter, now_ms)
    }

    fn attenuated(ticket: &[u8], check: &str) -> Vec<u8> {
        let block = BlockBuilder::new().check(check).unwrap();
        UnverifiedBiscuit::from(ticket).unwrap().append(block).unwrap().to_vec().unwrap()
    }

    #[test]
    fn a_ticket_gives_its_runs_grant_once() {
        let mut office = office();
        let ticket = mint(&mut office, "a").unwrap();
        let first = redeem(&mut office, ticket.as_bytes(), Some(&run("a")), 10);
        assert_eq!(first, Ok(Caller::Run(grant("a"))));
        let second = redeem(&mut office, ticket.as_bytes(), Some(&run("a")), 10);
        assert_eq!(second, Err(TicketRefusal::UsedTwice));
        let another = mint(&mut office, "a").unwrap();
        assert!(redeem(&mut office, another.as_bytes(), Some(&run("a")), 10).is_ok());
    }

    #[test]
    fn a_ticket_is_worth_nothing_outside_its_runs_tree() {
        let mut office = office();
        let ticket = mint(&mut office, "a").unwrap();
        for presenter in [None, Some(&run("b"))] {
            let outcome = redeem(&mut office, ticket.as_bytes(), presenter, 10);
            assert_eq!(outcome, Err(TicketRefusal::WrongProcess));
        }
        // The failed tries have not used it up.
        assert!(redeem(&mut office, ticket.as_bytes(), Some(&run("a")), 10).is_ok());
    }

    #[test]
    fn a_ticket_dies_with_its_run_its_time_and_its_gateway() {
        let mut office = office();
        let ticket = mint(&mut office, "a").unwrap();
        let late = redeem(&mut office, ticket.as_bytes(), Some(&run("a")), 1_000);
        assert_eq!(late, Err(TicketRefusal::Restricted));
        office.close(&run("a"));
        let ended = redeem(&mut office, ticket.as_bytes(), Some(&run("a")), 10);
        assert_eq!(ended, Err(TicketRefusal::RunEnded));
        let mut restarted = self::office();
        let foreign = redeem(&mut restarted, ticket.as_bytes(), Some(&run("a")), 10);
        assert_eq!(foreign, Err(TicketRefusal::NotOurs));
        assert!(mint(&mut office, "a").is_err());
    }

    #[test]
    fn damaged_and_oversized_tickets_are_refused() {
        let mut office = office();
        let good = mint(&mut office, "a").unwrap();
        let mut bad = good.as_bytes().to_vec();
        let middle = bad.len() / 2;
        bad[middle] ^= 1;
        for ticket in [&bad[..], b"", b"rubbish", &vec![0; 9 * 1024]] {
            let outcome = redeem(&mut office, ticket, Some(&run("a")), 10);
            assert_eq!(outcome, Err(TicketRefusal::NotOurs));
        }
    }

    #[test]
    fn a_holder_can_narrow_a_ticket_and_never_widen_it() {
        let mut office = office();
        let ticket = mint(&mut office, "a").unwrap();
        let read_only = attenuated(ticket.as_bytes(), r#"check if operation("operator.read")"#);
        let caller = redeem(&mut office, &read_only, Some(&run("a")), 10).unwrap();
        assert_eq!(caller.scopes().collect::<Vec<_>>(), [Scope::Read]);
        // The whole ticket has the serial of the narrowed one.
        let whole = redeem(&mut office, ticket.as_bytes(), Some(&run("a")), 10);
        assert_eq!(whole, Err(TicketRefusal::UsedTwice));

        let fresh = mint(&mut office, "a").unwrap();
        let block =
            BlockBuilder::new().code(r#"scope("operator.admin"); run("b"); serial(77);"#).unwrap();
        let widened = UnverifiedBiscuit::from(fresh.as_bytes()).unwrap();
        let widened = widened.append(block).unwrap().to_vec().unwrap();
        let caller = redeem(&mut office, &widened, Some(&run("a")), 10).unwrap();
        assert_eq!(caller, Caller::Run(grant("a")));
    }

    #[test]
    fn a_narrowed_ticket_keeps_to_its_run_and_its_time() {
        let mut office = office();
        let ticket = mint(&mut office, "a").unwrap();
        let read_only = attenuated(ticket.as_bytes(), r#"check if operation("operator.read")"#);
        let late = redeem(&mut office, &read_only, Some(&run("a")), 1_000);
        assert_eq!(late, Err(TicketRefusal::Restricted));
        let elsewhere = redeem(&mut office, &read_only, Some(&run("b")), 10);
        assert_eq!(elsewhere, Err(TicketRefusal::WrongProcess));
        let nothing = attenuated(ticket.as_bytes(), "check if false");
        let nothing = redeem(&mut office, &nothing, Some(&run("a")), 10);
        assert_eq!(nothing, Err(TicketRefusal::Restricted));
        assert!(redeem(&mut office, &read_only, Some(&run("a")), 10).is_ok());
    }

    #[test]
    fn a_ticket_that_was_read_before_its_run_ended_is_worth_nothing_after() {
        let mut office = office();
        let ticket = mint(&mut office, "a").unwrap();
        let read = ReadTicket::read(ticket.as_bytes(), office.key(), 10).unwrap();
        office.close(&run("a"));
        assert_eq!(office.redeem(&read, Some(&run("a")), 10), Err(TicketRefusal::RunEnded));
    }

    #[test]
    fn a_ticket_does_not_show_itself_in_debug_output() {
        let ticket = mint(&mut office(), "a").unwrap();
        assert!(format!("{ticket:?}").starts_with("Ticket("));
        assert!(format!("{ticket:?}").len() < 24);
    }
}
